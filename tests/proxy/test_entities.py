"""From a row of the tables to an entity and its state."""

from __future__ import annotations

import json
import math
import re
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renogybt import devices
from renogybt.protocol.codec import DECI, U16, U32
from renogybt.protocol.quantity import ENERGY_WH, FLAG, STATE, TEMPERATURE, TEXT, VOLTAGE
from renogybt.protocol.table import Derived, Field, Row
from renogybt.proxy import messages
from renogybt.proxy.catalogue import Catalogue
from renogybt.proxy.entities import (
    LONGEST_TEXT,
    Entity,
    decimals_of,
    described,
    in_kilowatt_hours,
    kind_of,
    numbers,
    shown,
    state,
    unit_of,
)
from renogybt.reading import Identity, Reading
from renogybt.sinks.discovery import component
from tests.proxy.given import FIGURES
from tests.sinks.rules import faults_of_component

TABLES = [*devices.FAMILIES, "bank:48,49,50,51"]
BATTERY = Identity("80:6F:B0:0F:12:34", 48, "House", shared=True)
WARMTH = Field(0, "warmth", DECI, TEMPERATURE)
VOLTS = Field(0, "volts", DECI, VOLTAGE)
WORD = Derived("word", (), None, STATE, options=["on", "off"])
NOTE = Derived("note", (), None, TEXT)
SWITCHED = Derived("switched", (), None, FLAG)
TOTAL = Field(0, "generation_total", U32, ENERGY_WH)
TODAY = Field(0, "generation_today", U16, ENERGY_WH)


def full(family: str) -> Reading:
    """A reading in which nothing is missing."""
    table = devices.family(family)
    values = {
        row.key: 1 if kind_of(row) == messages.SENSOR else row.options[0] if row.options else True for row in table.rows()
    }
    identity = Identity(BATTERY.mac, None, "House", True) if family.startswith("bank") else BATTERY
    return Reading(identity, family, values | {row.only_if: 16 for row in table.fields if row.only_if}, 0, 0)


def entity(row: Row, unit: str = "") -> Entity:
    return Entity("aabb", row, kind_of(row), 5, 9, "Name", "name", unit, 1)


def opened(packet: tuple[int, bytes]) -> Any:
    return messages.opened(*packet)


@pytest.mark.parametrize("temperature_unit", ["C", "F"])
@pytest.mark.parametrize("family", TABLES)
def test_every_table_makes_sound_entities(family: str, temperature_unit: str) -> None:
    """What Home Assistant holds against entities from MQTT, it holds against these."""
    reading = full(family)
    found = Catalogue([reading.identity], temperature_unit)
    found.take(reading)
    found.take_figures(reading.identity, FIGURES)
    listed = list(found.listing.entities.values())
    assert len({one.number for one in listed}) == len(listed)
    assert len({(one.kind, one.name) for one in listed}) == len({(one.kind, one.object_id) for one in listed}) == len(listed)
    for one in listed:
        told = opened(described(one))
        assert re.fullmatch(r"[a-z0-9_]+", told.object_id)
        assert told.key == one.number > 0
        assert told.icon == "" or re.fullmatch(r"mdi:[a-z0-9-]+", told.icon)
        assert told.device_class != "enum"
        assert told.entity_category in (messages.NO_CATEGORY, messages.DIAGNOSTIC)
        if one.kind == messages.SENSOR:
            classes = ["", "measurement", "total_increasing", "total"]
            as_mqtt = component(one.row, "node", temperature_unit) | {
                "unit_of_measurement": told.unit_of_measurement,
                "device_class": told.device_class,
                "state_class": classes[told.state_class],
                "suggested_display_precision": told.accuracy_decimals,
            }
            as_mqtt = {key: value for key, value in as_mqtt.items() if value != ""}
            assert list(faults_of_component(as_mqtt, {"state_topic": "x"})) == [], one.row.key


def test_the_list_says_what_the_row_says() -> None:
    told = opened(described(entity(Field(0, "volts", DECI, VOLTAGE, hidden=True), "V")))
    assert (told.object_id, told.key, told.name, told.device_id) == ("name", 5, "Name", 9)
    assert (told.unit_of_measurement, told.accuracy_decimals, told.device_class) == ("V", 1, "voltage")
    assert (told.state_class, told.entity_category, told.disabled_by_default) == (1, 0, True)
    told = opened(described(entity(SWITCHED)))
    assert (type(told).DESCRIPTOR.name, told.entity_category) == ("ListEntitiesBinarySensorResponse", 2)
    told = opened(described(entity(WORD)))
    assert (type(told).DESCRIPTOR.name, told.device_class) == ("ListEntitiesTextSensorResponse", "")


