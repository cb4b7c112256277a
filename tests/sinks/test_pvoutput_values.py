"""Which values of which device become a status, and for which moment."""

from __future__ import annotations

import json
import logging
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from renogybt import devices
from renogybt.errors import UserError
from renogybt.reading import Identity, Reading
from renogybt.settings import Data, Device, Pvoutput, Settings
from renogybt.sinks.pvoutput import PvoutputOutlet, outlets
from renogybt.sinks.pvoutput.status import Slots, parsed, slot
from renogybt.sinks.pvoutput.values import BANK, BY_CLIENT, sources
from tests.sinks.given import CONTROLLER, HOUSE, HOUSE_48, HOUSE_49, MAC, ROVER

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
NOON = datetime(2026, 6, 1, 12, 2, 30, tzinfo=AMSTERDAM).timestamp()
FULL = CONTROLLER | {"power_consumption_today": 120}


def configured(*devices: Device, polling: bool = True, timezone: str = "Europe/Amsterdam", **options: Any) -> PvoutputOutlet:
    system = Pvoutput(enabled=True, api_key="k", system_id="1", **options)
    settings = Settings(devices=devices, data=Data(enable_polling=polling, timezone=timezone), pvoutput=(system,))
    return PvoutputOutlet(system, settings)


def taken(values: dict[str, Any], family: str = "controller", at: float = NOON, identity: Identity = ROVER) -> Reading:
    return Reading(identity, family, values, at, 0.0)


def body(outlet: PvoutputOutlet, reading: Reading) -> dict[str, Any]:
    ((at, text),) = outlet.records(reading)
    assert at == reading.taken_at
    found: dict[str, Any] = json.loads(text)
    return found


def test_a_controller_as_upstream() -> None:
    assert body(configured(), taken(FULL)) == {
        "d": "20260601",
        "t": "12:00",
        "v1": 561,
        "v2": 34,
        "v3": 120,
        "v4": 5,
        "v5": 25,
        "v6": 13.1,
        "first": 1,
    }


@pytest.mark.parametrize(
    ("family", "values", "expected"),
    [
        ("dc_charger", {"power_generation_today": 70, "pv_power": 33}, {"v1": 70, "v2": 33}),
        (
            "inverter",
            {"solar_power": 210.4, "load_active_power": 99.6, "temperature": 31.5},
            {"v2": 210, "v4": 100, "v5": 31.5},
        ),
        (
            "battery",
            {"power": -19.95, "energy_in_kwh": 12.3456, "energy_out_kwh": 1.5, "voltage": 13.3, "temperature": -4.0},
            {"v1": 12346, "v2": 0, "v3": 1500, "v4": 20, "v5": -4, "v6": 13.3, "c1": 1},
        ),
        ("battery", {"power": 19.95, "energy_in_kwh": 0.4}, {"v1": 400, "v2": 20, "v4": 0, "c1": 2}),
        ("shunt", {"charge_watts": 5.0, "energy_out_kwh": 0.25}, {"v2": 5, "v3": 250, "v4": 0, "c1": 3}),
        ("bank:48,49", {"combined_power": -7.0, "combined_voltage": 13.2}, {"v2": 0, "v4": 7, "v6": 13.2}),
    ],
)
def test_every_other_kind_of_device(family: str, values: dict[str, Any], expected: dict[str, Any]) -> None:
    unit = None if family.startswith("bank") else 255
    device = Device(mac_addr=MAC, alias="House", type="RNG_BATT", device_id=(48, 49) if unit is None else (255,))
    found = body(configured(device, device="House"), taken(values, family, identity=Identity(MAC, unit, "House")))
    assert {name: value for name, value in found.items() if name not in ("d", "t", "first")} == expected


def test_the_usual_values_are_values_of_their_tables() -> None:
    for table in [*devices.FAMILIES.values(), devices.family("bank:48,49")]:
        named = sources(table, Pvoutput())
        known = [source for source in named if table.row(source.key)]
        absent = {source.key for source in named} - {source.key for source in known}
        assert not absent - {"output_power"}, table.key
        assert bool(known) == (table.client in BY_CLIENT), table.key


def test_options_name_other_values() -> None:
    outlet = configured(v1="power_generation_total", v4="-pv_power", v5="battery_temperature", v7="battery_percentage")
    found = body(outlet, taken(FULL))
    assert (found["v1"], found["c1"]) == (123456, 2)
    assert (found["v4"], found["v5"], found["v7"]) == (0, -10, 87)


@pytest.mark.parametrize("useless", [None, math.nan, math.inf, True, "34", [1]])
def test_what_is_no_number_is_left_out(useless: Any) -> None:
    found = body(configured(), taken(FULL | {"pv_power": useless, "battery_voltage": useless}))
    assert not found.keys() & {"v2", "v6"}
    assert found["v1"] == 561


def test_a_status_without_power_and_energy_is_none_and_leaves_its_slot_free() -> None:
    outlet = configured()
    assert outlet.records(taken({"controller_temperature": 25, "battery_voltage": 13.1})) == []
    assert body(outlet, taken(FULL, at=NOON + 60))["t"] == "12:00"


