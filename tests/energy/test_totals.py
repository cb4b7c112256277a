"""The totals file: carried on from the predecessor, written rarely, whole or not at all."""

import json
import os
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renogybt.energy.guard import Moment, Rule, rules_of
from renogybt.energy.totals import EnergyTotals

ONE, TWO = date(2026, 7, 1), date(2026, 7, 2)


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


def test_the_days_energy_survives_a_restart_to_the_last_digit(tmp_path: Path) -> None:
    path = tmp_path / "energy_totals.json"
    first = EnergyTotals(path)
    for second in range(0, 3601, 7):
        first.add("a", "a", 100 / 3, second, 60, ONE)
    today = first.today("a", "a", ONE)
    assert today[0] > 0.033
    first.flush()
    again = EnergyTotals(path)
    assert again.latest_day == ONE
    assert again.today("a", "a", ONE) == today
    assert again.today("a", "a", TWO) == (0, 0)
    assert again.totals("a", "a") == first.totals("a", "a")


def test_a_new_day_alone_is_worth_writing(tmp_path: Path) -> None:
    path = tmp_path / "energy_totals.json"
    totals = EnergyTotals(path)
    totals.today("a", "a", ONE)
    totals.flush()
    totals.today("a", "a", TWO)
    totals.flush()
    assert EnergyTotals(path).latest_day == TWO


def test_the_file_keeps_the_predecessors_layout(tmp_path: Path) -> None:
    path = tmp_path / "energy_totals.json"
    totals = EnergyTotals(path)
    totals.add("a", "hub_48", -100, 0, 180, ONE)
    totals.add("a", "hub_48", -100, 36, 180, ONE)
    totals.flush()
    assert json.loads(path.read_text()) == {
        "a": {
            "energy_in_kwh": 0.0,
            "energy_out_kwh": 0.001,
            "energy_in_today_kwh": 0.0,
            "energy_out_today_kwh": 0.001,
            "day": "2026-07-01",
            "name": "hub_48",
        }
    }


def test_what_nobody_here_knows_stays_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "energy_totals.json"
    foreign: dict[str, Any] = {
        "version": 3,
        "notes": ["mine"],
        "hub_48": {"energy_in_kwh": 1, "energy_out_kwh": 2.5, "installed": "2024-05-01"},
        "hub_49": {"energy_in_kwh": 4, "comment": None},
    }
    path.write_text(json.dumps(foreign))
    totals = EnergyTotals(path)
    assert totals.totals("aabb_48", "hub_48") == (1, 2.5)
    totals.flush()
    kept = json.loads(path.read_text())
    assert kept.pop("aabb_48") == {
        "energy_in_kwh": 1,
        "energy_out_kwh": 2.5,
        "name": "hub_48",
        "installed": "2024-05-01",
    }
    assert kept == {key: value for key, value in foreign.items() if key != "hub_48"}


@pytest.mark.parametrize(
    "entry",
    [
        {"day": "yesterday", "energy_in_today_kwh": 4},
        {"day": 7, "energy_in_today_kwh": 4},
        {"day": "2026-07-01", "energy_in_today_kwh": "4"},
        {"day": "2026-07-01", "energy_in_today_kwh": None},
        {"energy_in_today_kwh": 4},
        {"counters": 5, "most_power": "x"},
    ],
)
def test_a_day_that_makes_no_sense_does_not_cost_the_totals(tmp_path: Path, entry: dict[str, Any]) -> None:
    path = tmp_path / "energy_totals.json"
    path.write_text(json.dumps({"a": {"energy_in_kwh": 9.5, "energy_out_kwh": 1, **entry}}))
    totals = EnergyTotals(path)
    assert totals.totals("a", "a") == (9.5, 1)
    assert totals.today("a", "a", TWO) == (0, 0)


def test_the_guards_memory_lies_in_the_file_and_is_written_rarely(tmp_path: Path) -> None:
    path = tmp_path / "energy_totals.json"
    totals, rule = EnergyTotals(path), a_rule()
    written = []
    for second in range(0, 1801, 60):
        totals.guard("roof", "roof_255").admit(rule, 1000 + second, Moment(second, 1.7e9 + second))
        before = path.stat().st_mtime_ns if path.exists() else 0
        totals.flush_if_due(second)
        if path.exists() and path.stat().st_mtime_ns != before:
            written.append(second)
    assert written == [600, 1200, 1800]
    again = EnergyTotals(path)
    assert again.guard("roof", "roof_255").admit(rule, 0, Moment(1, 1.7e9 + 1860)).value == 2800


