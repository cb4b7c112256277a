"""What stays, what moves and what is taken back when the program comes again."""

from __future__ import annotations

import json

from renogybt import devices
from renogybt.reading import Identity
from renogybt.sinks.announce import Announcer
from renogybt.sinks.discovery import found
from renogybt.sinks.outbox import Message
from renogybt.sinks.topics import node_of
from tests.sinks.announced import (
    CONFIG,
    DEVICE,
    ENTITY,
    FIGURES,
    NONE,
    after_restart,
    announcer,
    config,
    stored,
    told,
)
from tests.sinks.given import HOUSE_48, HOUSE_49, MAC, ROVER, battery, full, reading


def test_components_announced_before_a_restart_stay() -> None:
    held = stored(told(announcer(), full(ROVER, "controller"), FIGURES))
    words, said = after_restart(held, DEVICE, ROVER)
    assert said == []
    again = config(told(words, reading(ROVER, "controller", pv_power=1)))
    assert again["components"] == json.loads(held[CONFIG])["components"]


def test_the_model_read_before_a_restart_stays() -> None:
    held = stored(told(announcer(), reading()))
    words, _ = after_restart(held, DEVICE, ROVER)
    assert config(told(words, reading(ROVER, "controller", pv_power=1)))["device"]["model"] == "RNG-CTRL-RVR40"


def test_components_no_longer_possible_are_removed_once() -> None:
    held = stored(told(announcer(), battery()))
    words, _ = after_restart(held, DEVICE, HOUSE_48, HOUSE_49, fields=("voltage", "cell_voltage_*"))
    first, second = told(words, battery(cell_count=2))
    removed, kept = json.loads(first[0].payload)["components"], json.loads(second[0].payload)["components"]
    assert removed["cell_voltage_3"] == {"platform": "sensor"}
    assert removed["problem"] == {"platform": "binary_sensor"}
    assert {key for key, part in removed.items() if len(part) > 1} == set(kept)
    assert set(kept) == {"voltage", "cell_voltage_0", "cell_voltage_1", "connected"}
    (only,) = words.waves([node_of(HOUSE_48)])
    assert json.loads(only[0].payload)["components"] == kept


def test_a_count_that_was_not_read_removes_nothing() -> None:
    held = stored(told(announcer(), battery()))
    words, _ = after_restart(held, DEVICE, HOUSE_48)
    waves = told(words, reading(HOUSE_48, "battery", voltage=13.0))
    assert len(waves) == 1
    assert config(waves)["components"] == json.loads(next(iter(held.values())))["components"]


def test_a_device_no_longer_configured_is_taken_back() -> None:
    held = stored(told(announcer(), battery(HOUSE_49), FIGURES))
    _, said = after_restart(held, DEVICE, HOUSE_48)
    assert {message.topic for message in said} == {
        "homeassistant/device/renogy_806fb00f1234_49/config",
        "solar/House_49",
        "solar/House_49/availability",
        "solar/House_49/link",
    }
    assert all(message.payload == "" and message.retain for message in said)


def test_others_are_left_alone() -> None:
    theirs = config(told(announcer(), battery(HOUSE_49)))
    other_bridge = theirs | {"device": theirs["device"] | {"via_device": "renogy_bridge_ffff"}}
    other_program = theirs | {"origin": {"name": "zigbee2mqtt"}}
    for payload in (
        json.dumps(other_bridge),
        json.dumps(other_program),
        "",
        "no JSON",
        "[1]",
        '{"migrate_discovery": true}',
    ):
        words, said = after_restart({"homeassistant/device/renogy_806fb00f1234_49/config": payload}, DEVICE, HOUSE_48)
        assert said == []
        assert words.waves([]) == []


def test_nothing_is_taken_back_while_the_configuration_is_not_known() -> None:
    held = stored(told(announcer(), battery(HOUSE_49)))
    words = Announcer(DEVICE, None)
    assert [m for topic, payload in held.items() for m in words.read_back(topic, payload)] == []