def test_a_device_that_measures_nothing_of_the_kind_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    device = Device(mac_addr=MAC, alias="Hf", type="RNG_INVT_HF")
    outlet = configured(device, device="Hf")
    for minutes in range(20):
        assert not outlet.records(taken({}, "inverter_hf", NOON + 60 * minutes, Identity(MAC, 255, "Hf")))
    assert [record.getMessage().endswith("name values as v1 to v4") for record in caplog.records] == [True]


@pytest.mark.parametrize("name", ["Rover", "rover", "device.roof", "roof", "Rover_255", ""])
def test_whose_readings(name: str) -> None:
    battery = Device(section="device.box", mac_addr=MAC, alias="House", type="RNG_BATT", device_id=(48, 49))
    rover = Device(section="device.roof", mac_addr=ROVER.mac, alias="Rover")
    second = Device(section="device.barn", mac_addr="84:28:D7:FF:00:02", alias="Barn")
    outlet = configured(battery, rover, second, device=name)
    assert not outlet.records(taken({"power": 5.0}, "battery", identity=HOUSE_48))
    assert not outlet.records(taken(FULL, identity=Identity("84:28:D7:FF:00:02", 255, "Barn")))
    assert not outlet.records(taken(FULL, identity=Identity(ROVER.mac, 255, "Rover", part="history")))
    assert outlet.records(taken(FULL))


@pytest.mark.parametrize(("name", "who"), [("House", HOUSE), ("House_combined", HOUSE), ("House_49", HOUSE_49)])
def test_a_bank_or_one_of_its_batteries(name: str, who: Identity) -> None:
    outlet = configured(Device(mac_addr=MAC, alias="House", type="RNG_BATT", device_id=(48, 49)), device=name)
    for identity in (HOUSE_48, HOUSE_49, HOUSE):
        family = "battery" if identity.unit else "bank:48,49"
        found = outlet.records(taken({"power": 5.0, "combined_power": 5.0}, family, identity=identity))
        assert bool(found) == (identity == who)


def test_without_a_controller_nothing_goes_out() -> None:
    outlet = configured(Device(mac_addr=MAC, alias="House", type="RNG_BATT"))
    assert not outlet.records(taken({"power": 5.0}, "battery", identity=Identity(MAC, 255, "House")))


def test_library_users_without_devices_get_the_first_controller() -> None:
    outlet = configured()
    assert not outlet.records(taken({"power": 5.0}, "battery", identity=HOUSE_48))
    assert outlet.records(taken(FULL))
    assert not outlet.records(taken(FULL, at=NOON + 300, identity=Identity(MAC, 255, "Other")))


def test_a_device_that_does_not_exist_is_told(caplog: pytest.LogCaptureFixture) -> None:
    outlet = configured(Device(mac_addr=ROVER.mac, alias="Rover"), device="Rovre")
    assert not outlet.records(taken(FULL))
    assert "[pvoutput] device = Rovre" in caplog.text


def test_a_time_zone_that_does_not_exist_is_the_users_fault() -> None:
    with pytest.raises(UserError, match="Europe/Nowhere"):
        configured(timezone="Europe/Nowhere")