def a_rule() -> Rule:
    from renogybt import devices

    return next(rule for rule in rules_of(devices.family("controller")) if rule.key == "power_generation_total")


def test_when_the_backup_is_torn_too_it_is_said_that_counting_begins_at_zero(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "energy_totals.json"
    path.write_text("\0\0")
    (tmp_path / "energy_totals.json.bak").write_text("[" * 5000)
    totals = EnergyTotals(path)
    assert totals.totals("a", "a") == (0, 0)
    assert "begin at zero" in caplog.text
    assert (tmp_path / "energy_totals.json.broken").exists()
    assert (tmp_path / "energy_totals.json.bak.broken").exists()


def test_a_file_that_is_not_there_is_no_news(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert EnergyTotals(tmp_path / "energy_totals.json").totals("a", "a") == (0, 0)
    assert caplog.text == ""


def test_the_file_is_never_absent_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "energy_totals.json"
    totals = EnergyTotals(path)
    fill(totals)
    totals.flush()
    there, real = [], os.replace

    def watched(source: Any, target: Any) -> None:
        there.append(path.exists())
        real(source, target)
        there.append(path.exists())

    monkeypatch.setattr(os, "replace", watched)
    fill(totals, start=3600)
    totals.flush()
    assert there == [True] * 4
    assert json.loads((tmp_path / "energy_totals.json.bak").read_text())["aabbccddeeff_48"][
        "energy_in_kwh"
    ] == pytest.approx(0.1)
    assert json.loads(path.read_text())["aabbccddeeff_48"]["energy_in_kwh"] == pytest.approx(0.2, abs=0.01)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["energy_totals.json", "energy_totals.json.bak"]


def test_a_disk_without_links_keeps_a_backup_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refused)
    path = tmp_path / "energy_totals.json"
    totals = EnergyTotals(path)
    for start in (0, 3600):
        fill(totals, start=start)
        assert totals.flush()
    path.unlink()
    assert EnergyTotals(path).totals("aabbccddeeff_48", "") == pytest.approx((0.1, 0.0))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("measure"), st.floats(-6000, 6000), st.floats(-50, 400)),
        st.tuples(st.just("no power"), st.sampled_from([float("nan"), float("inf"), 1e300]), st.floats(0, 60)),
        st.tuples(st.just("restart"), st.booleans(), st.floats(0, 1e5)),
        st.tuples(st.just("day"), st.integers(-2, 3), st.floats(0, 60)),
        st.tuples(st.just("torn"), st.binary(max_size=20), st.floats(0, 60)),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_totals_never_fall_whatever_happens(tmp_path_factory: pytest.TempPathFactory, steps: list[Any]) -> None:
    """A clean restart keeps everything, a crash what was written last, a torn file what was written before that."""
    path = tmp_path_factory.mktemp("totals") / "energy_totals.json"
    totals, now, day = EnergyTotals(path), 1000.0, ONE
    last = written = before_that = (0.0, 0.0)
    today, its_day = (0.0, 0.0), ONE
    for what, how, pause in steps:
        now += pause
        if what in ("measure", "no power"):
            found = totals.add("a", "a", how, now, 180, day)
            assert found[0] >= last[0]
            assert found[1] >= last[1]
            last = found
        elif what == "day":
            day += timedelta(how)
        elif what == "restart":
            if how and totals.flush():
                before_that, written = (written, last) if written != last else (before_that, written)
            totals, now = EnergyTotals(path), pause
            last = totals.totals("a", "a")
            assert last == written
            today = (0.0, 0.0)
        elif path.exists():
            path.write_bytes(b"{" + how)
            totals = EnergyTotals(path)
            last = totals.totals("a", "a")
            assert last in (before_that, written)
            written = before_that = last
            today = (0.0, 0.0)
        found = totals.today("a", "a", day)
        assert all(value >= 0 for value in found)
        if day == its_day:
            assert found[0] >= today[0]
        today, its_day = found, day
