"""Home Assistant without a broker, if it is switched on: loaded then only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from renogybt.command import Command
from renogybt.reading import Identity
from renogybt.settings import Settings

if TYPE_CHECKING:
    from renogybt.ble.thread import Resident
    from renogybt.sinks.sink import Sink


def esphome(
    settings: Settings, identities: Iterable[Identity], lend_radio: bool, on_command: Callable[[Command], None]
) -> tuple[Sequence[Resident], Sequence[Sink]]:
    """What lives in the radio thread, and what takes readings. Raises `UserError` when the extra is not installed."""
    if not settings.home_assistant_proxy.enabled:
        return (), ()
    from renogybt.proxy import resident, sink

    home = resident.Resident(settings, identities, lend_radio, on_command)
    return (home,), (sink.EsphomeSink(home.node),)
