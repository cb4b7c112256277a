"""Where on a module to write and where to listen, over whatever radio. Pure: looks only at what the module said it has."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from renogybt.errors import ConnectFailed
from renogybt.protocol.table import Gatt

READ, WRITE_BLIND, WRITE, NOTIFY = "read", "write-without-response", "write", "notify"
"""What a characteristic can do, in bleak's words."""
Can = Callable[[Any, str], bool]
"""Whether a characteristic can do that."""


class Bare(ConnectFailed):
    """Connected, but the characteristics of such a module are not there (yet)."""


def uuid(short: int) -> str:
    return f"0000{short:04x}-0000-1000-8000-00805f9b34fb"


def ends(services: Iterable[Any], gatt: Gatt, can: Can, label: str) -> tuple[Any, Any]:
    """Where to listen and where to write, the latter None where nothing is ever written. Raises `Bare`."""
    notify = choose(services, gatt.notify_service, gatt.notify, (NOTIFY,), can)
    if notify is None:
        raise Bare(f"{label} has no characteristic {gatt.notify:04x} that notifies; is it a Renogy module?")
    if not gatt.write:
        return notify, None
    write = choose(services, gatt.write_service, gatt.write, (WRITE_BLIND, WRITE), can)
    if write is None:
        raise Bare(f"{label} has no characteristic {gatt.write:04x} to write to; is it a Renogy module?")
    return notify, write


def choose(services: Iterable[Any], service: int, characteristic: int, properties: Iterable[str], can: Can) -> Any:
    """The characteristic of that service which can do one of `properties`, the earlier the better; None when there is none.

    Battery Pro modules list ffd1 and fff1 again in other services, where they do not work: service and property decide.
    """
    here = [item for each in services if each.uuid == uuid(service) for item in each.characteristics]
    named = [item for item in here if item.uuid == uuid(characteristic)]
    return next((item for wanted in properties for item in named if can(item, wanted)), None)


def most(before: Gatt | None, wanted: Gatt) -> Gatt:
    """The care that serves both: as `wanted`, with the wake read of `before` where they use the same characteristics."""
    return before if before is not None and before.wake and same(before, wanted) else wanted


def same(before: Gatt, wanted: Gatt) -> bool:
    """Whether both write and listen at the same places."""
    return (before.write, before.notify) == (wanted.write, wanted.notify)
