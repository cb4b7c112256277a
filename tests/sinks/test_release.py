"""Asking for a module by MQTT: the button in Home Assistant, and the topic behind it."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renogybt.command import Command
from renogybt.reading import Identity
from renogybt.sinks.release import ReleaseButtons, hosts, minutes_of
from tests.peers.mosquitto import Listener, Mosquitto, kept, until
from tests.sinks.announced import DEVICE
from tests.sinks.conftest import Sinks
from tests.sinks.given import HOUSE, HOUSE_48, HOUSE_49, ROVER, battery, reading
from tests.sinks.rules import faults_of_device_form, faults_of_entity_form

CONFIG = "homeassistant/device/renogy_8428d7ff0001/config"
TOPIC = "solar/BT-TH-1234_255/release"
PAST = Identity(ROVER.mac, 255, "past", part="history")


@pytest.mark.parametrize(
    ("payload", "minutes"),
    [
        ("10", 10),
        ("1", 1),
        ("240", 240),
        ("7.5", 7.5),
        (" 30\n", 30),
        ("0", 0),
        ("00", 0),
        ("0.5", None),
        ("241", None),
        ("-5", None),
        ("1e2", None),
        ("1_0", None),
        ("nan", None),
        ("inf", None),
        ("٣", None),
        ("PRESS", None),
        ("", None),
        ("10 min", None),
        ("9" * 5000, None),
    ],
)
def test_minutes(payload: str, minutes: float | None) -> None:
    assert minutes_of(payload) == minutes


@given(st.text())
def test_any_text_is_a_time_within_bounds_or_none(payload: str) -> None:
    minutes = minutes_of(payload)
    assert minutes is None or minutes == 0 or 1 <= minutes <= 240


@pytest.mark.parametrize(
    ("identities", "found"),
    [
        ([HOUSE_48, HOUSE_49, HOUSE, ROVER], [HOUSE, ROVER]),
        ([HOUSE, HOUSE_48], [HOUSE]),
        ([HOUSE_49, HOUSE_48], [HOUSE_49]),
        ([ROVER, PAST], [ROVER]),
        ([], []),
    ],
)
def test_one_button_per_module(identities: list[Identity], found: list[Identity]) -> None:
    assert hosts(identities) == found


def test_without_somebody_to_carry_it_out_there_is_no_button(sink: Sinks, ears: Listener) -> None:
    assert ReleaseButtons(DEVICE, [ROVER], None).topics == []
    sender = sink(ROVER)
    sender.offer(reading())
    assert "release" not in json.loads(ears.wait_for(CONFIG))["components"]


def test_the_button_to_the_letter_and_pressed(sink: Sinks, ears: Listener) -> None:
    asked: list[Command] = []
    sender = sink(ROVER, on_command=asked.append)
    sender.offer(reading())
    payload = json.loads(ears.wait_for(CONFIG))
    assert list(faults_of_device_form(payload)) == []
    button = payload["components"]["release"]
    assert button == {
        "platform": "button",
        "unique_id": "renogy_8428d7ff0001_release",
        "name": "Release for the phone app",
        "command_topic": TOPIC,
        "payload_press": "10",
        "entity_category": "config",
        "icon": "mdi:cellphone-link",
        "availability": [{"topic": "solar/bridge/availability"}],
        "availability_mode": "all",
    }
    ears.say(button["command_topic"], button["payload_press"])
    until(lambda: asked)
    assert asked == [Command("release", ROVER.uid, 10.0)]


def test_other_numbers_of_minutes_and_back(sink: Sinks, ears: Listener) -> None:
    asked: list[Command] = []
    sender = sink(HOUSE_48, HOUSE, on_command=asked.append)
    sender.offer(battery())
    sender.offer(reading(HOUSE, "bank:48", combined_voltage=13.3))
    ears.wait_for("solar/House_combined")
    ears.say("solar/House_combined/release", "90")
    ears.say("solar/House_48/release", "20")
    ears.say("solar/House_combined/release", "0")
    until(lambda: len(asked) >= 2)
    assert [(command.do, command.device, command.minutes) for command in asked] == [
        ("release", HOUSE.uid, 90.0),
        ("resume", HOUSE.uid, 10.0),
    ]


def test_without_discovery_the_topic_is_there_all_the_same(sink: Sinks, ears: Listener) -> None:
    asked: list[Command] = []
    sender = sink(ROVER, announce=False, topic="solar/state", on_command=asked.append)
    sender.offer(reading())
    ears.wait_for("solar/state")
    ears.say("solar/state/release", "15")
    until(lambda: asked)
    assert asked == [Command("release", ROVER.uid, 15.0)]


def test_entity_form_and_back_to_none(broker: Mosquitto, ears: Listener, sink: Sinks) -> None:
    topic = "homeassistant/button/renogy_8428d7ff0001/release/config"
    sender = sink(ROVER, discovery="entity", on_command=print)
    sender.offer(reading())
    payload = json.loads(ears.wait_for(topic))
    assert list(faults_of_entity_form(topic, payload)) == []
    assert payload["command_topic"] == TOPIC
    assert sender.flush(60) == ""
    sender.stop(3)
    gone = sink(ROVER, discovery="none", on_command=print)
    gone.offer(reading())
    until(lambda: not [held for held in kept(broker.port) if held.startswith("homeassistant/")])


def test_a_button_that_has_no_place_any_more_is_removed(ears: Listener, sink: Sinks) -> None:
    first = sink(HOUSE_48, on_command=print)
    first.offer(battery())
    assert first.flush(60) == ""
    first.stop(3)
    second = sink(HOUSE_48, HOUSE_49, HOUSE, on_command=print)
    second.offer(battery())
    second.offer(reading(HOUSE, "bank:48,49", combined_voltage=13.3))
    config = "homeassistant/device/renogy_806fb00f1234_48/config"
    ears.wait(lambda: len(ears.on(config)) >= 3)
    removed, left = (json.loads(payload)["components"] for payload in ears.on(config)[-2:])
    assert removed["release"] == {"platform": "button"}
    assert "release" not in left
    bank = json.loads(ears.wait_for("homeassistant/device/renogy_806fb00f1234_combined/config"))
    assert bank["components"]["release"]["command_topic"] == "solar/House_combined/release"


def test_what_the_broker_kept_is_not_obeyed_but_cleared(broker: Mosquitto, ears: Listener, sink: Sinks) -> None:
    asked: list[Command] = []
    ears.say(TOPIC, "30", retain=True)
    sender = sink(ROVER, on_command=asked.append)
    sender.offer(reading())
    ears.wait(lambda: ears.on(TOPIC) == ["30", ""])
    assert sender.flush(60) == ""
    assert asked == []
    assert TOPIC not in kept(broker.port)
    ears.say(TOPIC, "5")
    until(lambda: asked)
    assert asked == [Command("release", ROVER.uid, 5.0)]


def test_nonsense_is_ignored_with_one_line(sink: Sinks, ears: Listener, caplog: pytest.LogCaptureFixture) -> None:
    asked: list[Command] = []
    caplog.set_level(logging.WARNING)
    sender = sink(ROVER, on_command=asked.append)
    sender.offer(reading())
    ears.wait_for(CONFIG)
    for payload in ("x" * 100_000, "\x1b[31m\nred", "-1", '{"minutes": 10}', "", "99999"):
        ears.say(TOPIC, payload)
    ears.say(TOPIC, "3")
    until(lambda: asked)
    assert asked == [Command("release", ROVER.uid, 3.0)]
    (line,) = caplog.messages
    assert line.startswith(f"{TOPIC}: 'xxxx")
    assert "is no number of minutes; send 1 to 240, or 0" in line
    assert len(line) < 200


def test_control_characters_do_not_reach_the_log(caplog: pytest.LogCaptureFixture) -> None:
    buttons = ReleaseButtons(DEVICE, [ROVER], lambda command: None)
    assert buttons.heard(TOPIC, "\x1b[31m\nred", False, 0.0) == []
    assert buttons.heard(TOPIC, "again", False, 59.0) == []
    assert buttons.heard(TOPIC, "again", False, 61.0) == []
    assert len(caplog.messages) == 2
    assert caplog.messages[0].isprintable()
