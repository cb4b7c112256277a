"""A full disk, and files that are torn, foreign or not ours: the program goes on, says so once, and loses nothing else."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from renogybt.data_logger import DataLogger
from renogybt.energy.totals import EnergyTotals
from renogybt.history import History
from renogybt.outbox.file import File, Given, NoDisk
from renogybt.outbox.store import Store
from tests.outage.given import (
    MINUTE,
    ROVER,
    as_sent,
    hasten,
    moment,
    of_time,
    reading,
    running,
    settings,
    short_rests,
    through,
    until,
    yesterday,
)
from tests.peers.disk import small_disk
from tests.peers.door import Door
from tests.peers.web import Web

BEGIN = moment(yesterday(), 12)


def moments(first: int, last: int) -> list[float]:
    return [BEGIN + MINUTE * n for n in range(first, last)]


def said(caplog: pytest.LogCaptureFixture, text: str) -> int:
    return sum(text in message for message in caplog.messages)


def offer(logger: DataLogger, totals: EnergyTotals, first: int, last: int) -> None:
    for number in range(first, last):
        logger.log(reading(BEGIN + MINUTE * number, number))
        totals.add("pack", "pack_48", 3600.0, MINUTE * number, 180)
        totals.flush_if_due(MINUTE * number)
        time.sleep(0.005)


@pytest.mark.parametrize("mount", [True, False], ids=["small disk", "files that cannot grow"])
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, mount: bool) -> None:
    hasten(monkeypatch)
    caplog.set_level(logging.INFO)
    with small_disk(tmp_path / "disk", mount=mount) as disk, Web() as web, Door(web.port) as door:
        config = settings(disk.folder, remote=through(web.url, door.port), history=True)
        totals = EnergyTotals(disk.folder / "energy.json")
        door.shut()
        with running(config, short_rests) as logger:
            offer(logger, totals, 0, 40)
            assert logger.flush(60) == "", "kept on the disk"
            with disk.full():
                offer(logger, totals, 40, 240)
                until(lambda: logger.health()["outbox"]["state"] == "memory", what=lambda: logger.health())
                until(lambda: said(caplog, "energy totals cannot be written") and said(caplog, "history: "))
                offer(logger, totals, 240, 280)
                assert "the disk" in logger.flush(2)
                door.open()
                until(lambda: len(of_time(web)) == 280, what=lambda: logger.health())
                door.shut()
                offer(logger, totals, 280, 320)
            offer(logger, totals, 320, 340)
            until(lambda: logger.health()["outbox"]["state"] == "disk", what=lambda: logger.health())
            assert logger.flush(60) == ""
            assert said(caplog, "outbox: ") == 2, caplog.messages
            assert said(caplog, "can be written again") == 1
            assert said(caplog, "history: ") == 1
            assert said(caplog, "the history is written to") == 1
            assert said(caplog, "energy totals cannot be written") == 1
            assert said(caplog, "energy totals are written to") == 1
        with running(config, short_rests) as logger:
            door.open()
            until(lambda: len(of_time(web)) == 340, what=lambda: logger.health())
        totals.flush()
        assert EnergyTotals(totals.path).totals("pack", "pack_48")[0] == pytest.approx(0.06 * 339)
        with History(disk.folder / "history.sqlite") as history:
            kept = [at for at, _ in history.readings(ROVER.uid, BEGIN, BEGIN + MINUTE * 340)]
    assert of_time(web) == as_sent(moments(0, 340))
    assert kept == moments(0, 340)


@pytest.mark.parametrize("room", range(0, 49152, 1536))
def test_a_disk_that_fills_up_at_any_moment(tmp_path: Path, room: int) -> None:
    """Whatever step is the one that fails for want of `room` bytes: afterwards the file holds exactly what it should."""
    with small_disk(tmp_path / "disk", 512) as disk:
        path = disk.folder / "outbox.sqlite"
        store = Store(path, max_age=1e9, max_bytes=10**6, flush_seconds=1)
        accepted: list[int] = []

        def accept(count: int, now: float) -> None:
            for _ in range(count):
                store.accept("remote_logging", 1e9, json.dumps({"n": len(accepted)}).ljust(400), now)
                accepted.append(len(accepted))

        def deliver(count: int, now: float) -> list[int]:
            first = store.waiting("remote_logging", count, now)
            store.mark("remote_logging", [record.number for record in first])
            store.remove("remote_logging", [record.number for record in first], now)
            return [json.loads(record.body)["n"] for record in first]

        accept(30, 0)
        assert store.commit(0, 1e9)
        delivered = deliver(10, 1)
        with disk.full(leaving=room):
            for now in range(2, 12):
                accept(5, now)
                store.commit(now, 1e9)
                delivered += deliver(6 if now != 7 else 500, now)
                store.commit(now, 1e9)
        accept(5, 20)
        assert store.commit(22, 1e9), store.trouble
        delivered += deliver(2, 23)
        assert store.commit(25, 1e9), store.trouble
        store.close()
        rest = Store(path, max_age=1e9, max_bytes=10**6, flush_seconds=1)
        rest.open(0)
        left = [json.loads(record.body)["n"] for record in rest.waiting("remote_logging", 500, 0)]
        rest.close()
    assert delivered + left == accepted


class Unsure(File):
    """A disk that reports a failure after it has written everything, as cards do when their last sync fails."""

    def write(self, *given: Any) -> Given:
        super().write(*given)
        self.close()
        raise NoDisk("sync failed")


@pytest.mark.parametrize("before", [0, 3, 600])
def test_a_commit_that_got_there_although_it_failed(tmp_path: Path, before: int) -> None:
    store = Store(tmp_path / "outbox.sqlite", max_age=1e9, max_bytes=10**6, flush_seconds=1)
    for number in range(before):
        store.accept("remote_logging", 1e9, str(number), 0)
    store.commit(0, 1e9)
    for number in range(before, before + 5):
        store.accept("remote_logging", 1e9, str(number), 1)
    sound = store._file
    sound.close()
    store._file = Unsure(sound.path, 10**6)
    assert not store.commit(1, 1e9)
    store._file = sound
    store.accept("remote_logging", 1e9, str(before + 5), 2)
    assert store.commit(3, 1e9), store.trouble
    delivered: list[str] = []
    while waiting := store.waiting("remote_logging", 100, 4):
        delivered += [record.body for record in waiting]
        store.remove("remote_logging", [record.number for record in waiting], 4)
        assert store.commit(4, 1e9), store.trouble
    store.close()
    assert delivered == [str(number) for number in range(before + 6)]


def torn(path: Path) -> None:
    """Bytes in the middle are others, as after a card has failed."""
    content = bytearray(path.read_bytes())
    for place in range(len(content) // 8, len(content) // 2):
        content[place] ^= 0xA5
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garbage(path: Path) -> None:
    path.write_bytes(b"\x00\xff no such file" * 500)


@pytest.mark.parametrize("damage", [torn, cut, garbage])
def test_damaged_files_are_kept_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    hasten(monkeypatch)
    caplog.set_level(logging.INFO)
    energy = tmp_path / "energy.json"
    with Web() as web, Door(web.port) as door:
        config = settings(tmp_path, remote=through(web.url, door.port), history=True)
        door.shut()
        with running(config, short_rests) as logger:
            offer(logger, EnergyTotals(energy), 0, 60)
        totals = EnergyTotals(energy)
        totals.add("pack", "pack_48", 3600.0, 0, 180)
        totals.add("pack", "pack_48", 3600.0, 60, 180)
        totals.flush()
        for name in ("outbox.sqlite", "history.sqlite", "energy.json"):
            damage(tmp_path / name)
        before = {name: (tmp_path / name).read_bytes() for name in ("outbox.sqlite", "history.sqlite", "energy.json")}
        caplog.clear()
        kept = EnergyTotals(energy)
        assert kept.totals("pack", "pack_48")[0] == pytest.approx(0.06 * 59), "of the backup"
        with running(config, short_rests) as logger:
            door.open()
            offer(logger, kept, 60, 90)
            until(lambda: as_sent(moments(60, 90)) == of_time(web)[-30:], what=lambda: logger.health())
            assert logger.flush(60) == ""
        kept.flush()
    for name, content in before.items():
        aside = [path for path in tmp_path.glob(f"{name}.broken*") if not path.name.endswith(("-wal", "-shm"))]
        assert [path.read_bytes() for path in aside] == [content], name
        assert said(caplog, name) in (1, 2), caplog.messages
    assert not [message for message in caplog.messages if "\n" in message]
    assert len([message for message in caplog.messages if "is damaged (" in message]) == 2, caplog.messages
    with History(tmp_path / "history.sqlite") as history:
        assert [at for at, _ in history.readings(ROVER.uid, BEGIN, BEGIN + MINUTE * 90)] == moments(60, 90)
    assert json.loads(energy.read_text())["pack"]["energy_in_kwh"] > 0


def test_files_of_others_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hasten(monkeypatch)
    caplog.set_level(logging.INFO)
    for name in ("outbox.sqlite", "history.sqlite"):
        with sqlite3.connect(tmp_path / name) as database:
            database.execute("CREATE TABLE recipes (title TEXT)")
            database.execute("INSERT INTO recipes VALUES ('soup')")
        database.close()
    (tmp_path / "energy.json").write_text('["soup"]')
    before = {name: (tmp_path / name).read_bytes() for name in ("outbox.sqlite", "history.sqlite")}
    with Web() as web:
        config = settings(tmp_path, remote=web.url, history=True)
        totals = EnergyTotals(tmp_path / "energy.json")
        with running(config, short_rests) as logger:
            offer(logger, totals, 0, 60)
            until(lambda: len(of_time(web)) == 60, what=lambda: logger.health())
        assert totals.flush()
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert not list(tmp_path.glob("*.sqlite.broken*"))
    assert (tmp_path / "energy.json.broken").read_text() == '["soup"]'
    assert said(caplog, "[history]") == 1, caplog.messages
