"""The JSON of one reading."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renogybt import devices
from renogybt.sinks.document import cleaned, document, unknown_fields
from tests.sinks.given import ROVER, battery, reading

TODAY = [row.key for row in devices.family("controller").rows() if row.key.endswith("_today")]
EVERYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def test_every_key_stands_there_in_table_order_between_function_and_device() -> None:
    found = document(reading(), "C", ())
    assert list(found) == ["function", *devices.family("controller").keys(), "__device", "__client"]
    assert (found["function"], found["__device"], found["__client"]) == ("READ", "BT-TH-1234", "RoverClient")
    assert found["pv_power"] == 34
    assert found["pv_voltage"] is None
    assert found["charging_status"] == "mppt"


def test_the_alias_stands_in_for_a_name_that_is_not_known() -> None:
    assert document(reading(ROVER), "C", ())["__device"] == "BT-TH-1234"


def test_fahrenheit_at_the_edge_only() -> None:
    taken = battery()
    found = document(taken, "F", ())
    assert (found["temperature_0"], found["temperature_1"], found["temperature_2"]) == (69.8, 24.8, None)
    assert found["voltage"] == 13.3
    assert taken.values["temperature_0"] == 21.0
    assert document(taken, "C", ())["temperature_0"] == 21.0


def test_fahrenheit_reaches_the_bank_and_integers() -> None:
    bank = reading(ROVER, "bank:48,49", **{"battery_48_temperature_min": -40.0, "combined_voltage": 13.0})
    assert document(bank, "F", ())["battery_48_temperature_min"] == -40.0
    assert document(bank, "F", ())["combined_voltage"] == 13.0
    assert document(reading(), "F", ())["controller_temperature"] == 77.0


def test_settings_of_a_temperature_slope_are_no_temperature() -> None:
    assert document(reading(temperature_compensation=3), "F", ())["temperature_compensation"] == 3


def test_the_predecessors_spelling_stands_beside_the_right_one() -> None:
    found = document(reading(ROVER, "inverter", load_current=1.5, load_curent=1.5), "C", ())
    assert found["load_current"] == found["load_curent"] == 1.5


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        (("pv_power", "battery_voltage"), ["battery_voltage", "pv_power"]),
        (("*_today",), TODAY),
        (("no_such", "pv_power"), ["pv_power"]),
        (("no_such",), []),
        (("__device", "pv_power"), ["pv_power", "__device"]),
    ],
)
def test_fields_filter_and_keep_the_order_of_the_table(fields: tuple[str, ...], keys: list[str]) -> None:
    assert list(document(reading(), "C", fields)) == keys


def test_unknown_fields_are_named() -> None:
    names = ("pv_power", "pv_pwer", "cell_*", "*_today", "__client", "function")
    assert unknown_fields(names, devices.family("controller")) == ["pv_pwer", "cell_*"]
    assert unknown_fields((), devices.family("controller")) == []


def test_what_only_mqtt_adds_is_a_known_name_but_in_no_document() -> None:
    assert unknown_fields(("connection_status", "data_age"), devices.family("controller")) == []
    assert not {"connection_status", "data_age"} & set(document(reading(), "C", ()))


def test_noise_goes_and_what_json_cannot_carry_becomes_null() -> None:
    found = document(
        battery(voltage=0.1 + 0.2, current=math.nan, power=math.inf, cell_voltage_0=3.3000000000000003), "C", ()
    )
    assert (found["voltage"], found["current"], found["power"], found["cell_voltage_0"]) == (0.3, None, None, 3.3)


@given(EVERYTHING)
def test_anything_cleaned_is_json(value: Any) -> None:
    assert json.loads(json.dumps(cleaned(value), allow_nan=False)) == cleaned(value)
