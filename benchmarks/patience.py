"""The circuit breaker: how many requests a dead server is spared, and the network with it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import given
from benchmarks.peers import Web
from benchmarks.report import Figure
from benchmarks.simulated import Ahead, run, told_by
from renogybt.sinks.outlets import Outlets

HOUR, PERIOD, START = 3600, 10, datetime(2025, 6, 21, 10, 0, tzinfo=UTC).timestamp()


def figures() -> Iterator[Figure]:
    tries = HOUR // PERIOD
    for name, most in (("remote_logging", 15), ("pvoutput", 10), ("influxdb", 15)):
        made = requests(name)
        method = f"it answers 500 for a simulated hour; a reading every {PERIOD} s, so {tries} requests without a breaker"
        yield Figure(f"requests to a dead server [{name}]", made, most, "per hour", method)
        yield Figure(f"requests saved [{name}]", 100 * (tries - made) / tries, 95, "%", "the same", least=True)


def requests(name: str) -> int:
    """How many requests the section `name` makes in an hour in which every one of them fails."""
    clock = Ahead(START)
    with tempfile.TemporaryDirectory(prefix="patience-") as folder, Web(status=500) as web, told_by(clock):
        sections: dict[str, Any] = {
            "remote_logging": given.remote(web.url("post")),
            "pvoutput": given.pvoutput(web.url("")),
            "influxdb": given.influxdb(web.url("").rstrip("/")),
        }
        uploader = Outlets(given.settings(Path(folder), **{name: sections[name]})).uploader
        first = next(given.readings(1))
        for _ in range(HOUR // PERIOD):
            uploader.offer(replace(first, taken_at=clock.wall(), monotonic=clock.mono()))
            run(uploader, clock, float(PERIOD))
        uploader.close()
        return web.asked
