"""Everything behind the readings: energy totals, MQTT, HTTP, outbox, history. A group for each part of OPTIMIZATIONS.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks import catching_up, disk, energy, footprint, patience, pooling, traffic
from benchmarks.report import Figure

GROUPS: dict[str, Callable[[], Iterator[Figure]]] = {
    "Energy totals are kept in memory": energy.figures,
    "One MQTT connection for everything": pooling.mqtt,
    "One HTTP session for everything": pooling.http,
    "A dead server is left alone": patience.figures,
    "Nothing piles up in memory": footprint.figures,
    "The SD card is spared": disk.figures,
    "Little goes over the network": traffic.figures,
    "What waited is caught up": catching_up.figures,
}
