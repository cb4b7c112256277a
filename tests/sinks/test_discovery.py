"""Announcements, key by key, for every device table there is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from renogybt import devices
from renogybt.protocol.codec import DECI, U16, Choice
from renogybt.protocol.quantity import CHARGE, CURRENT, FLAG, IDENTITY, PROBLEM, STATE, TEMPERATURE, TEXT, VOLTAGE
from renogybt.protocol.table import Derived, Family, Field, Gatt, Window
from renogybt.reading import Identity, LinkFigures
from renogybt.sinks.discovery import component, entities
from renogybt.sinks.link import LINK_ROWS, link_document
from renogybt.sinks.topics import node_of
from tests.sinks.announced import (
    CONFIG,
    ENTITY,
    FIGURES,
    announcer,
    config,
    rendered,
    told,
)
from tests.sinks.given import HOUSE, HOUSE_48, ROVER, battery, full, reading
from tests.sinks.rules import faults_of_component, faults_of_device_form, faults_of_entity_form

TABLES = [*devices.FAMILIES, "bank:48,49"]


@pytest.mark.parametrize("unit", ["C", "F"])
@pytest.mark.parametrize("family", TABLES)
def test_every_table_makes_sound_device_announcements(family: str, unit: str) -> None:
    identity = HOUSE if family.startswith("bank") else HOUSE_48
    payload = config(told(announcer(temperature_unit=unit), full(identity, family), FIGURES))
    assert list(faults_of_device_form(payload)) == []
    own = set(entities(devices.family(family), {}, ()))
    assert set(payload["components"]) == own | {row.key for row in LINK_ROWS} | {"connection_status"}
    degrees = {c["unit_of_measurement"] for c in payload["components"].values() if c.get("device_class") == "temperature"}
    assert degrees <= {f"°{unit}"}


@pytest.mark.parametrize("family", TABLES)
def test_every_table_makes_sound_entity_announcements(family: str) -> None:
    messages = [m for wave in told(announcer(ENTITY), full(HOUSE_48, family), FIGURES) for m in wave]
    payloads = {message.topic: json.loads(message.payload) for message in messages}
    assert [fault for topic, payload in payloads.items() for fault in faults_of_entity_form(topic, payload)] == []
    assert len({payload["unique_id"] for payload in payloads.values()}) == len(payloads) == len(messages)
    assert all(message.retain for message in messages)


def test_the_checker_finds_faults() -> None:
    """The rules must be able to fail, else the tests above say nothing."""
    payload = config(told(announcer(), full(HOUSE_48, "battery"), FIGURES))
    payload["expire_after"] = 5
    del payload["components"]["voltage"]["unique_id"]
    payload["components"]["current"]["unit_of_measurement"] = "Ah"
    payload["components"]["power"]["state_class"] = "total"
    payload["components"]["problem"]["icon"] = "mdi:alert"
    payload["components"]["release"] = {"platform": "button", "unique_id": "x", "name": "Release", "state_class": "total"}
    assert len(list(faults_of_device_form(payload))) == 9


def test_the_bridge_is_announced_first_and_soundly() -> None:
    words = announcer()
    words.remember(reading(), devices.family("controller"))
    (wave,) = words.waves(words.announced, bridge=True)
    assert [m.topic for m in wave] == ["homeassistant/device/renogy_bridge_ab12/config", CONFIG]
    payload = json.loads(wave[0].payload)
    assert list(faults_of_device_form(payload)) == []
    assert payload["components"]["status"]["state_topic"] == "solar/bridge/availability"
    assert "availability" not in payload


def test_the_parts_every_device_has() -> None:
    payload = config(told(announcer(), reading(), FIGURES))
    assert payload["device"] == {
        "identifiers": ["renogy_8428d7ff0001"],
        "connections": [["bluetooth", "84:28:D7:FF:00:01"]],
        "name": "BT-TH-1234",
        "manufacturer": "Renogy",
        "model": "RNG-CTRL-RVR40",
        "via_device": "renogy_bridge_ab12",
    }
    assert payload["origin"]["name"] == "renogybt"
    assert payload["availability"] == [
        {"topic": "solar/bridge/availability"},
        {"topic": "solar/BT-TH-1234_255/availability"},
    ]
    assert payload["availability_mode"] == "all"
    assert payload["state_topic"] == "solar/BT-TH-1234_255"


def test_a_voltage_to_the_letter() -> None:
    assert config(told(announcer(), reading()))["components"]["battery_voltage"] == {
        "platform": "sensor",
        "unique_id": "renogy_8428d7ff0001_battery_voltage",
        "name": "Battery voltage",
        "value_template": "{{ value_json.battery_voltage }}",
        "device_class": "voltage",
        "unit_of_measurement": "V",
        "state_class": "measurement",
        "suggested_display_precision": 1,
    }


@pytest.mark.parametrize(
    ("identity", "name", "connected"),
    [
        (ROVER, "BT-TH-1234", True),
        (Identity(ROVER.mac, 255, "Past", part="history"), "Past", False),
        (HOUSE_48, "House 48", False),
        (HOUSE, "House combined", False),
        (Identity("BT-TH-1234", 255, "BT-TH-1234"), "BT-TH-1234", False),
        (Identity("DEADBEEF-0000-1111-2222-333344445555", 255, "Van"), "Van", False),
    ],
)
def test_name_and_connection(identity: Identity, name: str, connected: bool) -> None:
    family = "bank:48,49" if identity.unit is None else "battery"
    payload = config(told(announcer(), full(identity, family)))
    assert payload["device"]["name"] == name
    assert ("connections" in payload["device"]) == connected
    assert list(faults_of_device_form(payload)) == []


def test_versions_and_serial_number_describe_the_device() -> None:
    payload = config(
        told(announcer(), reading(ROVER, "controller", software_version="V01.02.03", serial_number=7, pv_power=1))
    )
    assert (payload["device"]["sw_version"], payload["device"]["serial_number"]) == ("V01.02.03", "7")
    assert payload["device"]["model"] == "Charge controller"


def test_only_what_was_read_once_is_announced_and_it_stays() -> None:
    words = announcer()
    first = config(told(words, reading(ROVER, "controller", pv_power=1)))["components"]
    assert set(first) == {"pv_power", "connected", "connection_status"}
    assert words.remember(reading(ROVER, "controller", pv_voltage=20.0), devices.family("controller"))
    later = config(words.waves([node_of(ROVER)]))["components"]
    assert set(later) == {"pv_power", "pv_voltage", "connected", "connection_status"}
    assert not words.remember(reading(ROVER, "controller", pv_voltage=21.0), devices.family("controller"))


def test_cells_beyond_the_count_are_not_announced() -> None:
    components = config(told(announcer(), battery(cell_voltage_4=0.0)))["components"]
    assert [key for key in components if key.startswith("cell_voltage_") and key[-1].isdigit()] == [
        f"cell_voltage_{n}" for n in range(4)
    ]


def test_fields_choose_the_entities_too() -> None:
    components = config(told(announcer(fields=("pv_*", "faults")), reading()))["components"]
    assert set(components) == {"pv_power", "connected"}


def test_hidden_rows_are_off_until_switched_on() -> None:
    components = config(told(announcer(), full(ROVER, "controller")))["components"]
    assert components["load_voltage"]["enabled_by_default"] is False
    assert "enabled_by_default" not in components["pv_power"]


def test_enums_take_no_word_outside_their_options() -> None:
    parts = config(told(announcer(), reading()))["components"]["charging_status"]
    assert parts["options"][:3] == ["deactivated", "activated", "mppt"]
    values = [
        rendered(parts["value_template"], {"charging_status": v}) for v in ("mppt", "current limiting", "unknown (9)", None)
    ]
    assert values == ["mppt", "current limiting", None, None]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, "ON"),
        (False, "OFF"),
        ("on", "ON"),
        ("off", "OFF"),
        ("connected", "ON"),
        ("disconnected", "OFF"),
        (None, None),
        ("unknown (3)", None),
    ],
)
def test_binary_sensors_understand_all_spellings(value: Any, shown: str | None) -> None:
    template = config(told(announcer(), reading()))["components"]["load_status"]["value_template"]
    assert rendered(template, {"load_status": value}) == shown


def test_the_problem_sensor_explains_itself() -> None:
    parts = config(told(announcer(), battery()))["components"]["problem"]
    assert parts["json_attributes_topic"] == "solar/House_48"
    shown = rendered(parts["json_attributes_template"], {**battery().values})
    assert shown["protections"] == ["cell_overvoltage"]
    assert shown["warnings"] == []
    only = config(told(announcer(fields=("problem", "warnings")), battery()))["components"]["problem"]
    assert only["json_attributes_template"] == "{{ {'warnings': value_json.warnings} | tojson }}"
    assert "json_attributes_topic" not in config(told(announcer(fields=("problem",)), battery()))["components"]["problem"]


def test_link_figures_hang_on_the_bridge_alone() -> None:
    components = config(told(announcer(), reading(), FIGURES))["components"]
    for key in ("connected", "rssi", "last_update", "read_errors"):
        assert components[key]["availability"] == [{"topic": "solar/bridge/availability"}]
        assert components[key]["state_topic"] == "solar/BT-TH-1234_255/link"
        assert components[key]["entity_category"] == "diagnostic"
    assert components["last_update"]["device_class"] == "timestamp"
    assert components["rssi"]["enabled_by_default"] is False
    assert link_document(FIGURES)["last_update"] == "2023-11-14T22:13:20+00:00"
    assert rendered(components["connected"]["value_template"], link_document(FIGURES)) == "ON"
    assert link_document(LinkFigures())["last_error"] is None


def test_how_well_the_link_does_in_home_assistants_terms() -> None:
    components = config(told(announcer(), reading(), FIGURES))["components"]
    shown = ("device_class", "unit_of_measurement", "state_class", "suggested_display_precision", "enabled_by_default")
    found = {key: tuple(components[key].get(name) for name in shown) for key in components}
    assert found["success_rate"] == (None, "%", "measurement", 0, None)
    assert found["connect_seconds"] == ("duration", "s", "measurement", 1, False)
    assert found["data_age"] == ("duration", "s", "measurement", 0, False)
    assert found["resets"] == (None, None, "total_increasing", 0, False)
    assert components["data_age"]["state_topic"] == "solar/BT-TH-1234_255/link"
    content = link_document(FIGURES)
    assert [content[key] for key in ("success_rate", "connect_seconds", "data_age", "resets")] == [33.3, 2.25, 7.4, 1]
    assert link_document(LinkFigures())["data_age"] is None


def test_whether_a_device_is_read_and_how_old_the_values_of_a_bank_are() -> None:
    status = config(told(announcer(), reading(), FIGURES))["components"]["connection_status"]
    assert status["options"] == ["online", "offline", "released"]
    assert (status["device_class"], status["entity_category"]) == ("enum", "diagnostic")
    assert "availability" not in status
    said = [rendered(status["value_template"], {"connection_status": word}) for word in ("released", "else", None)]
    assert said == ["released", None, None]
    bank = config(told(announcer(), full(HOUSE, "bank:48,49")))["components"]["data_age"]
    assert (bank["device_class"], bank["unit_of_measurement"], bank["enabled_by_default"]) == ("duration", "s", False)
    assert "state_topic" not in bank
    chosen = config(told(announcer(fields=("connection_*", "pv_power")), reading()))["components"]
    assert set(chosen) == {"pv_power", "connection_status", "connected"}


def test_a_link_figure_not_known_is_not_announced() -> None:
    words = announcer()
    assert "rssi" not in config(told(words, reading(), LinkFigures(connected=True)))["components"]
    assert words.remember_link(ROVER, link_document(FIGURES))
    assert "rssi" in config(words.waves([node_of(ROVER)]))["components"]


TINY = Family(
    key="tiny",
    title="Tiny",
    client="TinyClient",
    gatt=Gatt(1, 2, 3, 4),
    fields=(
        Field(0, "mood", Choice({0: "it's fine", 1: "low"}), STATE),
        Field(1, "nameless", U16, STATE),
        Field(2, "items", DECI, VOLTAGE),
        Field(3, "note", U16, TEXT.but(icon="mdi:note")),
        Field(4, "code", U16, IDENTITY),
        Field(5, "warm", DECI, TEMPERATURE.but(icon="mdi:fire")),
    ),
    windows=(Window("all", 0, 6),),
    derived=(Derived("charge", ("warm",), float, CHARGE), Derived("amps", ("warm",), float, CURRENT)),
)


def test_awkward_rows() -> None:
    rows = entities(TINY, {}, ())
    assert "code" not in rows
    made = {key: component(row, "renogy_x") for key, row in rows.items()}
    assert rendered(made["mood"]["value_template"], {"mood": "it's fine"}) == "it's fine"
    assert "device_class" not in made["nameless"]  # an enum without options would be refused
    assert made["items"]["value_template"] == "{{ value_json['items'] }}"  # value_json.items is a method
    assert "icon" not in made["warm"]
    assert made["amps"]["suggested_display_precision"] == 2
    assert made["charge"]["icon"] == "mdi:battery-medium"
    assert [fault for part in made.values() for fault in faults_of_component(part, {"state_topic": "t"})] == []


def test_flags_and_problems_need_no_words() -> None:
    for quantity in (FLAG, PROBLEM):
        part = component(Derived("f", (), None, quantity), "renogy_x")
        assert part["platform"] == "binary_sensor"
        assert "state_class" not in part
