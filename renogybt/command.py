"""What somebody outside asks of the running program: from the command line, or with a button in Home Assistant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

RELEASE_MINUTES = 10.0
Answer = Callable[[Mapping[str, Any]], None]
"""Takes {"ok": bool, "text": str, ...}; called in the main thread, must not block."""


@dataclass(frozen=True, slots=True)
class Command:
    """`do` is release, resume or status. `device` names a module: section, alias, alias_id, address or uid; "" means all."""

    do: str
    device: str = ""
    minutes: float = RELEASE_MINUTES
    answer: Answer | None = None
