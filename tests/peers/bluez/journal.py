"""What happened, for tests to look at afterwards. Times are CLOCK_MONOTONIC, comparable across processes of one machine."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

KEPT = 20_000
Entry = dict[str, Any]


class Journal:
    def __init__(self) -> None:
        self.calls: deque[Entry] = deque(maxlen=KEPT)
        self.frames: deque[Entry] = deque(maxlen=KEPT)
        self.events: deque[Entry] = deque(maxlen=KEPT)

    def called(self, sender: str, interface: str, member: str, path: str, body: list[Any]) -> Entry:
        entry = {
            "t": time.monotonic(),
            "sender": sender,
            "interface": interface,
            "member": member,
            "path": path,
            "body": plain(body) if body else [],
            "result": None,
            "replied": None,
        }
        self.calls.append(entry)
        return entry

    def wrote(self, sender: str, address: str, char: str, kind: str, data: bytes) -> Entry:
        entry = {
            "t": time.monotonic(),
            "sender": sender,
            "address": address,
            "char": char,
            "kind": kind,
            "hex": data.hex(),
            "answer": None,
            "done": None,
        }
        self.frames.append(entry)
        return entry

    def happened(self, what: str, **more: Any) -> None:
        """`what`: connected, resolved, disconnected, discovering, idle, violation, ..."""
        self.events.append({"t": time.monotonic(), "what": what, **more})

    def clear(self) -> None:
        self.calls.clear()
        self.frames.clear()
        self.events.clear()


def plain(value: Any) -> Any:
    """D-Bus values as JSON can hold them."""
    if hasattr(value, "signature") and hasattr(value, "value"):
        return plain(value.value)
    if isinstance(value, bytes | bytearray):
        return bytes(value).hex()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
