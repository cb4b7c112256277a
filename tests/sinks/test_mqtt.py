"""The MQTT sink against a real mosquitto."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest

from renogybt.reading import LinkFigures
from renogybt.sinks import session
from renogybt.sinks.topics import node_of
from tests.peers.mosquitto import Listener, Mosquitto, kept, until
from tests.sinks.conftest import Sinks
from tests.sinks.given import HOUSE, HOUSE_48, HOUSE_49, ROVER, battery, failure, full, reading, standing
from tests.sinks.rules import faults_of_device_form

CONFIG = "homeassistant/device/renogy_8428d7ff0001/config"
STATE = "solar/BT-TH-1234_255"
AVAILABILITY = STATE + "/availability"
BRIDGE = "solar/bridge/availability"


def power(watts: int) -> Any:
    return reading(ROVER, "controller", pv_power=watts)


def powers(ears: Listener, topic: str = STATE) -> list[int]:
    return [json.loads(payload)["pv_power"] for payload in ears.on(topic)]


def test_a_reading_arrives_announced_and_retained(broker: Mosquitto, ears: Listener, sink: Sinks) -> None:
    sender = sink(ROVER)
    sender.offer(reading())
    assert sender.flush(60) == ""
    ears.wait_for(AVAILABILITY, "online")
    order = [heard.topic for heard in ears.messages if heard.topic != STATE + "/link"]
    assert order[0] == BRIDGE
    assert order.index("homeassistant/device/" + sender.topics.bridge_node + "/config") < order.index(CONFIG)
    assert order.index(CONFIG) < order.index(STATE)
    held = kept(broker.port)
    assert held[BRIDGE] == held[AVAILABILITY] == "online"
    assert json.loads(held[STATE])["charging_status"] == "mppt"
    for topic, payload in held.items():
        if topic.startswith("homeassistant/"):
            assert list(faults_of_device_form(json.loads(payload))) == []


def test_what_has_gone_is_counted_although_nobody_waits_for_it(ears: Listener, sink: Sinks) -> None:
    sender = sink(ROVER)
    sender.offer(reading())
    ears.wait_for(STATE)
    before = sender.health()["mqtt"].delivered
    sender.offer(reading())
    until(lambda: sender.health()["mqtt"].delivered > before and sender.health()["mqtt"].waiting == 0, 60)


def test_an_announcement_goes_before_the_first_reading_also_later(ears: Listener, sink: Sinks) -> None:
    sender = sink(ROVER)
    ears.wait_for("solar/bridge/info")
    sender.offer(reading())
    ears.wait_for(AVAILABILITY)
    order = [heard.topic for heard in ears.messages]
    assert order.index(CONFIG) < order.index(STATE)


def test_in_small_portions_everything_arrives_in_the_same_order(
    broker: Mosquitto, ears: Listener, sink: Sinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "MUCH", 1)
    sender = sink(HOUSE_48, HOUSE_49, ROVER)
    for one in (battery(HOUSE_48), battery(HOUSE_49), reading()):
        sender.offer(one)
    assert sender.flush(60) == ""
    ears.wait_for(AVAILABILITY, "online")
    order = [heard.topic for heard in ears.messages]
    bridge = order.index("homeassistant/device/" + sender.topics.bridge_node + "/config")
    states = {HOUSE_48: "solar/House_48", HOUSE_49: "solar/House_49", ROVER: STATE}
    for identity, state in states.items():
        announced = order.index(sender.topics.device_config(node_of(identity)))
        assert bridge < announced < order.index(state)
    assert {*states.values()} <= set(kept(broker.port))


def test_without_discovery_the_predecessors_topic_and_nothing_retained(
    broker: Mosquitto, ears: Listener, sink: Sinks
) -> None:
    sender = sink(ROVER, announce=False, topic="solar/state")
    sender.offer(reading())
    assert json.loads(ears.wait_for("solar/state"))["pv_power"] == 34
    assert sender.flush(60) == ""
    held = kept(broker.port)
    assert set(held) == {"solar/state/availability", "solar/state/bridge/availability", "solar/state/bridge/info"}
    assert not [heard.topic for heard in ears.messages if heard.topic.startswith("homeassistant")]


def test_retain_can_be_chosen(broker: Mosquitto, sink: Sinks) -> None:
    kept_anyway = sink(ROVER, announce=False, retain="true", topic="kept")
    not_kept = sink(ROVER, retain="false", topic="loose")
    for sender in (kept_anyway, not_kept):
        sender.offer(reading())
        assert sender.flush(60) == ""
    held = kept(broker.port)
    assert "kept" in held
    assert "loose/BT-TH-1234_255" not in held


def test_one_connection_for_everything(broker: Mosquitto, ears: Listener, sink: Sinks) -> None:
    sender = sink(HOUSE_48, HOUSE_49)
    for identity in (HOUSE_48, HOUSE_49):
        sender.offer(battery(identity))
        sender.figures(identity, LinkFigures(connected=True, rssi=-60))
    bank = reading(HOUSE, "bank:48,49", combined_voltage=13.3)
    sender.offer(bank)
    assert sender.flush(60) == ""
    assert {"solar/House_48", "solar/House_49", "solar/House_combined"} <= set(kept(broker.port))
    assert broker.log.count(f"as {sender.client_id} ") == 1


def test_availability_follows_readings_and_how_it_stands(ears: Listener, sink: Sinks) -> None:
    sender, last = sink(ROVER), reading()
    sender.offer(reading())
    sender.offer(last)
    ears.wait_for(AVAILABILITY, "online")
    sender.failed(failure(ROVER))
    sender.standing(standing(ROVER, "stale", last, 61.9))
    ears.wait(lambda: status(ears) == ("offline", 61, 34))
    sender.standing(standing(ROVER, "blank", last, 300))
    ears.wait(lambda: status(ears) == ("offline", None, None))
    assert ears.on(AVAILABILITY) == ["online"]
    sender.standing(standing(ROVER, "offline", last, 600))
    ears.wait_for(AVAILABILITY, "offline")
    sender.offer(reading())
    ears.wait(lambda: ears.on(AVAILABILITY) == ["online", "offline", "online"])
    ears.wait(lambda: status(ears) == ("online", 0, 34))


def status(ears: Listener) -> tuple[str, int | None, int | None]:
    if not ears.on(STATE):
        return "", None, None
    found = json.loads(ears.on(STATE)[-1])
    return found["connection_status"], found["data_age"], found["pv_power"]


def test_temperatures_and_their_unit_go_together(broker: Mosquitto, sink: Sinks) -> None:
    sender = sink(ROVER, data={"temperature_unit": "F"})
    sender.offer(reading())
    assert sender.flush(60) == ""
    held = kept(broker.port)
    assert json.loads(held[STATE])["battery_temperature"] == 14.0
    part = json.loads(held[CONFIG])["components"]["battery_temperature"]
    assert part["unit_of_measurement"] == "°F"


def test_link_figures_beside_the_reading(ears: Listener, sink: Sinks) -> None:
    sender = sink(ROVER)
    sender.offer(reading())
    sender.figures(ROVER, LinkFigures(connected=True, rssi=-70, read_errors=2, last_update=1.0, extra={"mtu": 23}))
    found = json.loads(ears.wait_for(STATE + "/link"))
    assert (found["connected"], found["rssi"], found["read_errors"], found["mtu"]) == (True, -70, 2, 23)
    ears.wait(lambda: ears.on(CONFIG) and "rssi" in json.loads(ears.on(CONFIG)[-1])["components"])


def test_many_readings_at_once_come_a_second_apart_and_the_last_is_not_lost(ears: Listener, sink: Sinks) -> None:
    sender, began = sink(ROVER, announce=False, topic="fast"), time.monotonic()
    sender.offer(power(0))
    ears.wait_for("fast")
    for watts in range(1, 50):
        sender.offer(power(watts))
        time.sleep(0.02)
    ears.wait(lambda: powers(ears, "fast")[-1] == 49)
    assert len(powers(ears, "fast")) <= time.monotonic() - began + 1


def test_after_an_outage_only_the_newest_arrives(broker: Mosquitto, ears: Listener, sink: Sinks) -> None:
    # Retained, because the listener may come back to the broker later than the sender.
    sender = sink(ROVER, announce=False, topic="fast", retain="true")
    sender.offer(power(1))
    ears.wait_for("fast")
    broker.stop()
    until(lambda: not sender.connected)
    for watts in range(100, 200):
        sender.offer(power(watts))
    ears.forget()
    broker.start()
    ears.wait(lambda: powers(ears, "fast") == [199], 60)
    time.sleep(1.2)
    assert powers(ears, "fast") == [199]


def test_a_broker_without_memory_is_told_everything_again(broker: Mosquitto, sink: Sinks) -> None:
    sender = sink(ROVER)
    sender.offer(reading())
    assert sender.flush(60) == ""
    before = kept(broker.port)
    broker.restart()
    until(lambda: kept(broker.port) == before)


def test_home_assistants_birth_brings_everything_again(broker: Mosquitto, ears: Listener, sink: Sinks) -> None:
    sender = sink(ROVER, retain="false", jitter=0.4)
    sender.offer(reading())
    ears.wait_for(STATE)
    ears.wait_for(AVAILABILITY)
    assert sender.flush(60) == ""
    ears.caught_up()
    ears.forget()
    asked = time.monotonic()
    ears.say("homeassistant/status", "online")
    ears.wait(lambda: ears.on(CONFIG) and ears.on(AVAILABILITY) and ears.on(STATE))
    assert ears.on(BRIDGE) == ["online"]
    first = next(heard for heard in ears.messages if heard.topic == CONFIG)
    assert first.at - asked >= 0.4
    order = [heard.topic for heard in ears.messages]
    assert order.index(CONFIG) < order.index(AVAILABILITY)


def test_other_words_on_the_birth_topic_mean_nothing(ears: Listener, sink: Sinks) -> None:
    sender = sink(ROVER)
    sender.offer(reading())
    ears.wait_for(CONFIG)
    assert sender.flush(60) == ""
    ears.caught_up()
    ears.forget()
    ears.say("homeassistant/status", "offline")
    time.sleep(0.5)
    ears.caught_up()
    assert ears.on(CONFIG) == []


def test_what_an_earlier_run_announced_and_is_gone_is_taken_back(broker: Mosquitto, ears: Listener, sink: Sinks) -> None:
    first = sink(HOUSE_48, HOUSE_49)
    first.offer(battery(HOUSE_48))
    first.offer(battery(HOUSE_49))
    assert first.flush(60) == ""
    first.stop(3)
    second = sink(HOUSE_48, data={"fields": ("voltage",)})
    second.offer(battery(HOUSE_48))
    config = "homeassistant/device/renogy_806fb00f1234_48/config"
    ears.wait(lambda: len(ears.on(config)) >= 3)
    removed, left = (json.loads(payload)["components"] for payload in ears.on(config)[-2:])
    assert removed["current"] == {"platform": "sensor"}
    assert set(left) == {"voltage", "connected"}
    assert second.flush(60) == ""
    second.stop(3)
    assert not [topic for topic in kept(broker.port) if "49" in topic.replace(second.topics.bridge_node, "")]


def test_what_is_out_of_use_is_cleared_only_when_home_assistant_has_let_go_of_it(
    broker: Mosquitto, ears: Listener, sink: Sinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It removes entities in its own time, and until then each of them complains about an empty state."""
    monkeypatch.setattr(session, "SETTLING", 2.0)
    monkeypatch.setattr(session, "LONGEST", 0.2)
    first = sink(HOUSE_48, HOUSE_49)
    first.offer(battery(HOUSE_48))
    first.offer(battery(HOUSE_49))
    assert first.flush(60) == ""
    first.stop(3)
    renamed = replace(HOUSE_48, alias="Garage")
    second = sink(renamed)
    second.offer(battery(renamed))
    ears.wait_for("solar/House_48", "")
    ears.wait_for("solar/House_49", "")
    said = {(heard.topic, heard.payload): heard.at for heard in reversed(ears.messages)}  # the first time of each
    gone = said["homeassistant/device/renogy_806fb00f1234_49/config", ""]
    moved = next(at for (topic, text), at in said.items() if topic.endswith("_48/config") and "Garage" in text)
    assert said["solar/House_49", ""] - gone >= 1.5
    assert said["solar/House_49/availability", ""] - gone >= 1.5
    assert said["solar/House_48", ""] - moved >= 1.5
    assert second.flush(60) == ""
    assert "solar/Garage_48" in kept(broker.port)