def test_lifetime_energy_goes_out_in_kwh() -> None:
    """In Wh a 32-bit float would lose its steps: 20 MWh and 1 Wh more are the same there."""
    (lost,) = struct.unpack("f", struct.pack("f", 20_000_001))
    assert lost == 20_000_000
    assert shown(TOTAL, 20_000_001, "C") == 20_000.001
    assert (unit_of(TOTAL, "C"), decimals_of(TOTAL)) == ("kWh", 3)
    assert shown(TODAY, 561, "C") == 561
    assert (unit_of(TODAY, "C"), decimals_of(TODAY)) == ("Wh", 0)
    assert not in_kilowatt_hours(VOLTS)


def test_fahrenheit_is_made_at_the_edge() -> None:
    assert (shown(WARMTH, 20.0, "F"), unit_of(WARMTH, "F")) == (68.0, "°F")
    assert (shown(WARMTH, 20.0, "C"), unit_of(WARMTH, "C")) == (20.0, "°C")
    assert (shown(VOLTS, 20.0, "F"), unit_of(VOLTS, "F")) == (20.0, "V")


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, "12.3", True, [1.0], {"a": 1}])
def test_what_is_no_number_is_missing(value: object) -> None:
    assert shown(VOLTS, value, "C") is None
    told = opened(state(entity(VOLTS), None))
    assert told.missing_state
    assert math.isnan(told.state)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((True, True), (False, False), ("on", True), ("off", False), ("connected", True), ("disconnected", False)),
        *((None, None), ("", None), ("unknown (9)", None), (2, None), ((), None), (["on"], None)),
    ],
)
def test_yes_and_no(value: object, expected: bool | None) -> None:
    found = shown(SWITCHED, value, "C")
    assert found is expected
    told = opened(state(entity(SWITCHED), found))
    assert (told.missing_state, told.state) == (expected is None, bool(expected))


def test_texts_are_never_too_long() -> None:
    assert shown(NOTE, "x" * LONGEST_TEXT, "C") == "x" * LONGEST_TEXT
    cut = shown(NOTE, "ü" * (LONGEST_TEXT + 1), "C")
    assert cut == "ü" * (LONGEST_TEXT - 1) + "…"
    assert opened(state(entity(NOTE), cut)).state == cut
    assert shown(NOTE, ["a"], "C") is None
    assert shown(NOTE, "\ud800", "C") == "?"
    assert shown(WORD, "unknown (9)", "C") == "unknown (9)"


@given(
    st.sampled_from([WARMTH, VOLTS, WORD, NOTE, SWITCHED, TOTAL, TODAY]),
    st.one_of(st.none(), st.floats(), st.integers(), st.text(), st.booleans(), st.lists(st.integers())),
    st.sampled_from(["C", "F"]),
)
def test_any_value_can_be_sent(row: Row, value: object, temperature_unit: str) -> None:
    found = shown(row, value, temperature_unit)
    told = opened(state(entity(row), found))
    assert told.missing_state is (found is None)


def test_numbers_depend_on_the_names_alone() -> None:
    names = [f"device/{n}" for n in range(500)]
    found = numbers(names)
    assert found == numbers(reversed(names))
    assert all(found[name] == numbers([name])[name] for name in names)
    assert len(set(found.values())) == 500
    assert 0 < min(found.values()) <= max(found.values()) < 1 << 32
    assert numbers(["aabbccddeeff/voltage"]) == {"aabbccddeeff/voltage": 1992255877}, "keys must never change"


def test_names_that_come_to_the_same_number() -> None:
    """`plumless` and `buckeroo` have one checksum."""
    both = numbers(["plumless", "buckeroo"])
    assert both["buckeroo"] == numbers(["buckeroo"])["buckeroo"] == numbers(["plumless"])["plumless"]
    assert both["plumless"] != both["buckeroo"]
    assert both == numbers(["buckeroo", "plumless"])


def test_what_is_remembered_is_json() -> None:
    found = Catalogue([BATTERY])
    found.take(full("battery"))
    assert json.loads(json.dumps(found.remembered())) == found.remembered()
