"""`release`, `resume` and `status`, against a real door."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from renogybt.cli import ask
from renogybt.cli.run import is_command, main
from renogybt.command import Command
from renogybt.service.door import Door

ROOT = Path(__file__).resolve().parents[2]
INI = "[device.hub]\nmac_addr = 80:6F:B0:0F:12:34\ntype = RNG_BATT\ndevice_id = 48,49\n[data]\nenable_polling = true\n"
HEALTH = {
    "state": "degraded",
    "started": "2026-07-01T10:00:00+00:00",
    "now": "2026-07-01T13:05:07+00:00",
    "devices": {
        "hub_48": {
            "state": "online",
            "last_read": "2026-07-01T13:05:00+00:00",
            "error": None,
            "missing": ["cells"],
            "link": {"success_rate": 97.5, "rssi": -71, "reads": 4},
        },
        "hub_49\x1b[2J": {"state": "waiting", "error": "no answer: is device_id right?"},
    },
    "resets": {"power_cycle": 2, "new_loop": 0},
    "outlets": {"mqtt": {"connected": True, "waiting": [1, 2]}},
    "incidents": [
        {"at": f"2026-07-01T1{n // 10}:0{n % 10}:00+00:00", "kind": "thread", "text": f"no. {n}"} for n in range(15)
    ],
}


class Program:
    """What the commands find: a door, and an answer for each command."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "config.ini"
        self.config.write_text(INI, "utf-8")
        self.heard: list[Command] = []
        self.answer: dict[str, Any] = {"ok": True, "text": "hub is free for 10 min"}
        self.door = Door(folder / "config.ini.sock", self._take)
        self.door.start()

    def _take(self, command: Command) -> None:
        self.heard.append(command)
        assert command.answer
        command.answer(self.answer)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    found = Program(tmp_path)
    yield found
    assert found.door.stop()


def test_release_and_resume(program: Program, capsys: pytest.CaptureFixture[str]) -> None:
    config = ["--config", str(program.config)]
    assert main(["release", "hub", "--minutes", "7.5", *config]) == 0
    assert main(["release", "hub", *config]) == 0
    assert main(["resume", *config]) == 0
    assert capsys.readouterr().out == "hub is free for 10 min\n" * 3
    assert [(each.do, each.device, each.minutes) for each in program.heard] == [
        ("release", "hub", 7.5),
        ("release", "hub", 10),
        ("resume", "", 10),
    ]


@pytest.mark.parametrize("minutes", ["nan", "inf", "1e309", "soon"])
def test_minutes_are_a_number(program: Program, minutes: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["release", "hub", "--minutes", minutes, "--config", str(program.config)])
    assert f"invalid minutes value: '{minutes}'" in capsys.readouterr().err
    assert not program.heard


def test_the_configuration_beside_the_program_is_found(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert main(["resume", "hub"], beside=str(tmp_path)) == 0
    assert len(program.heard) == 1


def test_a_refusal_is_told_with_its_reason(program: Program, capsys: pytest.CaptureFixture[str]) -> None:
    program.answer = {"ok": False, "text": "no device is called tub;\nthere is hub"}
    assert main(["release", "tub", "--config", str(program.config)]) == ask.EXIT_FAILED
    assert capsys.readouterr().err == "no device is called tub;?there is hub\n"


def test_status_for_people(program: Program, capsys: pytest.CaptureFixture[str]) -> None:
    program.answer = {"ok": True, "text": "", **HEALTH}
    assert main(["status", "--config", str(program.config)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:5] == [
        "State: degraded, running for 3 h 5 min",
        "  hub_48      online, read 7 s ago, 97.5 % of the last readings succeeded, signal -71 dBm, in part, without cells",
        "  hub_49?[2J  waiting, no answer: is device_id right?",
        "Resets: power_cycle 2, new_loop 0",
        "Outlets: mqtt connected yes, waiting 1, 2",
    ]
    assert lines[5] == "What happened lately:"
    assert len(lines) == 16
    assert lines[-1].endswith(" thread: no. 14")


def test_status_for_programs(program: Program, capsys: pytest.CaptureFixture[str]) -> None:
    program.answer = {"ok": True, "text": "", **HEALTH}
    assert main(["status", "--json", "--config", str(program.config)]) == 0
    assert json.loads(capsys.readouterr().out) == program.answer


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"state": None, "devices": None, "incidents": None},
        {"devices": {"a": {}}, "now": "yesterday", "started": 5, "incidents": [{}, {"at": 7}]},
        {"devices": {"a": {"last_read": "2026-07-01", "link": {"rssi": "weak"}}}, "new": [{"x": None}, True]},
    ],
)
def test_status_takes_what_it_gets(answer: dict[str, Any]) -> None:
    first, *_ = ask.page(answer)
    assert first.startswith("State: ")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h 0 min"),
        (90000, "25 h 0 min"),
        (180000, "2 d 2 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert ask.span(seconds) == text


def test_nobody_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.ini"
    config.write_text(INI, "utf-8")
    assert main(["status", "--config", str(config)]) == ask.EXIT_NOBODY == 69
    said = capsys.readouterr().err
    assert "sudo systemctl start renogybt" in said
    assert str(tmp_path / "config.ini.sock") in said
    config.write_text(INI.replace("polling = true", "polling = false"), "utf-8")
    assert main(["status", "--config", str(config)]) == ask.EXIT_NOBODY
    assert "enable_polling = false" in capsys.readouterr().err


def test_a_door_without_a_program_behind_it(program: Program, capsys: pytest.CaptureFixture[str]) -> None:
    program.answer = {}
    assert main(["status", "--config", str(program.config)]) == ask.EXIT_FAILED
    assert capsys.readouterr().err == "refused\n"


def test_a_wrong_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--config", str(tmp_path / "none.ini")]) == 2
    assert "there is no such file" in capsys.readouterr().err


def test_a_file_of_that_name_is_a_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_command(["status"])
    assert not is_command(["config.ini"])
    assert not is_command([])
    Path("status").write_text(INI, "utf-8")
    assert not is_command(["status"])


@pytest.mark.parametrize("words", [["release", "hub"], ["status", "--json"], ["resume", "--help"]])
@pytest.mark.parametrize("how", [["example.py"], ["ha_proxy_example.py"], ["-m", "renogybt.cli.run"]])
def test_it_is_reached_in_every_way(program: Program, how: list[str], words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *how, *words, "--config", str(program.config)],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "hub is free" in done.stdout or "--config" in done.stdout
