"""What every outlet of readings looks like to the rest of the program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from renogybt.reading import Failure, Identity, LinkFigures, Reading, Standing


class Sink(Protocol):
    """Takes readings. `offer` and `failed` never block and never raise; the sink delivers in its own time."""

    name: str

    def start(self) -> None: ...

    def offer(self, reading: Reading) -> None:
        """A device was read (possibly in part)."""
        ...

    def failed(self, failure: Failure) -> None:
        """A device could not be read at all in this cycle."""
        ...

    def figures(self, identity: Identity, figures: LinkFigures) -> None:
        """How the link to a device does, after each cycle."""
        ...

    def flush(self, timeout: float) -> str:
        """Wait until everything offered is delivered. "" when it is, else the reason why not."""
        ...

    def stop(self, timeout: float, last_words: bool = True) -> bool:
        """Deliver what can be delivered and end, within `timeout` seconds; True when it went well.

        `last_words`: tell the world that the bridge goes away (a daemon does, a one-shot run for cron does not).
        """
        ...


@runtime_checkable
class Shows(Protocol):
    """A sink that shows how things stand now, also with a device that is not read. Others see what was measured only."""

    def standing(self, standing: Standing) -> None: ...


@runtime_checkable
class Supervised(Protocol):
    """A sink with a thread of its own."""

    name: str

    def revive(self) -> bool:
        """Start its thread anew if that has died; True when it had."""
        ...


@dataclass(frozen=True, slots=True)
class Health:
    """How a way out does. `state`: connected, disconnected; closed, open, half-open (of a breaker); disk, memory.

    Counts since the start of the program; `waiting` is what is not delivered yet, `trouble` "" when all is well.
    """

    state: str
    waiting: int = 0
    delivered: int = 0
    dropped: int = 0
    trouble: str = ""


@runtime_checkable
class Watched(Protocol):
    """A sink that can say how it does."""

    def health(self) -> Mapping[str, Health]:
        """By the name of the way out; a sink may have several. May be asked by any thread."""
        ...
