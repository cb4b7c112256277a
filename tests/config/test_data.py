"""The time zone in which days turn."""

from __future__ import annotations

import sys
import zoneinfo

import pytest

from tests.config.given import DEVICE, Folder


@pytest.mark.parametrize("name", ["Europe/Amsterdam", "America/Argentina/Buenos_Aires", "UTC", "Etc/GMT+5"])
def test_zones(folder: Folder, name: str) -> None:
    assert folder.load(f"{DEVICE}[data]\ntimezone = {name}\n").data.timezone == name


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Europe/Amsterdm", "Europe/Amsterdam"),
        ("Amsterdam", "Europe/Amsterdam"),
        ("new york", "America/New_York"),
        ("utc", "UTC"),
        ("europe/berlin", "Europe/Berlin"),
    ],
)
def test_misspelt_zones(folder: Folder, name: str, meant: str) -> None:
    problem = folder.problem(f"{DEVICE}[data]\ntimezone = {name}\n")
    assert problem.endswith(f"[data] timezone = {name}: must be a time zone like Europe/Amsterdam; did you mean {meant}?")


@pytest.mark.parametrize("name", ["CEST", "GMT+1", "Europe", "../config.ini", "/etc/localtime", "x" * 5000, "leapseconds"])
def test_what_is_no_zone(folder: Folder, name: str) -> None:
    problem = folder.problem(f"{DEVICE}[data]\ntimezone = {name}\n")
    assert problem.partition(": must be ")[2].startswith("a time zone like Europe/Amsterdam")
    assert "Etc/" not in problem


def test_a_machine_without_zones(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither those of the system nor the package that stands in for them."""
    for name in {"tzdata", *(name for name in sys.modules if name.startswith("tzdata."))}:
        monkeypatch.setitem(sys.modules, name, None)
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath([str(folder.path)])
    zoneinfo.ZoneInfo.clear_cache()
    try:
        assert "install them (sudo apt install tzdata)" in folder.problem(DEVICE + "[data]\ntimezone = Europe/Amsterdam\n")
    finally:
        zoneinfo.reset_tzpath(before)