def test_a_new_form_replaces_the_old_one(broker: Mosquitto, ears: Listener, sink: Sinks) -> None:
    topics = {}
    for form in ("entity", "device", "entity", "none"):
        sender = sink(ROVER, discovery=form)
        sender.offer(reading())
        assert sender.flush(60) == ""
        sender.stop(3)
        topics[form] = {topic for topic in kept(broker.port) if topic.startswith("homeassistant/")}
    assert topics["device"] == {CONFIG, f"homeassistant/device/{sender.topics.bridge_node}/config"}
    assert "homeassistant/sensor/renogy_8428d7ff0001/pv_power/config" in topics["entity"]
    assert not [topic for topic in topics["entity"] if topic.startswith("homeassistant/device/")]
    assert topics["none"] == set()
    ears.caught_up()
    assert '{"migrate_discovery": true}' in ears.on(CONFIG)


def test_a_form_of_many_messages_is_not_cut_by_the_queue(broker: Mosquitto, sink: Sinks) -> None:
    """Two batteries in entity form are more messages than paho may hold unconfirmed."""
    sender = sink(HOUSE_48, HOUSE_49, discovery="entity", daemon=False)
    for identity in (HOUSE_48, HOUSE_49):
        sender.offer(full(identity, "battery"))
    assert sender.flush(60) == ""
    entities = [topic for topic in kept(broker.port) if topic.startswith("homeassistant/") and "806fb00f1234" in topic]
    assert len(entities) > 150


