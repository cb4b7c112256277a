"""What is done about a connection that does not come about, and about links that nobody of ours uses."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from bleak.backends.device import BLEDevice

from renogybt.ble import bluez
from renogybt.ble.budget import BARE_LIMIT, Attempts, Cure
from renogybt.ble.characteristics import Bare
from renogybt.ble.faults import TRANSIENT, bluez_is_gone, cure, device_is_gone, object_is_gone, says, text_of
from renogybt.errors import ConnectFailed, Held, LinkError
from renogybt.incident import Incident

log = logging.getLogger(__name__)
HELD = 600.0
"""Seconds for which a module that another program took back is left to it before it is taken away once more."""
SETTLE, TICK = 0.2, 0.05
"""Seconds in which another program would take a module back that was just freed; and how often to look."""
END_LIMIT = 5.0
REMOVE_EVERY = 3600.0


class Recovery:
    """For one module. `ours`: a link that BlueZ holds may be one of our own, because we made one and did not see its end."""

    def __init__(self, label: str, report: Callable[[Incident], None]) -> None:
        self.ours = False
        self._label, self._report = label, report
        self._attempts = Attempts()
        self._freed_at: float | None = None
        self._bare = 0
        self._unbonded = False
        self._removed_at: float | None = None

    def begin(self) -> None:
        """A connection is to be opened."""
        self._attempts = Attempts()

    def opened(self) -> None:
        """It has come about."""
        self._bare = 0

    def closed(self, path: str) -> None:
        """Our own connection was closed."""
        self.ours = bool(path) and (not bluez.tree() or bluez.linked(path))

    async def free(self, path: str, known: bool) -> None:
        """End a link that BlueZ holds although we have none: nobody receives its notifications. `known`: it was read before.

        Raises `Held` when another program takes the module back, `ConnectFailed` when BlueZ does not end the link, and
        what bleak raises.
        """
        await bluez.meet()
        if not path or not bluez.linked(path):
            return
        now = asyncio.get_running_loop().time()
        if not self.ours and self._freed_at is not None and now - self._freed_at < HELD:
            raise self._held(path)
        if self.ours:
            log.debug("%s is still connected from last time; freeing it", self._label)
        else:
            origin = "by another program, or left over" if known else "from an earlier run"
            log.info("%s is still connected %s; freeing it", self._label, origin)
        if not await bluez.disconnect(path, END_LIMIT):
            raise ConnectFailed(f"BlueZ still holds an old link to {self._label} and does not end it")
        if not self.ours:
            self._freed_at = now
            until = asyncio.get_running_loop().time() + SETTLE
            while not bluez.linked(path) and asyncio.get_running_loop().time() < until:
                await asyncio.sleep(TICK)
            if bluez.linked(path):
                raise self._held(path)
        self.ours = False

    def _held(self, path: str) -> Held:
        address = path.rpartition("dev_")[2].replace("_", ":")
        return Held(
            f"another program on this machine is connected to {self._label} and came back after it was sent away; a module "
            f"takes one connection only. End that program, then: bluetoothctl disconnect {address}"
        )

    async def after(self, failure: ConnectFailed, device: BLEDevice, seen: bool) -> bool:
        """Prepare the next attempt. True: look for the module anew first. Raises `failure` when there is to be none."""
        error = failure.__cause__ or failure
        path = bluez.path_of(device)
        try:
            what = await self._choose(error, path, seen)
            if not self._attempts.allow(what):
                if what is not Cure.AGAIN or seen or not self._attempts.allow(Cure.LOOK):
                    raise failure
                what = Cure.LOOK
            log.debug("%s: %s", failure, what.value)
            if what is Cure.FORGET:
                await bluez.forget_everything()
            elif what is Cure.UNBOND:
                await self._remove(path, "it asks for keys that are not right any more, and needs none")
            elif what is Cure.RENEW:
                await self._remove(path, "its services did not show three times in a row")
            elif what is Cure.AGAIN:
                if says(error, "InProgress", "canceled"):
                    await bluez.disconnect(path, END_LIMIT)
                await asyncio.sleep(self._attempts.pause)
        except (*TRANSIENT, LinkError) as trouble:
            if trouble is not failure:
                log.debug("mending the connection to %s: %s", self._label, text_of(trouble))
            raise failure from failure.__cause__
        return what is not Cure.AGAIN

    async def _choose(self, error: BaseException, path: str, seen: bool) -> Cure:
        what = cure(error, seen)
        if (device_is_gone(error) or object_is_gone(error)) and path and await bluez.contradicts(path):
            return Cure.FORGET
        if isinstance(error, Bare):
            self._bare += 1
            if self._bare >= BARE_LIMIT and self._may_remove():
                return Cure.RENEW
        elif not bluez_is_gone(error):
            self._bare = 0
        if what is Cure.UNBOND:
            if self._unbonded or not (bluez.about(path) or {}).get("Paired"):
                return Cure.AGAIN
            self._unbonded = True
        return what

    def _may_remove(self) -> bool:
        now = asyncio.get_running_loop().time()
        return self._removed_at is None or now - self._removed_at >= REMOVE_EVERY

    async def _remove(self, path: str, why: str) -> None:
        self._bare, self._removed_at = 0, asyncio.get_running_loop().time()
        text = f"had BlueZ forget {self._label}: {why}"
        log.warning("%s", text)
        self._report(Incident("module", text))
        await bluez.remove_device(path)
