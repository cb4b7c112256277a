"""What is kept of a reading."""

import json
import math

from renogybt import devices
from renogybt.history.kept import counted, kept, numbers, records, rows
from tests.history.given import HOUSE, NOON, ROVER, reading, recorded


def test_what_changes_is_a_list_and_what_seldom_changes_stands_apart() -> None:
    found = kept(reading(NOON, pv_power=34, charging_status="mppt", model="RNG-CTRL-RVR40", faults=["fan_alarm"]))
    live = dict(zip(json.loads(found.keys), json.loads(found.data), strict=True))
    assert live["pv_power"] == 34
    assert live["charging_status"] == "mppt"
    assert live["battery_voltage"] is None
    assert json.loads(found.fixed) == {"model": "RNG-CTRL-RVR40", "faults": ["fan_alarm"]}


def test_second_spellings_are_not_kept_twice() -> None:
    for family in devices.FAMILIES.values():
        twice = {row.was for row in family.rows() if row.was}
        given = kept(reading(NOON, family=family.key, **dict.fromkeys(family.keys(), 1)))
        assert not twice & {*json.loads(given.keys), *json.loads(given.fixed)}, family.key


def test_no_number_is_none_and_noise_goes() -> None:
    live = kept(reading(NOON, battery_voltage=math.nan, pv_voltage=0.1 + 0.2, pv_current=math.inf))
    found = dict(zip(json.loads(live.keys), json.loads(live.data), strict=True))
    assert found["battery_voltage"] is None
    assert found["pv_current"] is None
    assert found["pv_voltage"] == 0.3


def test_means_are_made_of_measurements_counters_and_flags() -> None:
    given = {
        "pv_power": 34,
        "problem": True,
        "load_status": "on",
        "charging_status": "mppt",
        "model": "x",
        "battery_voltage": 0,
    }
    assert numbers("controller", given) == {"pv_power": 34, "problem": 1, "load_status": 1, "battery_voltage": 0}
    assert numbers("controller", {"load_status": "off", "problem": False}) == {"load_status": 0, "problem": 0}
    assert numbers("controller", {"load_status": "unknown (9)", "pv_power": None}) == {}
    assert not any(counted(row) for key, row in rows("controller").items() if key.endswith("_threshold"))


def test_a_family_of_another_release_breaks_nothing() -> None:
    assert rows("a kind of device nobody knows") == {}
    assert numbers("a kind of device nobody knows", {"a": 1}) == {}


def test_recorded_days_belong_to_the_controller_that_keeps_them() -> None:
    today, before = records(recorded(NOON, ("2026-07-01", 0, 500), ("2026-06-30", 1, 1700)))
    assert (today.uid, before.uid) == (ROVER.uid, ROVER.uid)
    assert (today.whole, before.whole) == (False, True)
    assert before.values == {"day_generation": 1700, "day_consumption": 850}
    assert next(iter(records(recorded(NOON, ("2026-07-01", 0, 1), identity=HOUSE)))).uid == HOUSE.uid