def test_another_program_with_the_same_topic_cannot_switch_us_off(ears: Listener, sink: Sinks) -> None:
    sender = sink(ROVER)
    sender.offer(reading())
    ears.wait_for(AVAILABILITY, "online")
    ears.say(BRIDGE, "offline", retain=True)
    ears.wait(lambda: ears.on(BRIDGE)[-2:] == ["offline", "online"])


def test_stop_says_offline_and_is_harmless_twice(broker: Mosquitto, sink: Sinks) -> None:
    sender = sink(ROVER)
    sender.offer(reading())
    assert sender.flush(60) == ""
    begun = time.monotonic()
    assert sender.stop(30)
    assert time.monotonic() - begun < 20
    assert sender.stop(30)
    held = kept(broker.port)
    assert held[BRIDGE] == held[AVAILABILITY] == "offline"
    assert not sender.alive


def test_stop_delivers_what_still_waits(ears: Listener, sink: Sinks) -> None:
    sender = sink(ROVER, announce=False, topic="fast")
    for watts in (1, 2, 3):
        sender.offer(power(watts))
        time.sleep(0.3)
    assert sender.stop(30)
    ears.wait(lambda: powers(ears, "fast")[-1:] == [3])


def test_a_single_run_leaves_no_offline_behind(broker: Mosquitto, sink: Sinks) -> None:
    sender = sink(ROVER, daemon=False)
    sender.offer(reading())
    assert sender.flush(60) == ""
    assert sender.stop(4, last_words=False)
    held = kept(broker.port)
    assert held[BRIDGE] == held[AVAILABILITY] == "online"
    assert STATE in held


def test_stopping_without_ever_starting_or_offering(broker: Mosquitto, sink: Sinks) -> None:
    sender = sink(ROVER, daemon=False)
    assert sender.flush(1) == ""
    assert sender.stop(30)


def test_a_message_of_the_callers_own(ears: Listener, sink: Sinks) -> None:
    sender = sink(ROVER)
    sender.publish("any/topic", "any words")
    assert ears.wait_for("any/topic") == "any words"
