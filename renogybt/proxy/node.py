"""The ESPHome node: catalogue, port and announcement put together."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any

from renogybt.command import Command
from renogybt.errors import UserError
from renogybt.proxy import entities, messages
from renogybt.proxy.buttons import Presses
from renogybt.proxy.catalogue import Catalogue, Change
from renogybt.proxy.memory import Memory
from renogybt.proxy.nameplate import nameplate
from renogybt.proxy.plain import PROTOCOL, Framing, Packet, Plain
from renogybt.proxy.server import Server
from renogybt.proxy.session import BluetoothProxy, Session, Transport
from renogybt.reading import Identity, LinkFigures, Reading, Standing
from renogybt.settings import Settings

if TYPE_CHECKING:
    from renogybt.proxy.mdns import Announcement

log = logging.getLogger(__name__)
SETTLE, PATIENCE = 5.0, 30.0
"""Seconds without anything new, and altogether, after which clients are asked to read a longer list of entities."""
GOODBYE = 1.5
News = Reading | Standing | tuple[Identity, LinkFigures]


class EsphomeNode:
    """Serves the native API in the event loop that runs `start`.

    `offer` may be called from any thread and at any time, also before `start` and after `close`: only the latest news of
    each kind and device wait. After `close` or `abandon` the node can be started again, in another loop too. `host` as
    for `Server`. `on_command` gets what clients ask for with buttons, in the event loop; without it there are no buttons.
    Raises `UserError` when the extra `esphome` is not installed or the key is none.
    """

    def __init__(
        self,
        settings: Settings,
        identities: Iterable[Identity],
        proxy: BluetoothProxy | None = None,
        host: str = "",
        on_command: Callable[[Command], None] | None = None,
    ) -> None:
        self._options = options = settings.home_assistant_proxy
        self.proxy = proxy
        try:
            self._key = options.key()
        except ValueError as error:
            raise UserError(f"encryption_key in [home_assistant_proxy] {error}") from error
        messages.classes()
        self._memory = Memory(settings.path(options.state_file))
        self.plate = nameplate(settings, self._memory.mac)
        data = settings.data
        self._catalogue = Catalogue(
            identities if options.esphome_sensors else (),
            data.temperature_unit,
            data.fields,
            options.esphome_subdevices,
            self._memory.devices,
            buttons=on_command is not None,
        )
        self._presses = Presses(on_command)
        self._server = Server(options.native_api_port, host, self._open)
        self._described: dict[bool, tuple[int, list[Packet]]] = {}
        self._lock = threading.Lock()
        self._inbox: dict[tuple[str, str], News] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._called = False
        self._ripe: asyncio.TimerHandle | None = None
        self._changed_since = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._announcement: Announcement | None = None
        self._make_framing()  # loads what encryption needs before anybody waits for it

    @property
    def name(self) -> str:
        return self.plate.name

    @property
    def server_info(self) -> str:
        return self.plate.server_info

    @property
    def port(self) -> int:
        """The port in use."""
        return self._server.port

    @property
    def sessions(self) -> list[Session]:
        """The clients that are connected. Only to be asked in the event loop."""
        return self._server.sessions

    @property
    def clients(self) -> int:
        """How many clients are connected. May be asked by any thread."""
        return sum(session.greeted for session in self._server.sessions)

    async def start(self) -> None:
        """Open the port and announce the node. Raises `UserError` when the port cannot be had."""
        self._loop, self._ripe = asyncio.get_running_loop(), None
        self._tasks = set()
        await self._server.start()
        self._announcement = self._announce()
        if self._announcement is not None:
            self._begin(self._announcement.run())
        self._drain()
        log.info("Home Assistant can connect to the ESPHome node %s on port %d", self.name, self.port)

    async def close(self, seconds: float = GOODBYE) -> None:
        """Withdraw the announcement, say goodbye to all clients, give the port back; takes `seconds` and little more."""
        with self._lock:
            self._loop = None
        if self._ripe is not None:
            self._ripe.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        self._drain()
        await self._server.close(seconds)
        if tasks:
            await asyncio.wait(tasks, timeout=1)
        if self._announcement is not None:
            await self._announcement.close()
            self._announcement = None
        self._remember()

    def abandon(self) -> None:
        """From another thread, when the loop hangs: let go of it, and of port and clients."""
        with self._lock:
            self._loop, self._called = None, False
        self._server.abandon()

    def offer(self, news: News) -> None:
        """Tell what was read, how the link does, or that a device is silent. Never blocks."""
        if not self._options.esphome_sensors:
            return
        identity = news[0] if isinstance(news, tuple) else news.identity
        kind = type(news).__name__
        with self._lock:
            self._inbox.pop((kind, identity.uid), None)
            self._inbox[kind, identity.uid] = news
            if self._loop is not None and not self._called:
                try:
                    self._loop.call_soon_threadsafe(self._drain)
                except RuntimeError:  # the loop has ended; the next one will ask
                    self._loop = None
                else:
                    self._called = True

    def device_info(self) -> Packet:
        flags, mac = (self.proxy.flags, self.proxy.mac) if self.proxy else (0, "")
        return self.plate.device_info(bool(self._key), self._catalogue.listing.devices, flags, mac)

    def entity_list(self, flat: bool) -> tuple[int, list[Packet]]:
        version, packets = self._described.get(flat, (0, []))
        if version != self._catalogue.version:
            listing = self._catalogue.flat if flat else self._catalogue.listing
            version, packets = listing.version, [entities.described(entity) for entity in listing.entities.values()]
            packets += [button.packet for button in listing.buttons.values()]
            self._described[flat] = version, packets
        return version, packets

    def all_states(self) -> list[Packet]:
        return [entities.state(entity, value) for entity, value in self._catalogue.states()]

    def press(self, session: Session, number: int, device: int) -> None:
        who = f"{session.client or 'a client'} at {session.peer}"
        self._presses.press(self._catalogue.listing.buttons, number, device, who, asyncio.get_running_loop().time())

    def _drain(self) -> None:
        """Take the news into the catalogue and pass on what changed."""
        with self._lock:
            news, self._inbox, self._called = list(self._inbox.values()), {}, False
        version = self._catalogue.version
        changes: list[Change] = []
        for one in news:
            changes += self._take(one)
        self._tell(changes)
        if self._catalogue.version != version and self._loop is not None:
            self._ripen(self._loop.time())

    def _take(self, news: News) -> list[Change]:
        if isinstance(news, Reading):
            return self._catalogue.take(news)
        if isinstance(news, Standing):
            return self._catalogue.take_standing(news)
        return self._catalogue.take_figures(*news)

    def _tell(self, changes: list[Change]) -> None:
        """Pass states on to those who have the entities in their list."""
        if not changes:
            return
        packets = [(entity.since, entities.state(entity, value)) for entity, value in changes]
        for session in self.sessions:
            if session.wants_states:
                listed = session.listed
                session.send_all([packet for since, packet in packets if listed is None or since <= listed])

    def _ripen(self, now: float) -> None:
        """There are new entities. Wait whether more come, then let the clients read the list anew."""
        assert self._loop is not None
        if self._ripe is None:
            self._changed_since = now
        else:
            self._ripe.cancel()
        self._ripe = self._loop.call_at(min(now + SETTLE, self._changed_since + PATIENCE), self._renew)

    def _renew(self) -> None:
        """A client reads the list only after connecting, so those with an older one are asked to come again."""
        self._ripe = None
        self._begin(asyncio.to_thread(self._memory.write, self.plate.mac, self._catalogue.remembered()))
        loop = asyncio.get_running_loop()
        version = self._catalogue.version
        for session in self.sessions:
            if session.listed is not None and session.listed < version:
                log.info("there are new entities: %s at %s is asked to connect anew", session.client, session.peer)
                session.farewell(loop.time())

    def _remember(self) -> None:
        self._memory.write(self.plate.mac, self._catalogue.remembered())

    def _open(self, transport: Transport, peer: str, now: float) -> Session:
        return Session(self, self._make_framing(), transport, peer, now)

    def _make_framing(self) -> Framing:
        if not self._key:
            return Plain()
        try:
            from renogybt.proxy.encrypted import Encrypted
        except ModuleNotFoundError as error:
            raise messages.missing(error.name or "noiseprotocol") from error
        return Encrypted(self._key, self.name, self.plate.digits)

    def _announce(self) -> Announcement | None:
        try:
            from renogybt.proxy.mdns import Announcement
        except ModuleNotFoundError:
            log.warning("the node is not announced by mDNS, because the package zeroconf is not installed")
            return None
        return Announcement(self.plate, self.port, self._options.mdns_ip, PROTOCOL if self._key else "")

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a part of the ESPHome node failed in a way nobody foresaw", exc_info=task.exception())
