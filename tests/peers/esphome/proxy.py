"""The node itself: `with FakeProxy(module, ..., key=...) as proxy:` listens on `proxy.port` until the end.

It lives in a thread of its own. Its manners are those of an ESP32: one client at a time has the Bluetooth side, everybody
else is heard and never answered; notifications must be switched on in their descriptor; services are told once.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from aioesphomeapi import api_pb2 as pb
from msgspec import convert

from tests.peers.bluez.scenario import Module as Spec
from tests.peers.bluez.scenario import Quirk
from tests.peers.bluez.slave import Slave
from tests.peers.esphome.air import Link, Module, number
from tests.peers.esphome.frames import Hangup, Noise, Plain
from tests.peers.ports import free_port

T = TypeVar("T")
HOST = "127.0.0.1"
PASSIVE, ACTIVE, CACHING, RAW, STATE = 1, 2, 4, 32, 64
EVERYTHING = PASSIVE | ACTIVE | CACHING | RAW | STATE
CONNECTS = {
    pb.BLUETOOTH_DEVICE_REQUEST_TYPE_CONNECT_V3_WITH_CACHE,
    pb.BLUETOOTH_DEVICE_REQUEST_TYPE_CONNECT_V3_WITHOUT_CACHE,
}
OUT_OF_RANGE, LET_GO, NOT_CONNECTED = 0x85, 0x16, -1


class Session(asyncio.Protocol):
    """One client."""

    def __init__(self, proxy: FakeProxy) -> None:
        self.proxy, self.greeted = proxy, False
        self.frames = Noise(proxy.key, proxy.name) if proxy.key else Plain()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.proxy.sessions.append(self)
        self.proxy.visits += 1

    def connection_lost(self, _: Exception | None) -> None:
        self.proxy.left(self)

    def data_received(self, data: bytes) -> None:
        if self.proxy.deaf:
            return
        try:
            messages, answer = self.frames.feed(data)
        except Hangup as end:
            self._out(end.last)
            assert self.transport is not None
            self.transport.close()
            return
        self._out(answer)
        for message in messages:
            self.proxy.take(self, message)

    def say(self, message: Any) -> None:
        self._out(self.frames.packed(message))

    def _out(self, data: bytes) -> None:
        if data and self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)


class FakeProxy:
    """`slots`: links it can hold; `flags`: what it says it can do; `page_s`: how long it tries to reach an absent module.

    To be changed while it runs: `deaf` (takes nothing any more), `foreign` (Home Assistant has it), `scanning`, `names` (are
    there names in what it hears), `refusal` (code it answers every connection with), `mute_ends` (never says that a link has
    ended), `lingers` (links outlive the client that made them). To be looked at: `connects`, `writes`, `faults` (what no
    client may do), `visits`.
    """

    def __init__(self, *modules: Spec, key: str = "", password: str = "", slots: int = 3, flags: int = EVERYTHING) -> None:
        self.key, self.password, self.slots, self.flags, self.name = key, password, slots, flags, "fake-proxy"
        self.specs = modules
        self.page_s, self.heard_s = 0.5, 0.05
        self.deaf = self.foreign = self.mute_ends = self.lingers = False
        self.scanning = self.names = True
        self.refusal = 0
        self.occupied = 0
        self.visits = 0
        self.connects: list[str] = []
        self.writes: list[str] = []
        self.faults: list[str] = []
        self.modes: list[int] = []
        self.sessions: list[Session] = []
        self.modules: dict[int, Module] = {}
        self.links: dict[int, Link | None] = {}
        self.subscriber: Session | None = None
        self.port = free_port()  # so that nobody takes it while the proxy is away
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="esphome", daemon=True)

    # For the test's own thread

    def __enter__(self) -> Self:
        self._thread.start()
        self.do(self._begin)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.do(self._stop)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)

    def via(self, key: str | None = None, **more: str) -> str:
        given = {"key": self.key if key is None else key, **more}
        query = "&".join(f"{name}={value}" for name, value in given.items() if value)
        return f"esphome://{HOST}:{self.port}{'?' if query else ''}{query}"

    def do(self, act: Callable[[], T]) -> T:
        """In the proxy's thread."""

        async def done() -> Any:
            result = act()
            return await result if asyncio.iscoroutine(result) else result

        answer: T = asyncio.run_coroutine_threadsafe(done(), self._loop).result(60)
        return answer

    def restart(self) -> None:
        """As after a cut of its supply: every connection breaks, every link is gone, then it listens again."""
        self.do(self._stop)
        self.do(self._begin)

    def stop(self) -> None:
        self.do(self._stop)

    def start(self) -> None:
        self.do(self._begin)

    def hang_up(self) -> None:
        """End the connections of its clients; it goes on listening."""
        self.do(lambda: [session.transport.abort() for session in self.sessions if session.transport])

    def drop_link(self, address: str, code: int = 0x08) -> None:
        self.do(lambda: self._lose(number(address), code))

    def quirk(self, address: str, unit: int | None = None, **fields: Any) -> None:
        def act() -> None:
            for slave in self._slaves(address, unit):
                slave.spec.quirks.append(convert(fields, Quirk))

        self.do(act)

    def clear_quirks(self, address: str) -> None:
        self.do(lambda: [slave.spec.quirks.clear() for slave in self._slaves(address, None)])

    def spec(self, address: str, **changes: Any) -> None:
        def act() -> None:
            for name, value in changes.items():
                setattr(self.modules[number(address)].spec, name, value)

        self.do(act)

    def take_module(self, address: str, taken: bool = True) -> None:
        """Somebody else connects to it, or leaves it."""
        self.modules[number(address)].taken = taken

    def linked(self) -> list[str]:
        return self.do(lambda: [self.modules[at].spec.address for at, link in self.links.items() if link is not None])

    # Life

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    async def _begin(self) -> None:
        dice = random.Random(1)
        self.modules = {number(spec.address): Module(spec, dice) for spec in self.specs}
        self.links, self.subscriber = {}, None
        self._server = await self._loop.create_server(lambda: Session(self), HOST, self.port)
        self._loop.call_later(self.heard_s, self._beat, self._server)

    async def _stop(self) -> None:
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for session in list(self.sessions):
            if session.transport is not None:
                session.transport.abort()
        for address in list(self.links):
            self._end(address)
        await asyncio.sleep(0.05)

    def _beat(self, server: asyncio.Server) -> None:
        """What is on the air, in batches."""
        if server is not self._server:
            return
        if self.subscriber is not None and self.scanning:
            audible = [m for m in self.modules.values() if m.spec.advertising and m.link is None and not m.taken]
            if audible:
                batch = [module.advertisement(self.names) for module in audible]
                self.subscriber.say(pb.BluetoothLERawAdvertisementsResponse(advertisements=batch))
        self._loop.call_later(self.heard_s, self._beat, server)

    def left(self, session: Session) -> None:
        self.sessions.remove(session)
        if session is self.subscriber:
            self.subscriber = None
            for address in list(self.links) if not self.lingers else ():
                self._end(address)

    def _slaves(self, address: str, unit: int | None) -> list[Slave]:
        slaves = self.modules[number(address)].line.slaves
        return [slave for slave in slaves if unit is None or slave.spec.id == unit]

    # Messages

    def take(self, session: Session, message: Any) -> None:
        kind = type(message).__name__
        if not session.greeted and kind != "HelloRequest":
            self.faults.append(f"{kind} before a greeting")
        handler = getattr(self, f"_on_{kind}", None)
        if handler is not None:
            handler(session, message)

    def _on_HelloRequest(self, session: Session, message: Any) -> None:
        session.greeted = True
        session.say(pb.HelloResponse(api_version_major=1, api_version_minor=14, name=self.name))

    def _on_AuthenticationRequest(self, session: Session, message: Any) -> None:
        session.say(pb.AuthenticationResponse(invalid_password=message.password != self.password))

    def _on_PingRequest(self, session: Session, message: Any) -> None:
        session.say(pb.PingResponse())

    def _on_DisconnectRequest(self, session: Session, message: Any) -> None:
        session.say(pb.DisconnectResponse())
        assert session.transport is not None
        session.transport.close()

    def _on_DeviceInfoRequest(self, session: Session, message: Any) -> None:
        facts = {"name": self.name, "mac_address": "AA:BB:CC:DD:EE:FF", "esphome_version": "2026.10.0"}
        session.say(pb.DeviceInfoResponse(bluetooth_proxy_feature_flags=self.flags, **facts))

    def _on_SubscribeBluetoothLEAdvertisementsRequest(self, session: Session, message: Any) -> None:
        if self.foreign or self.subscriber is not None:
            return
        self.subscriber = session
        if self.flags & STATE:
            session.say(pb.BluetoothScannerStateResponse(state=2, mode=1, configured_mode=1))

    def _on_SubscribeBluetoothConnectionsFreeRequest(self, session: Session, message: Any) -> None:
        session.say(self._free())

    def _on_BluetoothScannerSetModeRequest(self, session: Session, message: Any) -> None:
        self.modes.append(message.mode)
        self.names = True

    def _on_BluetoothDeviceRequest(self, session: Session, message: Any) -> None:
        if session is not self.subscriber:
            return
        if message.request_type in CONNECTS:
            self._connect(message.address, message.address_type)
        elif message.address not in self.links:
            self._state(message.address, False)
            self._tell_free()
        elif message.request_type == pb.BLUETOOTH_DEVICE_REQUEST_TYPE_DISCONNECT:
            later = self.modules[message.address].spec.disconnect_s if message.address in self.modules else 0
            self._loop.call_later(later, self._lose, message.address, LET_GO)

    def _connect(self, address: int, kind: int) -> None:
        if address in self.links:
            if self.links[address] is not None:
                self.faults.append("asked to connect to what is connected: an old answer could pass for a new one")
                self._state(address, True)
            return
        if len(self.links) + self.occupied >= self.slots:
            self._state(address, False)
            return
        module = self.modules.get(address)
        self.connects.append(module.spec.address if module else f"{address:012X}")
        self.links[address] = None
        self._tell_free()
        absent = module is None or not module.spec.advertising or module.taken
        wrong = module is not None and kind != int(module.spec.address_type == "random")
        if self.refusal or absent or wrong or module is None:
            self._loop.call_later(self.page_s, self._lose, address, self.refusal or OUT_OF_RANGE)
        else:
            self._loop.call_later(module.spec.connect_s, self._connected, module)

    def _connected(self, module: Module) -> None:
        address = module.number
        if self.links.get(address, self) is None and self.subscriber is not None:
            self.links[address] = Link(
                module, lambda handle, data: self._notify(address, handle, data), lambda code: self._lose(address, code)
            )
            self._state(address, True, mtu=module.spec.mtu)

    def _lose(self, address: int, code: int) -> None:
        if address in self.links:
            self._end(address)
            self._state(address, False, error=code)
            self._tell_free()

    def _end(self, address: int) -> None:
        link = self.links.pop(address)
        if link is not None:
            link.end()

    def _state(self, address: int, connected: bool, **more: int) -> None:
        if self.subscriber is not None and not (self.mute_ends and not connected):
            self.subscriber.say(pb.BluetoothDeviceConnectionResponse(address=address, connected=connected, **more))

    def _free(self) -> Any:
        free = max(0, self.slots - self.occupied - len(self.links))
        return pb.BluetoothConnectionsFreeResponse(free=free, limit=self.slots, allocated=list(self.links))

    def _tell_free(self) -> None:
        if self.subscriber is not None:
            self.subscriber.say(self._free())

    # Attributes

    def _on_BluetoothGATTGetServicesRequest(self, session: Session, message: Any) -> None:
        link = self._link(session, message)
        if link is None:
            return
        if link.told_services:
            self.faults.append("asked for the services twice")
        for service in [] if link.told_services else link.module.described():
            session.say(pb.BluetoothGATTGetServicesResponse(address=message.address, services=[service]))
        link.told_services = True
        session.say(pb.BluetoothGATTGetServicesDoneResponse(address=message.address))

    def _on_BluetoothGATTReadRequest(self, session: Session, message: Any) -> None:
        link = self._link(session, message)
        placed = link.module.at(message.handle) if link else None
        if link is not None and placed is None:
            self._error(session, message, 1)
        elif link is not None and placed is not None:
            session.say(pb.BluetoothGATTReadResponse(address=message.address, handle=message.handle, data=link.read(placed)))

    def _on_BluetoothGATTWriteRequest(self, session: Session, message: Any) -> None:
        link = self._link(session, message)
        placed = link.module.at(message.handle) if link else None
        if link is None:
            return
        if placed is None or not {"write", "write-without-response"} & set(placed.char.flags):
            self._error(session, message, 3)
            self.faults.append(f"wrote to handle {message.handle}, which cannot be written")
            return
        self.writes.append(message.data.hex())
        link.write(placed, message.data)
        if message.response:
            session.say(pb.BluetoothGATTWriteResponse(address=message.address, handle=message.handle))

    def _on_BluetoothGATTNotifyRequest(self, session: Session, message: Any) -> None:
        link = self._link(session, message)
        if link is not None:
            link.registered.add(message.handle) if message.enable else link.registered.discard(message.handle)
            session.say(pb.BluetoothGATTNotifyResponse(address=message.address, handle=message.handle))

    def _on_BluetoothGATTWriteDescriptorRequest(self, session: Session, message: Any) -> None:
        link = self._link(session, message)
        if link is None:
            return
        for placed in link.module.placed:
            if placed.descriptor == message.handle and message.data == b"\x01\x00":
                link.switch_on(placed)
        session.say(pb.BluetoothGATTWriteResponse(address=message.address, handle=message.handle))

    def _notify(self, address: int, handle: int, data: bytes) -> None:
        if self.subscriber is not None:
            self.subscriber.say(pb.BluetoothGATTNotifyDataResponse(address=address, handle=handle, data=data))

    def _link(self, session: Session, message: Any) -> Link | None:
        link = self.links.get(message.address) if session is self.subscriber else None
        if link is None and session is self.subscriber:
            self._error(session, message, NOT_CONNECTED)
        return link

    def _error(self, session: Session, message: Any, code: int) -> None:
        handle = getattr(message, "handle", 0)
        session.say(pb.BluetoothGATTErrorResponse(address=message.address, handle=handle, error=code))
