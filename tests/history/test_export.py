"""The command line: CSV and JSON Lines, times with their zone, and errors a person can act on."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from renogybt.cli import export
from renogybt.energy.days import Days
from renogybt.history.kept import kept, records
from tests.history.given import HOUR, HOUSE, MINUTE, NOON, at, reading, recorded, solar, store

INI = """
[device]
mac_addr = 84:28:D7:FF:00:01
alias = roof
type = RNG_CTRL
[data]
timezone = Europe/Amsterdam
[history]
enabled = true
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Two days of a controller, a reading every minute, and a few readings of a battery."""
    (tmp_path / "config.ini").write_text(INI, "utf-8")
    written = store(tmp_path / "history.sqlite", Days("Europe/Amsterdam").at)
    begin = at("2026-06-30T22:00")
    sun = [
        solar(begin + n * MINUTE, n % 1440, charging_status="mppt", faults=["fan_alarm", "pv_reversed"])
        for n in range(2 * 1440)
    ]
    packs = [kept(reading(NOON + n, HOUSE, "battery", cell_count=4, current=-1.5)) for n in range(3)]
    written.write([*sun, *packs], list(records(recorded(NOON, ("2026-06-20", 1, 1700)))), None)
    written.close()
    return str(tmp_path / "config.ini")


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def done(config: str, *words: str) -> int:
    return export.main([config, *words])


def test_five_minute_means_as_csv(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert done(config, "--device", "roof", "--from", "2026-07-01", "--to", "2026-07-01") == 0
    found = rows(capsys.readouterr().out)
    assert len(found) == 288
    assert found[0]["time"] == "2026-07-01T00:00:00+02:00"
    assert found[-1]["time"] == "2026-07-01T23:55:00+02:00"
    assert [found[1][f"pv_power_{name}"] for name in ("mean", "min", "max", "last")] == ["7.0", "5", "9", "9"]
    assert found[1]["battery_voltage_mean"] == ""


def test_single_readings_as_csv(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--from", "2026-07-01T12:00", "--to", "2026-07-01T12:03", "--resolution", "full")
    assert done(config, "--device", "roof_255", *words) == 0
    found = rows(capsys.readouterr().out)
    assert [row["time"] for row in found] == [f"2026-07-01T12:0{n}:00.000+02:00" for n in range(3)]
    assert found[0]["charging_status"] == "mppt"
    assert found[0]["faults"] == "fan_alarm pv_reversed"
    assert found[0]["pv_power"] == "720"


def test_hours_as_json_lines(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--from", "2026-07-01", "--to", "2026-07-02", "--format", "jsonl", "--resolution", "hour")
    assert done(config, "--device", "roof_255", *words) == 0
    found = lines(capsys.readouterr().out)
    assert len(found) == 48
    assert found[1]["pv_power"] == {"mean": 89.5, "min": 60, "max": 119, "last": 119}
    assert found[1]["time"] == "2026-07-01T01:00:00+02:00"


def test_days_with_what_the_controller_recorded(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--from", "2025-12-30", "--to", "2026-07-01", "--resolution", "day")
    assert done(config, "--device", "roof", *words) == 0
    before, day = rows(capsys.readouterr().out)
    assert (before["time"], before["generation"], before["day_consumption"], before["pv_power_mean"]) == (
        "2026-06-20",
        "1700",
        "850",
        "",
    )
    assert (day["time"], day["generation"]) == ("2026-07-01", "")
    assert done(config, "--device", "roof", *words, "--format", "jsonl") == 0
    assert lines(capsys.readouterr().out)[0]["day_generation"] == 1700


def test_a_time_may_have_a_zone_of_its_own(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--from", "2026-07-01T10:00+00:00", "--to", "2026-07-01T10:01Z", "--resolution", "full")
    assert done(config, "--device", "roof", *words) == 0
    assert rows(capsys.readouterr().out)[0]["time"] == "2026-07-01T12:00:00.000+02:00"


def test_the_change_of_clocks_is_in_the_times(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = store(tmp_path / "history.sqlite")
    begin = at("2026-10-24T22:00")
    written.write([solar(begin + n * HOUR, n) for n in range(25)], [], None)
    written.close()
    assert done(config, "--device", "roof", "--from", "2026-10-25", "--to", "2026-10-25", "--resolution", "hour") == 0
    times = [row["time"] for row in rows(capsys.readouterr().out)]
    assert len(times) == 25
    assert times[2:4] == ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"]


def test_into_a_file(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "july.csv"
    assert (
        done(
            config,
            "--device",
            "house",
            "--from",
            "2026-07-01",
            "--to",
            "2026-07-02",
            "--resolution",
            "full",
            "-o",
            str(target),
        )
        == 0
    )
    assert capsys.readouterr() == ("", "")
    assert [row["current"] for row in rows(target.read_text("utf-8"))] == ["-1.5"] * 3


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        ((), 1, "which device? Say it with --device; the history has house_48, roof_255"),
        (("--device", "shed"), 1, "no device, or more than one, is called shed; the history has house_48, roof_255"),
        (("--device", "roof", "--from", "yesterday"), 1, "yesterday is no time; write it like 2026-01-31"),
        (
            ("--device", "roof", "--from", "2026-07-03", "--to", "2026-07-01"),
            1,
            "--from 2026-07-03 lies behind --to 2026-07-01",
        ),
        (("--device", "roof", "--from", "2020-01-01", "--to", "2020-01-02"), 1, "holds nothing of roof_255 in that time"),
        (
            ("--device", "roof", "--from", "2026-07-01", "--to", "2026-07-01", "-o", "/no/such/folder/x.csv"),
            1,
            "/no/such/folder/x.csv",
        ),
    ],
)
def test_errors_say_what_to_do(
    config: str, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, reason: str
) -> None:
    assert done(config, *words) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert reason in err


def test_without_history_or_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert done(str(tmp_path / "none.ini"), "--device", "roof") == 2
    assert "there is no such file" in capsys.readouterr().err
    (tmp_path / "config.ini").write_text(INI, "utf-8")
    assert done(str(tmp_path / "config.ini"), "--device", "roof") == 1
    assert "set enabled = true in [history]" in capsys.readouterr().err


def test_help_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        export.main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    for word in ("--device", "--from", "--to", "--format", "--resolution", "--output", "°C", "Exit code"):
        assert word in text


def test_as_a_command_that_is_cut_short(config: str) -> None:
    """`... | head -1` gets its line, and no complaint."""
    command = (
        f"{sys.executable} -m renogybt.cli.export {config} --device roof --from 2026-07-01 --to 2026-07-02 --resolution full"
    )
    ended = subprocess.run(["sh", "-c", f"{command} | head -1"], capture_output=True, text=True, check=False)
    assert ended.stdout.startswith("time,")
    assert ended.stderr == ""
