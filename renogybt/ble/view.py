"""What the watchdog sees of whoever uses the adapters, and what hears the D-Bus. Times are those of the event loop.

For the type checker only: nothing imports this while the program runs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol


class AdapterView(Protocol):
    """An adapter in use."""

    @property
    def name(self) -> str: ...
    @property
    def good_at(self) -> float | None:
        """The last good exchange with any module."""

    @property
    def failing_since(self) -> float | None:
        """The first failure after that; None while all is well."""

    @property
    def scanning_since(self) -> float | None:
        """Our scan is open since then, or BlueZ did not confirm that it ended."""

    @property
    def listens(self) -> bool:
        """A scan of ours is open on purpose that has no end yet; `scanning_since` is None meanwhile."""

    @property
    def silent_scans(self) -> int:
        """Finished scans in a row in which nothing at all was heard."""

    @property
    def failed_scans(self) -> int:
        """Scans in a row that could not be started or ended: BlueZ said InProgress, or nothing."""

    def connecting(self) -> AbstractAsyncContextManager[None]:
        """Hold the air."""


class ManagerView(Protocol):
    @property
    def adapters(self) -> Mapping[str, AdapterView]:
        """Those in use, by the name they have now."""

    @property
    def wanted(self) -> Collection[str]:
        """Names of adapters in the configuration; "" stands for the first one that is switched on."""

    @property
    def busy(self) -> bool:
        """A connection attempt is under way."""

    @property
    def longest_scan(self) -> float:
        """Seconds that one scan of ours may take."""

    async def lose_everything(self, why: str) -> None:
        """Forget all that BlueZ said, and make every connection anew."""

    def moved(self, old: str, new: str) -> None:
        """The adapter that was called `old` is now called `new`."""


class Listener(Protocol):
    """Called in the event loop, while a message is being taken apart: note it, do nothing else."""

    def owner_changed(self, owner: str) -> None: ...
    def adapter_changed(self, name: str, properties: dict[str, Any]) -> None: ...
    def adapter_came(self, name: str) -> None: ...
    def adapter_went(self, name: str) -> None: ...
    def bus_lost(self) -> None: ...
