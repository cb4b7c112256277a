"""One ESPHome proxy, and the one connection to it that all devices behind it share."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from aioesphomeapi.client import APIClient
from aioesphomeapi.model import BluetoothScannerMode

from renogybt.ble.bounded import bounded
from renogybt.errors import Held, LinkError, LinkLost, NoAdapter, NoTime
from renogybt.incident import Ask, Incident
from renogybt.proxy.remote_ears import Ears
from renogybt.proxy.remote_faults import TRANSIENT, unreachable
from renogybt.settings.via import Via
from renogybt.version import __version__

T = TypeVar("T")
log = logging.getLogger(__name__)
CONNECT_LIMIT, ASK_LIMIT, GOODBYE_LIMIT = 15.0, 8.0, 1.5
"""Seconds for connecting to the proxy, for one question to it, and for taking leave."""
GREETING = 5.0
"""Seconds in which a proxy that serves us says how its scanner does."""
KEEPALIVE = 10.0
"""Seconds of silence after which it is pinged; after four and a half times as many it counts as gone."""
SHORTEST, LONGEST, JITTER = 1.0, 30.0, 0.2
"""Seconds between two attempts to reach it: doubling from the first to the second figure, so much more or less."""
SETTLED = 60.0
"""Seconds a connection must have held for the next attempt to come soon again."""
ACTIVE_CONNECTIONS, REMOTE_CACHING, STATE_AND_MODE = 2, 4, 64


class Host:
    """Lives in the event loop. It is reached on the first `ready`, and from then on kept or sought again until `close`.

    `session` counts the connections to it. `free` and `limit` are its slots for modules, None as long as it has not told.
    `losses` are called when the connection to it ends. `connecting`: it sets up one link at a time.
    """

    def __init__(self, via: Via, report: Callable[[Incident], None]) -> None:
        self.via = via
        self.session = 0
        self.flags = 0
        self.free: int | None = None
        self.limit: int | None = None
        self.ears = Ears()
        self.listening_since = 0.0
        self.losses: set[Callable[[], None]] = set()
        self.connecting = asyncio.Lock()
        self.news = asyncio.Event()
        self._report = report
        self._client: APIClient | None = None
        self._up = self._trying = self._missed = self._abandoned = False
        self._lost = asyncio.Event()
        self._told = asyncio.Event()
        self._changed = asyncio.Event()
        self._error: LinkError | None = None
        self._said = ""
        self._task: asyncio.Task[None] | None = None

    def __str__(self) -> str:
        return f"ESPHome proxy {self.via.place}"

    @property
    def up(self) -> bool:
        return self._up

    @property
    def client(self) -> APIClient:
        """Raises `LinkLost` when there is no connection to the proxy."""
        if not self._up or self._client is None:
            raise LinkLost(f"there is no connection to the {self}")
        return self._client

    async def ready(self, until: float, patient: bool = False) -> None:
        """Be connected to it. Raises `NoAdapter` or `Held` after a failed attempt, unless `patient`; `NoTime` at `until`."""
        if self._abandoned:
            raise LinkLost(f"the connection to the {self} was given up with its event loop")
        if self._task is None or self._task.done():
            self._trying, self._task = True, asyncio.get_running_loop().create_task(self._run())
        try:
            async with asyncio.timeout_at(until):
                while not self._up:
                    if self._error is not None and not self._trying and not patient:
                        break
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            if self._error is None:
                raise NoTime(f"no time left in this cycle to connect to the {self}") from None
        if not self._up and self._error is not None:
            self._missed = True
            raise type(self._error)(str(self._error))

    async def call(self, work: Coroutine[Any, Any, T], seconds: float, what: str) -> T:
        """The result of a call of `client`. Raises as `bounded`, and `LinkLost` when the proxy is lost meanwhile."""
        return await bounded(self._while_up(work, what), seconds, what)

    async def hear(self, met: Callable[[], bool], until: float) -> bool:
        """Wait until something is told or heard by which `met`; False at `until` or when the connection ends."""
        session = self.session
        while not met():
            if not self._up or self.session != session:
                return False
            self.news.clear()
            try:
                async with asyncio.timeout_at(until):
                    await self.news.wait()
            except TimeoutError:
                return met()
        return True

    def scan_actively(self) -> None:
        """Have it ask advertisers for their names, where that is in our hands."""
        if self.flags & STATE_AND_MODE:
            with suppress(*TRANSIENT, LinkError):
                self.client.bluetooth_scanner_set_mode(BluetoothScannerMode.ACTIVE)

    async def restart(self, why: str) -> None:
        """End the connection, and with it everything the proxy holds for us; a new one is made at once."""
        log.warning("%s: %s; connecting to it anew", self, why)
        session = self.session
        if self._client is not None:
            await cut(self._client)
        self._end(session)

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task}, timeout=2)
        client, self._client, self._up = self._client, None, False
        if client is not None:
            with suppress(*TRANSIENT, LinkError):
                await bounded(client.disconnect(), GOODBYE_LIMIT, f"taking leave of the {self}")
            await cut(client)

    def abandon(self) -> None:
        """From another thread: break the connection, so that the proxy frees what it holds for us. Never waits."""
        self._abandoned = True
        # As bluez.sockets does with bleak: a stuck event loop cannot be asked, and the library has no other way.
        sock = getattr(getattr(self._client, "_connection", None), "_socket", None)
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    # Inside

    async def _run(self) -> None:
        loop, pause = asyncio.get_running_loop(), SHORTEST
        while not self._abandoned:
            self._trying = True
            try:
                await self._open()
            except LinkError as error:
                self._failed(error)
            else:
                since = loop.time()
                await self._lost.wait()
                self._tell(f"the connection to the {self} is gone", logging.WARNING)
                if loop.time() - since >= SETTLED:
                    pause = SHORTEST
                if pause == SHORTEST:
                    pause *= 2
                    continue
                text = f"the connection to the {self} breaks again and again; is its Wi-Fi or its power supply weak?"
                self._error, self._trying = NoAdapter(text), False
            self._changed.set()
            await asyncio.sleep(pause * random.uniform(1 - JITTER, 1 + JITTER))
            pause = min(LONGEST, 2 * pause)

    async def _open(self) -> None:
        """Raises `NoAdapter` and `Held`."""
        self.session += 1
        session, loop = self.session, asyncio.get_running_loop()
        self._lost, self._told = asyncio.Event(), asyncio.Event()
        self.free = self.limit = None
        via = self.via
        self._client = client = APIClient(
            via.host,
            via.port,
            via.password or None,
            client_info=f"renogybt {__version__}",
            keepalive=KEEPALIVE,
            noise_psk=via.key or None,
        )
        try:
            what = f"connecting to the {self}"
            await bounded(client.connect(on_stop=partial(self._stopped, session), login=True), CONNECT_LIMIT, what)
            self.flags = await bounded(_features(client), ASK_LIMIT, f"asking the {self} what it can do")
            self._refuse_useless()
            self.listening_since = loop.time()
            client.subscribe_bluetooth_le_raw_advertisements(self._heard)
            client.subscribe_bluetooth_scanner_state(lambda _: self._told.set())
            client.subscribe_bluetooth_connections_free(partial(self._slots, session))
            await self._served(loop.time() + GREETING)
        except (*TRANSIENT, LinkError) as error:
            await cut(client)
            raise error if isinstance(error, LinkError) else unreachable(error, f"the {self}") from error
        except asyncio.CancelledError:
            await cut(client)
            raise
        if self._lost.is_set():
            raise NoAdapter(f"the {self} hung up after the greeting")
        self._up, self._trying, self._error = True, False, None
        self._changed.set()
        self._tell(f"connected to the {self}", logging.INFO)

    async def _served(self, until: float) -> None:
        """An ESP32 serves one client, and lets a second one talk to the wall: it hears nothing, not even a refusal."""
        if not self.flags & STATE_AND_MODE:
            return
        try:
            async with asyncio.timeout_at(until):
                await self._told.wait()
        except TimeoutError:
            raise Held(
                f"the {self} serves somebody else: an ESP32 works for one client at a time, and Home Assistant takes every "
                "one it knows. Delete it there (Settings, Devices, ESPHome), or use another ESP32 for the bridge; one that "
                "was served until just now is free again after two minutes."
            ) from None

    def _refuse_useless(self) -> None:
        """Raises `NoAdapter`."""
        if not self.flags:
            raise NoAdapter(f"the {self} is no Bluetooth proxy: put bluetooth_proxy: with active: true into its YAML")
        if not self.flags & ACTIVE_CONNECTIONS:
            raise NoAdapter(f"the {self} only listens: put active: true below bluetooth_proxy: in its YAML")
        if not self.flags & REMOTE_CACHING:
            raise NoAdapter(f"the {self} is too old (before ESPHome 2022.12): update it")

    async def _while_up(self, work: Coroutine[Any, Any, T], what: str) -> T:
        task, lost = asyncio.ensure_future(work), asyncio.ensure_future(self._lost.wait())
        try:
            await asyncio.wait({task, lost}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise LinkLost(f"{what}: the connection to the {self} is gone")
            return task.result()
        finally:
            lost.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=0.5)
            if task.done() and not task.cancelled():
                task.exception()

    def _heard(self, message: Any) -> None:
        self.ears.take(message.advertisements, asyncio.get_running_loop().time())
        self._told.set()
        self.news.set()

    def _slots(self, session: int, free: int, limit: int, _: list[int]) -> None:
        if session == self.session:
            self.free, self.limit = free, limit
            self.news.set()

    async def _stopped(self, session: int, expected: bool) -> None:
        self._end(session)

    def _end(self, session: int) -> None:
        if session != self.session or self._lost.is_set():
            return
        self._up = False
        self._lost.set()
        self.news.set()
        for tell in list(self.losses):
            tell()

    def _failed(self, error: LinkError) -> None:
        self._error, self._trying = error, False
        self._tell(str(error), logging.WARNING)

    def _tell(self, text: str, level: int) -> None:
        """Once, not at every attempt."""
        fresh, self._said = text != self._said, text
        asks: Ask = "hasten" if self._up and self._missed else ""
        if self._up:
            self._missed = False
        if fresh:
            log.log(level, "%s", text)
            self._report(Incident("adapter", text, asks))


async def cut(client: APIClient) -> None:
    """End its connection at once."""
    with suppress(*TRANSIENT, LinkError):
        await bounded(client.disconnect(force=True), 1.0, "cutting a connection")


async def _features(client: APIClient) -> int:
    """The feature flags of its Bluetooth proxy."""
    info = await client.device_info()
    if hasattr(client, "device_capabilities_compat"):
        capabilities = await client.device_capabilities_compat(info)
        return int(capabilities.bluetooth_proxy.feature_flags)
    assert client.api_version is not None
    return info.bluetooth_proxy_feature_flags_compat(client.api_version)
