"""What follows from news, without a broker."""

from __future__ import annotations

import json
from typing import Any

from renogybt.reading import Identity, LinkFigures
from renogybt.settings import Mqtt
from renogybt.sinks.messages import Figures, Messages
from renogybt.sinks.outbox import Message
from renogybt.sinks.topics import Topics
from tests.sinks.given import HOUSE_48, HOUSE_49, ROVER, battery, failure, reading, settings


def messages(*identities: Identity, daemon: bool = True, **mqtt: Any) -> Messages:
    options = settings(Mqtt(**{"topic": "solar", "homeassistant_discovery": True, **mqtt}), *identities)
    return Messages(options, identities, Topics.of(options, "ab12"), daemon, "host")


def test_availability_is_said_when_it_changes() -> None:
    desk = messages(ROVER)
    said = [[m.payload for m in desk.of(news) if m.topic.endswith("/availability")] for news in (reading(), reading())]
    assert said == [["online"], []]
    assert [m.payload for m in desk.of(failure(ROVER))] == ["offline"]
    assert desk.of(failure(ROVER)) == []
    assert [m.payload for m in desk.of(reading())][1:] == ["online"]


def test_quality_and_retention_follow_the_settings() -> None:
    state, availability = messages(ROVER).of(reading())
    assert (state.qos, state.retain, availability.qos, availability.retain) == (0, True, 1, True)
    assert messages(ROVER, qos=1, retain="false").of(reading())[0][2:4] == (1, False)
    assert messages(ROVER, homeassistant_discovery=False).of(reading())[0][2:4] == (0, False)


def test_a_single_run_has_everything_confirmed() -> None:
    desk = messages(ROVER, daemon=False)
    news = (reading(), Figures(ROVER, LinkFigures()), Message("a", "b"))
    assert {m.qos for item in news for m in desk.of(item)} == {1}


def test_another_variant_of_the_same_device_leaves_nothing_of_the_first() -> None:
    desk = messages(ROVER)
    desk.of(reading(ROVER, "dc_charger", ignition_status="connected"))
    content = json.loads(desk.of(reading(ROVER, "dc_charger_g6", pv_power=1))[0].payload)
    assert "ignition_status" not in content


def test_last_words_of_devices_first_and_the_bridge_last() -> None:
    desk = messages(HOUSE_48, HOUSE_49)
    desk.of(battery(HOUSE_48))
    desk.of(failure(ROVER))
    assert [(m.topic, m.payload, m.retain) for m in desk.last_words()] == [
        ("solar/House_48/availability", "offline", True),
        ("solar/House_49/availability", "offline", True),
        ("solar/BT-TH-1234_255/availability", "offline", True),
        ("solar/bridge/availability", "offline", True),
    ]
