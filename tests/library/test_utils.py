"""The predecessors' helpers: same names, without their faults."""

import json
from pathlib import Path

import pytest

from renogybt import Utils


def test_a_short_frame_is_an_error_not_a_zero() -> None:
    assert Utils.bytes_to_int(b"\x01\x02\x03", 1, 2) == 0x0203
    assert Utils.bytes_to_int(b"\xff\xaa", 0, 2, signed=True, scale=0.01) == -0.86
    assert Utils.bytes_to_int(b"\x01\x02", 1, -2) == 0x0201
    with pytest.raises(ValueError, match="2 bytes hold nothing at 1"):
        Utils.bytes_to_int(b"\x01\x02", 1, 2)


def test_the_checksum_comes_in_the_order_it_is_sent() -> None:
    assert Utils.crc16_modbus(bytes.fromhex("ff0301000022")).hex() == "d1f1"


def test_temperatures() -> None:
    assert Utils.parse_temperature(0x81, "C") == -1
    assert Utils.parse_temperature(25, "F") == 77
    assert [Utils.int_to_bytes(0x1234, position) for position in (0, 1)] == [0x12, 0x34]


def test_one_unknown_name_does_not_let_everything_through() -> None:
    data = {"pv_power": 1, "pv_voltage": 2, "load_power": 3}
    assert Utils.filter_fields(data, "pv_power, no_such_key") == {"pv_power": 1}
    assert Utils.filter_fields(data, "pv_*") == {"pv_power": 1, "pv_voltage": 2}
    assert Utils.filter_fields(data, "") == data


def test_calculated_values_are_added_only_where_they_can_be_known() -> None:
    assert Utils.add_calculated_values({"voltage": 13.2, "current": -2.0})["power"] == -26.4
    assert Utils.add_calculated_values({"remaining_charge": 50.0, "capacity": 200.0})["battery_level"] == 25.0
    assert "power" not in Utils.add_calculated_values({"voltage": 13.2, "current": None})


def test_energy_totals_keep_small_loads_and_reach_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, now = tmp_path / "totals.json", [0.0]
    monkeypatch.setattr("renogybt.utils.time.monotonic", lambda: now[0])
    data: dict[str, float] = {}
    for _ in range(1201):
        data = {"voltage": 15.0, "current": -2.0}
        Utils.update_energy_totals(data, 30, str(path), "hub_48")
        now[0] += 30
    assert data["energy_out_kwh"] == pytest.approx(0.3)
    assert json.loads(path.read_text())["hub_48"]["energy_out_kwh"] == pytest.approx(0.3, abs=0.001)


def test_batteries_are_combined_by_capacity_and_nothing_is_made_up() -> None:
    one = {
        "capacity": 100.0,
        "remaining_charge": 50.0,
        "power": 10.0,
        "current": 1.0,
        "cell_voltage_0": 3.3,
        "temperature_0": 5,
    }
    two = {"capacity": 300.0, "remaining_charge": 300.0, "power": -4.0, "current": -0.5, "cell_voltage_0": 3.4}
    combined = Utils.combine_battery_readings({48: one, 49: two})
    assert combined["combined_charge_percentage"] == 87.5
    assert combined["combined_current"] == 0.5
    assert combined["battery_48_temperature_max"] == 5
    assert combined["combined_energy_in_kwh"] is None
    assert Utils.combine_battery_readings({48: one, 49: {**two, "current": None}})["combined_current"] is None