def test_a_device_with_a_new_name_lets_go_of_its_old_topics_at_the_end() -> None:
    held = stored(told(announcer(), battery(), FIGURES))
    renamed = Identity(MAC, 48, "Van", True)
    words, said = after_restart(held, DEVICE, renamed)
    assert said == []
    first, last = told(words, battery(renamed))
    assert json.loads(first[0].payload)["state_topic"] == "solar/Van_48"
    old = {"solar/House_48", "solar/House_48/availability", "solar/House_48/link"}
    assert {(m.topic, m.payload) for m in last} == {(topic, "") for topic in old}
    assert [node_of(renamed)] == [*words.devices]


def test_topics_still_in_use_are_not_cleared_with_a_device_that_is_gone() -> None:
    """A battery was replaced: another address, the same place."""
    gone = stored(told(announcer(), battery(Identity("11:11:11:11:11:11", 48, "House", True))))
    _, said = after_restart(gone, DEVICE, HOUSE_48)
    assert [message.topic for message in said] == ["homeassistant/device/renogy_111111111111_48/config"]


def test_from_entity_to_device_form_with_history() -> None:
    held = stored(told(announcer(ENTITY), battery(), FIGURES))
    words, _ = after_restart(held, DEVICE, HOUSE_48, fields=("voltage", "current"))
    first, second, third = told(words, battery())
    moved = {m.topic for m in first if m.payload == '{"migrate_discovery": true}'}
    assert moved >= {f"homeassistant/sensor/renogy_806fb00f1234_48/{key}/config" for key in ("voltage", "current")}
    gone = {m.topic for m in first if not m.payload}
    assert moved | gone == set(held)
    assert not moved & gone
    assert [m.topic for m in second] == ["homeassistant/device/renogy_806fb00f1234_48/config"]
    assert {m.topic for m in third} == moved
    assert not any(m.payload for m in third)
    ids = {json.loads(payload)["unique_id"] for topic, payload in held.items() if topic in moved}
    assert ids == {part["unique_id"] for part in config([second])["components"].values()}


def test_from_device_to_entity_form_with_history() -> None:
    topic = "homeassistant/device/renogy_806fb00f1234_48/config"
    held = stored(told(announcer(), battery(), FIGURES))
    words, _ = after_restart(held, ENTITY, HOUSE_48)
    first, second, third = told(words, reading(HOUSE_48, "battery", voltage=13.0))
    assert first == [Message(topic, '{"migrate_discovery": true}', 1, True)]
    assert {json.loads(m.payload)["unique_id"] for m in second} == {
        part["unique_id"] for part in json.loads(held[topic])["components"].values()
    }
    assert third == [Message(topic, "", 1, True)]


def test_a_migration_cut_short_is_finished() -> None:
    old = "homeassistant/sensor/renogy_806fb00f1234_48/voltage/config"
    words, _ = after_restart({old: '{"migrate_discovery": true}'}, DEVICE, HOUSE_48)
    waves = told(words, battery())
    assert [m.payload for wave in waves for m in wave if m.topic == old][-1] == ""


def test_an_entity_no_longer_possible_is_cleared() -> None:
    held = stored(told(announcer(ENTITY), battery()))
    words, _ = after_restart(held, ENTITY, HOUSE_48, fields=("voltage",))
    messages = {m.topic: m.payload for wave in told(words, battery()) for m in wave}
    assert {topic.split("/")[3] for topic, payload in messages.items() if payload} == {"voltage", "connected"}
    assert set(messages) == set(held)


def test_switching_discovery_off_takes_everything_back() -> None:
    words = announcer()
    words.remember(battery(), devices.family("battery"))
    held = stored(words.waves(words.announced, bridge=True))
    silent, said = after_restart(held, NONE, HOUSE_48)
    assert {m.topic for m in said} == set(held)
    assert told(silent, battery()) == []
    info = {"node": NONE.bridge_node, "discovery": "device", "devices": words.devices}
    assert set(held) <= set(silent.more_filters(info))
    assert silent.more_filters(info | {"discovery": "none"}) == []
    assert silent.more_filters(info | {"node": "renogy_bridge_ffff"}) == []


def test_reading_back_finds_all_topics() -> None:
    (wave,) = told(announcer(), battery(), FIGURES)
    back = found(DEVICE, wave[0].topic, wave[0].payload)
    assert back is not None
    assert back.components["voltage"] == "sensor"
    assert set(back.topics) >= {"solar/House_48", "solar/House_48/link", "solar/House_48/availability"}
    assert back.via == "renogy_bridge_ab12"
    assert MAC.replace(":", "").lower() in back.node