def test_a_clock_that_is_not_set_makes_no_statuses(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    outlet = configured()
    for at in (0.0, datetime(2024, 12, 31, tzinfo=UTC).timestamp()):
        assert not outlet.records(taken(FULL, at=at))
    assert caplog.text.count("is not set yet") == 1
    assert outlet.records(taken(FULL))


# Slots


def local(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=AMSTERDAM).timestamp()


@pytest.mark.parametrize(
    ("interval", "at", "expected"),
    [
        (5, "2026-06-01 12:04:59", ("20260601", "12:00")),
        (5, "2026-06-01 12:05:00", ("20260601", "12:05")),
        (10, "2026-06-01 23:59:59", ("20260601", "23:50")),
        (15, "2026-06-02 00:00:00", ("20260602", "00:00")),
        (7, "2026-06-01 00:13:00", ("20260601", "00:07")),
        (60, "2026-12-31 23:00:01", ("20261231", "23:00")),
        (1, "2026-03-29 03:00:00", ("20260329", "03:00")),
    ],
)
def test_slots_begin_at_local_midnight(interval: int, at: str, expected: tuple[str, str]) -> None:
    assert slot(local(at), interval, AMSTERDAM) == expected


def test_an_empty_time_zone_is_that_of_the_machine() -> None:
    now = datetime(2026, 6, 1, 12, 0)
    assert slot(now.timestamp(), 5, None) == ("20260601", "12:00")


def times(start: float, seconds: float, every: float, interval: int = 5) -> list[tuple[str, str]]:
    outlet = configured(status_interval=interval)
    found = [outlet.records(taken(FULL, at=start + every * n)) for n in range(math.ceil(seconds / every))]
    statuses = [parsed(text) for records in found for _, text in records]
    return [status.slot for status in statuses if status]


def test_one_status_per_slot_and_none_left_out() -> None:
    midnight = local("2026-06-01 00:00:00")
    for every in (7, 60, 299, 300):
        found = times(midnight, 86400, every)
        assert len(found) == len(set(found)) == 288
        assert found == sorted(found)
    assert (found[0], found[-1]) == (("20260601", "00:00"), ("20260601", "23:55"))


def test_a_poll_interval_longer_than_the_slot_gives_a_status_per_reading() -> None:
    found = times(local("2026-06-01 00:00:00"), 86400, 720)
    assert len(found) == 120
    assert found[:3] == [("20260601", "00:00"), ("20260601", "00:10"), ("20260601", "00:20")]


def test_the_first_reading_of_a_slot_counts_at_once() -> None:
    outlet = configured()
    first = body(outlet, taken(FULL | {"pv_power": 1}, at=local("2026-06-01 12:00:10")))
    assert (first["t"], first["v2"]) == ("12:00", 1)
    assert not outlet.records(taken(FULL | {"pv_power": 2}, at=local("2026-06-01 12:04:50")))
    assert body(outlet, taken(FULL | {"pv_power": 3}, at=local("2026-06-01 12:05:00")))["v2"] == 3


def test_the_day_of_23_hours_has_no_hour_that_does_not_exist() -> None:
    found = times(local("2026-03-29 00:00:00"), 23 * 3600, 60)
    assert len(found) == 276
    assert not [t for _, t in found if "02:00" <= t < "03:00"]
    assert {d for d, _ in found} == {"20260329"}


def test_the_day_of_25_hours_sends_the_repeated_hour_once() -> None:
    begin = local("2026-10-25 00:00:00")
    found = times(begin, 25 * 3600, 60)
    assert len(found) == len(set(found)) == 288
    assert {d for d, _ in found} == {"20261025"}
    outlet = configured()
    passes = [outlet.records(taken(FULL, at=begin + 3600 * hours + 1800)) for hours in (2, 3, 4)]
    assert [bool(records) for records in passes] == [True, False, True]


@pytest.mark.parametrize("jump", [-6 * 3600, 6 * 3600])
def test_a_clock_that_jumps_makes_no_slot_twice(jump: int) -> None:
    outlet, at = configured(), local("2026-06-01 12:00:00")
    moments = [at + 60 * n for n in range(60)] + [at + 3600 + jump + 60 * n for n in range(7 * 60)]
    found = [record for moment in moments for record in outlet.records(taken(FULL, at=moment))]
    slots = [status.slot for _, text in found if (status := parsed(text))]
    assert len(slots) == len(set(slots))
    assert slots == [slot(when, 5, AMSTERDAM) for when, _ in found]
    assert len(slots) == (12 + 72 if jump < 0 else 12 + 84)


def test_slots_are_forgotten_some_time() -> None:
    slots = Slots(60)
    assert [slots.take("20260601", f"{hour:02d}:00") for hour in range(10)] == [True] * 10
    assert slots.take("20260601", "00:00")
    assert not slots.take("20260601", "09:00")


def test_whatever_stands_in_a_body_is_a_status_or_none() -> None:
    assert parsed('{"d":"20260601","t":"12:00","v2":1}')
    for text in (
        "",
        "[]",
        "1",
        "{}",
        '{"d":"2026","t":"12:00"}',
        '{"d":"20260601","t":"25:00"}',
        '{"d":1,"t":"12:00","v1":"x"}',
    ):
        assert parsed(text) is None


def test_an_outlet_per_system_that_is_switched_on() -> None:
    settings = Settings(
        pvoutput=(
            Pvoutput(enabled=True, api_key="k", system_id="1"),
            Pvoutput(section="pvoutput.barn", enabled=True, api_key="k", system_id="2"),
            Pvoutput(section="pvoutput.off", api_key="k", system_id="3"),
        )
    )
    found = outlets(settings)
    assert [outlet.name for outlet in found] == ["pvoutput", "pvoutput.barn"]
    assert found[0].exact
    assert found[0].batch >= 30
    assert (found[0].breaker.threshold, found[0].breaker.cooldown) == (3, 300)


def test_secrets_are_in_no_text_form() -> None:
    from renogybt.sinks.outlet import Record

    system = Pvoutput(enabled=True, api_key="hush-hush", system_id="1")
    outlet = PvoutputOutlet(system, Settings(pvoutput=(system,)))
    ((at, text),) = outlet.records(taken(FULL))
    call = outlet.compose([Record(1, outlet.name, at, text)], NOON + 60, 0.0)
    assert "hush-hush" not in repr(call)
    assert "hush-hush" not in text


def test_the_page_shows_the_usual_values() -> None:
    page = (Path(__file__).parents[2] / "docs/pvoutput.md").read_text("utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| v")]
    kinds = ("RoverClient", "DCChargerClient", "InverterClient", "BatteryClient", "", "ShuntClient")
    for column, kind in enumerate(kinds, 1):
        shown = {row[0][:2]: row[column].strip("`") for row in rows if row[column]}
        assert shown == (BY_CLIENT[kind] if kind else BANK)
