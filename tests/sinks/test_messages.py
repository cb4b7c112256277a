"""What follows from news, without a broker."""

from __future__ import annotations

import json
from typing import Any

import pytest

from renogybt.reading import Identity, LinkFigures, Stage
from renogybt.settings import Mqtt
from renogybt.sinks.messages import Figures, Messages
from renogybt.sinks.outbox import Message
from renogybt.sinks.topics import Topics
from tests.sinks.given import HOUSE, HOUSE_48, HOUSE_49, ROVER, battery, failure, reading, settings, standing


def messages(*identities: Identity, daemon: bool = True, data: dict[str, Any] | None = None, **mqtt: Any) -> Messages:
    options = settings(Mqtt(**{"topic": "solar", "homeassistant_discovery": True, **mqtt}), *identities, **data or {})
    return Messages(options, identities, Topics.of(options, "ab12"), daemon, "host")


def test_availability_is_said_when_it_changes() -> None:
    desk = messages(ROVER)
    said = [[m.payload for m in desk.of(news) if m.topic.endswith("/availability")] for news in (reading(), reading())]
    assert said == [["online"], []]
    gone = standing(ROVER, "offline", reading(), 600)
    assert [m.payload for m in desk.of(gone)][1:] == ["offline"]
    assert desk.of(gone)[1:] == []
    assert [m.payload for m in desk.of(reading())][1:] == ["online"]


def test_a_failure_alone_changes_nothing_in_a_daemon_but_ends_the_availability_in_a_single_run() -> None:
    desk, once = messages(ROVER), messages(ROVER, daemon=False)
    assert desk.of(failure(ROVER)) == []
    assert [(m.topic, m.payload) for m in once.of(failure(ROVER))] == [("solar/BT-TH-1234_255/availability", "offline")]


@pytest.mark.parametrize(
    ("stage", "age", "shown", "available"),
    [
        ("stale", 59.9, ("offline", 59, 34), "online"),
        ("released", 59.9, ("released", 59, 34), "online"),
        ("blank", 300.0, ("offline", None, None), "online"),
        ("offline", 600.0, ("offline", None, None), "offline"),
    ],
)
def test_what_is_said_of_a_device_that_is_not_read(stage: Stage, age: float, shown: tuple[Any, ...], available: str) -> None:
    desk = messages(ROVER)
    fresh = json.loads(desk.of(reading())[0].payload)
    assert (fresh["connection_status"], fresh["data_age"]) == ("online", 0)
    desk.of(standing(ROVER, "offline", reading(), 1000.0))
    said = desk.of(standing(ROVER, stage, reading(), age))
    content = json.loads(said[0].payload)
    assert (content["connection_status"], content["data_age"], content["pv_power"]) == shown
    assert list(content) == list(fresh)
    assert (said[0].topic, said[0].retain, said[0].taken_at) == ("solar/BT-TH-1234_255", True, 0.0)
    assert desk.newest["solar/BT-TH-1234_255/availability"].payload == available


def test_a_blank_document_keeps_its_keys_and_nothing_but_whose_they_are() -> None:
    desk = messages(HOUSE)
    bank = reading(HOUSE, "bank:48,49", combined_voltage=13.3, batteries_online=2)
    fresh = json.loads(desk.of(bank)[0].payload)
    blank = json.loads(desk.of(standing(HOUSE, "blank", bank, 300))[0].payload)
    assert list(blank) == list(fresh)
    kept = {key: value for key, value in blank.items() if value is not None}
    assert kept == {
        "function": "READ",
        "__device": "BT-TH-1234",
        "__client": fresh["__client"],
        "connection_status": "offline",
    }


@pytest.mark.parametrize("stage", ["offline", "released"])
def test_of_a_device_that_was_never_read_no_value_is_ever_said(stage: Stage) -> None:
    said = messages(ROVER).of(standing(ROVER, stage))
    assert [(m.topic, m.payload, m.retain) for m in said] == [("solar/BT-TH-1234_255/availability", "offline", True)]


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        (("pv_power",), ["pv_power"]),
        (("pv_power", "connection_status"), ["pv_power", "connection_status"]),
        (("*_a?e",), ["data_age"]),
    ],
)
def test_who_lists_fields_gets_only_these(fields: tuple[str, ...], keys: list[str]) -> None:
    desk = messages(ROVER, data={"fields": fields})
    assert list(json.loads(desk.of(reading())[0].payload)) == keys
    assert list(json.loads(desk.of(standing(ROVER, "blank", reading(), 400))[0].payload)) == keys


def test_temperatures_that_are_old_keep_their_unit() -> None:
    desk = messages(ROVER, data={"temperature_unit": "F"})
    fresh, old = (desk.of(news)[0] for news in (reading(), standing(ROVER, "stale", reading(), 60)))
    assert json.loads(fresh.payload)["battery_temperature"] == json.loads(old.payload)["battery_temperature"] == 14.0


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
    desk.of(standing(ROVER, "offline"))
    assert [(m.topic, m.payload, m.retain) for m in desk.last_words()] == [
        ("solar/House_48/availability", "offline", True),
        ("solar/House_49/availability", "offline", True),
        ("solar/BT-TH-1234_255/availability", "offline", True),
        ("solar/bridge/availability", "offline", True),
    ]
