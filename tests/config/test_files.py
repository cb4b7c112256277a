"""The files that the program writes: each its own, in a folder that is there."""

from __future__ import annotations

import pytest

from tests.config.given import DEVICE, Folder

HISTORY = "[history]\nenabled = true\n"
REMOTE = "[remote_logging]\nenabled = true\nurl = https://example.com/\n"
OUTBOX = REMOTE + "[outbox]\n"
ENERGY = "[data]\n"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (f"{ENERGY}energy_file = {{}}", "[data] energy_file"),
        (f"{OUTBOX}file = {{}}", "[outbox] file"),
        (f"{HISTORY}file = {{}}", "[history] file"),
    ],
)
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "must name a file"),
        (".", "is a folder; put the name of a file behind it"),
        ("data/x.sqlite", "/data is not there; create it"),
        ("config.ini/x.sqlite", "/config.ini is not there; create it"),
        ("x" * 5000 + "/x", "is not there; create it"),
    ],
    ids=["empty", "folder", "no folder", "file for a folder", "long"],
)
def test_places(folder: Folder, text: str, place: str, name: str, words: str) -> None:
    problem = folder.problem(DEVICE + text.format(name) + "\n")
    assert f"{place} = " in problem
    assert words in problem
    (folder.path / "more").mkdir()
    folder.load(DEVICE + text.format("more/x.sqlite") + "\n")
    folder.load(DEVICE + text.format(folder.path / "x.sqlite") + "\n")


@pytest.mark.parametrize(
    ("text", "place", "owner"),
    [
        (f"{HISTORY}file = energy_totals.json\n", "[history] file", "energy_file in [data]"),
        (f"{OUTBOX}file = ./energy_totals.json\n", "[outbox] file", "energy_file in [data]"),
        (f"{HISTORY}file = outbox.sqlite\n{REMOTE}", "[history] file", "file in [outbox]"),
        (f"{HISTORY}{OUTBOX}file = link.sqlite\n", "[history] file", "file in [outbox]"),
    ],
)
def test_each_its_own(folder: Folder, text: str, place: str, owner: str) -> None:
    (folder.path / "link.sqlite").symlink_to("history.sqlite")
    problem = folder.problem(DEVICE + text)
    assert place in problem
    assert f"is the same file as {owner}; give each a name of its own" in problem


@pytest.mark.parametrize(
    "outlet",
    [
        REMOTE,
        "[mqtt]\nenabled = true\nreplay = true\n",
        "[pvoutput.x]\nenabled = true\napi_key = x\nsystem_id = 1\n",
        "[influxdb]\nenabled = true\nversion = 1\n",
    ],
    ids=["remote logging", "replay", "PVOutput", "InfluxDB"],
)
def test_the_outbox_matters_once_something_uses_it(folder: Folder, outlet: str) -> None:
    text = f"{DEVICE}[outbox]\nfile = nowhere/x.sqlite\n{outlet}"
    assert "[outbox] file = nowhere/x.sqlite: the folder" in folder.problem(text)
    folder.load(text.replace("enabled = true", "enabled = false"))
    folder.load(text.replace(outlet, "[mqtt]\nenabled = true\n"))


def test_a_history_that_is_off_is_not_looked_at(folder: Folder) -> None:
    folder.load(DEVICE + "[history]\nfile = nowhere/energy_totals.json\n")


def test_nothing_is_concluded_from_a_faulty_name(folder: Folder) -> None:
    problem = folder.problem(f"{DEVICE}{ENERGY}energy_file = a\tb\n{HISTORY}file = energy_totals.json\n")
    assert "cannot be printed" in problem
