"""A way to ask a device: the seam between sources and radios."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Complete = Callable[[bytes], bytes | None]
"""Given all bytes received since the request, the answer among them, or None while it is not there yet."""


class Link(Protocol):
    """An open connection to one module, lent for the length of one reading.

    `name` is the advertised name, `generation` changes with each new connection.
    """

    @property
    def name(self) -> str: ...

    @property
    def generation(self) -> int: ...

    async def exchange(self, frame: bytes | None, complete: Complete, timeout: float, pause: float = 0.0) -> bytes:
        """Write `frame` (None: only listen) and return what `complete` finds in the answer.

        Waits until `pause` seconds have passed since the previous answer before writing. Raises `NoAnswer` when nothing
        complete came within `timeout` seconds; the link is then spent and every further exchange raises `LinkSpent`,
        because a late answer could pass for the next one. Raises other `LinkError`s when the connection broke.
        """
        ...

    async def renew(self) -> None:
        """Close the connection and open a new one. Raises `LinkError` when that fails."""
        ...
