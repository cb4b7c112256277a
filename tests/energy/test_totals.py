"""The totals file: carried on from the predecessor, written rarely, whole or not at all."""

import json
import os
from pathlib import Path

import pytest

from renogybt.energy.totals import EnergyTotals


def fill(totals: EnergyTotals, hours: float = 1.0, start: float = 0.0) -> None:
    for second in range(0, int(hours * 3600) + 1, 60):
        totals.add("aabbccddeeff_48", "BT-TH-1234_48", 100.0, start + second, 180)


def test_totals_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "energy_totals.json"
    first = EnergyTotals(path)
    fill(first)
    assert first.flush()
    assert EnergyTotals(path).totals("aabbccddeeff_48", "BT-TH-1234_48") == pytest.approx((0.1, 0.0))


def test_the_predecessors_file_is_carried_on(tmp_path: Path) -> None:
    path = tmp_path / "energy_totals.json"
    path.write_text(json.dumps({"BT-TH-1234_48": {"energy_in_kwh": 12.345, "energy_out_kwh": 6.7}}))
    totals = EnergyTotals(path)
    assert totals.totals("aabbccddeeff_48", "BT-TH-1234_48") == (12.345, 6.7)
    totals.flush()
    assert "BT-TH-1234_48" not in json.loads(path.read_text())
    assert EnergyTotals(path).totals("aabbccddeeff_48", "renamed") == (12.345, 6.7)


def test_devices_that_are_not_configured_now_keep_their_totals(tmp_path: Path) -> None:
    path = tmp_path / "energy_totals.json"
    path.write_text(json.dumps({"other": {"energy_in_kwh": 1.5, "energy_out_kwh": 0.5}}))
    totals = EnergyTotals(path)
    fill(totals)
    totals.flush()
    assert json.loads(path.read_text())["other"] == {"energy_in_kwh": 1.5, "energy_out_kwh": 0.5}


def test_the_file_is_written_at_most_once_a_minute_and_only_if_changed(tmp_path: Path) -> None:
    path = tmp_path / "energy_totals.json"
    totals = EnergyTotals(path)
    writes = []
    for second in range(0, 600, 2):
        totals.add("a", "a", 50, second, 10)
        before = path.stat().st_mtime_ns if path.exists() else 0
        totals.flush_if_due(second)
        if path.exists() and path.stat().st_mtime_ns != before:
            writes.append(second)
    assert writes == list(range(60, 600, 60))
    before = path.stat().st_mtime_ns
    totals.flush()
    totals.flush_if_due(10_000)
    totals.flush()
    assert path.stat().st_mtime_ns >= before
    unchanged = path.stat().st_mtime_ns
    totals.flush_if_due(20_000)
    assert path.stat().st_mtime_ns == unchanged


@pytest.mark.parametrize("torn", ["", "\0" * 200, '{"a": {"energy_in_kwh": 1', "[]", '{"a": {"energy_in_kwh": -4}}'])
def test_a_torn_file_is_replaced_by_the_backup_and_kept_aside(
    tmp_path: Path, torn: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "energy_totals.json"
    totals = EnergyTotals(path)
    fill(totals)
    totals.flush()
    fill(totals, start=3600)
    totals.flush()
    path.write_text(torn)
    again = EnergyTotals(path)
    assert again.totals("aabbccddeeff_48", "") == pytest.approx((0.1, 0.0))
    assert "backup" in caplog.text
    assert (tmp_path / "energy_totals.json.broken").read_text() == torn


def test_a_full_disk_is_said_once_and_counting_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "gone"
    folder.write_text("a file where the folder should be")
    totals = EnergyTotals(folder / "energy_totals.json")
    fill(totals)
    assert not totals.flush()
    assert not totals.flush()
    assert caplog.text.count("cannot be written") == 1
    folder.unlink()
    os.makedirs(folder)
    assert totals.flush()
    assert EnergyTotals(folder / "energy_totals.json").totals("aabbccddeeff_48", "") == pytest.approx((0.1, 0.0))
