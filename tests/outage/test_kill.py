"""kill -9 at two hundred random moments: what was acknowledged as stored arrives, and PVOutput gets nothing twice."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from renogybt.sinks.document import iso
from tests.outage.given import ZONE, hasten_for_good, of_time, running, settings, slots, until
from tests.peers.pvoutput import Fault, PvoutputPeer
from tests.peers.web import Turn, Web

INTERVALS, ROUNDS = (1, 5), 100
"""Minutes between statuses in the lanes: in the second most lives begin in a slot that the one before may have sent."""


ENOUGH = 300
"""Readings that have to be acknowledged as stored; ten times that on an idle machine."""


def lane(folder: Path, interval: int, seed: int) -> dict[str, Any]:
    folder.mkdir()
    turns = [Turn(), Turn(), Turn(), Turn(how="reset"), Turn(500)]
    with Web(chance=lambda number: turns[number * 7 % 5]) as web, PvoutputPeer(time.time, ZONE, 1_000_000) as service:
        given = [str(folder), web.url, service.url, str(interval), str(ROUNDS), str(seed)]
        command = [sys.executable, "-m", "tests.outage.killed", *given]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        while process.poll() is None:
            service.faults = [Fault(0, carried_out=True), Fault(500, carried_out=True), Fault(0)]
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
        assert process.stderr is not None
        assert (process.stderr.read(), process.returncode) == ("", 0)
        service.faults.clear()
        web.chance = lambda number: Turn()
        config = settings(folder, remote=web.url, pvoutput=service.url, interval=interval, flush_seconds=0.02)
        with running(config) as logger:
            assert logger.flush(60) == ""  # now it knows what the lives before have left
            until(lambda: not logger.health()["outbox"]["waiting"], 100, what=lambda: logger.health())
        return {**json.loads((folder / "told.json").read_text()), "remote": of_time(web), "pvoutput": service.system}


def test_two_hundred_kills(tmp_path: Path) -> None:
    hasten_for_good()
    found: dict[int, dict[str, Any]] = {}
    threads = [
        threading.Thread(target=lambda n=n: found.update({n: lane(tmp_path / str(n), n, 20261120 + n)})) for n in INTERVALS
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(INTERVALS)
    for interval, result in found.items():
        assert result["faults"] == []
        assert result["counted"] > 0
        stored = [(outlet, taken_at) for outlet, taken_at in result["stored"]]
        for_remote = {iso(taken_at) for outlet, taken_at in stored if outlet == "remote_logging"}
        for_pvoutput = [taken_at for outlet, taken_at in stored if outlet == "pvoutput"]
        assert len(for_remote) > ENOUGH
        assert len(for_pvoutput) > ENOUGH / interval
        assert for_remote - set(result["remote"]) == set(), "acknowledged as stored, and lost"
        assert result["remote"] == sorted(result["remote"])
        delivered = result["pvoutput"].delivered
        assert set(slots(for_pvoutput, interval)) - set(delivered) == set(), "acknowledged as stored, and lost"
        assert {slot: count for slot, count in delivered.items() if count > 1} == {}
        assert result["pvoutput"].times == sorted(result["pvoutput"].times)
