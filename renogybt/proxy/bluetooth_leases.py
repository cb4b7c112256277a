"""Connections that clients have through the proxy: who has which, and what they do with them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from renogybt.ble.guest import Guest
from renogybt.ble.guests import Guests
from renogybt.ble.status import Denied, Status
from renogybt.errors import LinkError
from renogybt.proxy import bluetooth_messages as numbers
from renogybt.proxy.bluetooth_numbers import address_of, number_of
from renogybt.proxy.messages import packet
from renogybt.proxy.session import Session

log = logging.getLogger(__name__)
MOST_REQUESTS = 64
"""Requests that may wait for a device."""
OLD_LEASE = 8.0
"""Seconds for the connection of a client that has gone to end, before the next one gets the same device."""
Request = tuple[int, Any]


class Lease:
    """A device of one client, from the request to connect until all is released. `changed`: a slot was taken or freed."""

    def __init__(
        self, guests: Guests, session: Session, number: int, changed: Callable[[], None], old: Lease | None
    ) -> None:
        self.session, self.number, self.address = session, number, address_of(number)
        self.guest: Guest | None = None
        self._guests, self._changed, self._old = guests, changed, old
        self._requests: asyncio.Queue[Request] = asyncio.Queue(MOST_REQUESTS)
        self._code = 0
        self._begun = self._ending = self._unpairing = self._gone = False
        self.task = asyncio.get_running_loop().create_task(self._run())

    @property
    def ending(self) -> bool:
        return self._ending or self.task.done()

    def ask(self, kind: int, message: Any) -> None:
        """One request; they are answered one after the other."""
        if self.guest is None:
            self.deny(kind, message, Status.NOT_CONNECTED)
            return
        try:
            self._requests.put_nowait((kind, message))
        except asyncio.QueueFull:
            self.deny(kind, message, Status.BUSY)

    def end(self, code: int) -> None:
        """Release the device. The client hears that it is not connected, and why, when that is done."""
        if not self.ending:
            self._ending, self._code = True, code
            if self._begun:  # a task that is cancelled before would not say what became of the request
                self.task.cancel()

    def tell_connected(self) -> None:
        if self.guest is not None:
            self._say(numbers.CONNECTION, connected=True, mtu=self.guest.mtu)

    def deny(self, kind: int, message: Any, code: int) -> None:
        refuse(self.session, kind, message, code)

    async def _run(self) -> None:
        self._begun, reserved = True, False
        try:
            if self._ending:
                return
            if self._old is not None:
                await asyncio.wait({self._old.task}, timeout=OLD_LEASE)
                self._old = None
            self._guests.reserve(self.address)
            reserved = True
            self._changed()
            self.guest = await self._guests.connect(self.address, self._lost)
            self.tell_connected()
            while True:
                await self._serve(*await self._requests.get())
        except LinkError as error:
            if not self._ending:
                self._code = error.code if isinstance(error, Denied) else Status.INTERNAL
                log.info("%s", error)
        finally:
            self._ending, self.guest = True, None
            if reserved:
                await self._guests.release(self.address)
            self._say(numbers.CONNECTION, connected=False, error=self._code)
            self._changed()

    async def _serve(self, kind: int, message: Any) -> None:
        """Answer one request. What a device refuses is no reason to let it go."""
        assert self.guest is not None
        try:
            if kind == numbers.DEVICE_REQUEST:
                await self._serve_device(self.guest, message.request_type)
            else:
                await self._serve_attribute(self.guest, kind, message)
        except Denied as error:
            log.debug("%s", error)
            self.deny(kind, message, error.code)

    async def _serve_device(self, guest: Guest, wish: int) -> None:
        if wish == numbers.PAIR:
            await guest.pair()
            self._say(numbers.PAIRING, paired=True)
        elif wish == numbers.UNPAIR:
            self._unpairing = True  # this ends the connection, and its answer must come before that news
            try:
                await self._guests.forget(self.address)
                self._say(numbers.UNPAIRING, success=True)
            finally:
                self._unpairing = False
                if self._gone:
                    self.end(Status.LET_GO)
        elif wish == numbers.CLEAR_CACHE:
            guest.forget = True
            self._say(numbers.CACHE_CLEARING, success=True)

    async def _serve_attribute(self, guest: Guest, kind: int, message: Any) -> None:
        handle = message.handle if kind != numbers.GET_SERVICES else 0
        if kind == numbers.GET_SERVICES:
            self.session.send_all(numbers.service_packets(self.number, guest.services))
        elif kind == numbers.READ:
            self._say(numbers.READ_ANSWER, handle=handle, data=await guest.read(handle))
        elif kind == numbers.READ_DESCRIPTOR:
            self._say(numbers.READ_ANSWER, handle=handle, data=await guest.read_descriptor(handle))
        elif kind == numbers.WRITE:
            await guest.write(handle, message.data, message.response)
            if message.response:
                self._say(numbers.WRITE_ANSWER, handle=handle)
        elif kind == numbers.WRITE_DESCRIPTOR:
            await guest.write_descriptor(handle, message.data)
            self._say(numbers.WRITE_ANSWER, handle=handle)
        elif kind == numbers.NOTIFY:
            await guest.notify(handle, (lambda data: self._heard(handle, data)) if message.enable else None)
            self._say(numbers.NOTIFY_ANSWER, handle=handle)

    def _heard(self, handle: int, data: bytes) -> None:
        self._say(numbers.NOTIFICATION, handle=handle, data=data)

    def _lost(self) -> None:
        if self._unpairing:
            self._gone = True
        elif not self.ending:
            log.info("the connection to %s has ended", self.address)
            self.end(Status.GONE)

    def _say(self, number: int, **fields: Any) -> None:
        self.session.send(packet(number, address=self.number, **fields))


class Leases:
    """All of them. `sessions` hears how many slots are free."""

    def __init__(self, guests: Guests) -> None:
        self.guests = guests
        self._leases: dict[int, Lease] = {}
        self._watchers: dict[Session, None] = {}
        self._errands: set[asyncio.Task[None]] = set()

    def watch(self, session: Session) -> None:
        """Tell it now and whenever it changes how many connections are free."""
        self._watchers[session] = None
        session.send(self._free())

    def ask_device(self, session: Session, message: Any) -> None:
        number, wish = message.address, message.request_type
        lease = self._leases.get(number)
        mine = lease is not None and lease.session is session and not lease.ending
        if wish in numbers.CONNECTS:
            self._connect(session, number, lease)
        elif wish == numbers.DISCONNECT:
            if mine and lease is not None:
                lease.end(Status.LET_GO)
            elif lease is None or lease.session is not session:
                session.send(packet(numbers.CONNECTION, address=number, connected=False))
        elif mine and lease is not None:
            lease.ask(numbers.DEVICE_REQUEST, message)
        elif wish in (numbers.UNPAIR, numbers.CLEAR_CACHE) and (lease is None or lease.ending):
            self._begin(self._forget(session, number, wish))
        else:
            refuse(session, numbers.DEVICE_REQUEST, message, Status.NOT_CONNECTED)

    def ask(self, session: Session, kind: int, message: Any) -> None:
        """A request about attributes of a device."""
        lease = self._leases.get(message.address)
        if lease is None or lease.session is not session or lease.ending:
            refuse(session, kind, message, Status.NOT_CONNECTED)
        else:
            lease.ask(kind, message)

    def leave(self, session: Session) -> None:
        """The client is gone."""
        self._watchers.pop(session, None)
        for lease in self._leases.values():
            if lease.session is session:
                lease.end(Status.LET_GO)

    async def close(self) -> None:
        for lease in self._leases.values():
            lease.end(Status.LET_GO)
        for errand in self._errands:
            errand.cancel()
        if left := {*(lease.task for lease in self._leases.values()), *self._errands}:
            await asyncio.wait(left, timeout=OLD_LEASE)
        await self.guests.close()

    def _connect(self, session: Session, number: int, lease: Lease | None) -> None:
        if lease is not None and not lease.ending:
            if lease.session is session:
                lease.tell_connected()
            else:
                session.send(packet(numbers.CONNECTION, address=number, connected=False, error=Status.BUSY))
            return
        lease = Lease(self.guests, session, number, self._changed, lease)
        self._leases[number] = lease
        lease.task.add_done_callback(lambda task: self._done(number, task))

    def _done(self, number: int, task: asyncio.Task[None]) -> None:
        if self._leases[number].task is task:
            del self._leases[number]
        if not task.cancelled() and task.exception() is not None:
            log.error("a connection of the Bluetooth proxy failed in a way nobody foresaw", exc_info=task.exception())

    async def _forget(self, session: Session, number: int, wish: int) -> None:
        address, code = address_of(number), 0
        try:
            if wish == numbers.UNPAIR or not self.guests.is_paired(address):
                await self.guests.forget(address)
        except Denied as error:
            code = error.code
        kind = numbers.UNPAIRING if wish == numbers.UNPAIR else numbers.CACHE_CLEARING
        session.send(packet(kind, address=number, success=not code, error=code))

    def _free(self) -> tuple[int, bytes]:
        guests = self.guests
        allocated = [number_of(address) for address in guests.addresses]
        return packet(numbers.CONNECTIONS_FREE, free=guests.free, limit=guests.most, allocated=allocated)

    def _changed(self) -> None:
        told = self._free()
        for session in self._watchers:
            session.send(told)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)


def refuse(session: Session, kind: int, message: Any, code: int) -> None:
    """Answer a request with an error, in the way that belongs to it."""
    if kind != numbers.DEVICE_REQUEST:
        handle = message.handle if kind != numbers.GET_SERVICES else 0
        session.send(packet(numbers.GATT_ERROR, address=message.address, handle=handle, error=code))
    elif message.request_type == numbers.PAIR:
        session.send(packet(numbers.PAIRING, address=message.address, paired=False, error=code))
    elif message.request_type == numbers.UNPAIR:
        session.send(packet(numbers.UNPAIRING, address=message.address, success=False, error=code))
    else:
        session.send(packet(numbers.CACHE_CLEARING, address=message.address, success=False, error=code))
