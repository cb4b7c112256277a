"""The Bluetooth proxy of the ESPHome native API: this machine's radio, lent to Home Assistant."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from renogybt.ble.adapter import Adapter
from renogybt.ble.advert import Advert
from renogybt.ble.guests import Guests
from renogybt.ble.listening import Listener
from renogybt.errors import LinkError
from renogybt.proxy import bluetooth_messages as numbers
from renogybt.proxy import messages
from renogybt.proxy.bluetooth_adverts import Batches
from renogybt.proxy.bluetooth_leases import Leases
from renogybt.proxy.plain import Packet
from renogybt.proxy.session import Session
from renogybt.settings import HomeAssistantProxy

log = logging.getLogger(__name__)
PASSIVE_SCAN, ACTIVE_CONNECTIONS, REMOTE_CACHING, PAIRING, CACHE_CLEARING, RAW, STATE_AND_MODE = (1 << n for n in range(7))
LISTENS = PASSIVE_SCAN | RAW | STATE_AND_MODE
CONNECTS = ACTIVE_CONNECTIONS | REMOTE_CACHING | PAIRING | CACHE_CLEARING
REQUEST_NOT_SUPPORTED = 6
FIRST_LOOK = 3.0
"""Seconds in which the adapter should be known, so that the first client can be told its address."""
LOOK_AGAIN, RETRY = 30.0, 5.0
"""Seconds between two looks whether the adapter is still the same one, and while there is none."""
STATES = {"idle": numbers.IDLE, "starting": numbers.STARTING, "running": numbers.RUNNING, "failed": numbers.FAILED}


class Radio(Protocol):
    """The part of `BLEManager` that the proxy uses."""

    guests: Guests | None

    async def adapter_called(self, name: str) -> Adapter: ...

    def keeps(self, address: str) -> bool: ...


class BluetoothRelay:
    """Implements `session.BluetoothProxy`. Outlives event loops: `start` with the radio of each, `close` before that one's;
    a loop that hangs is simply left behind.

    `default_adapter` is where the devices are read, for an empty `adapter` of `options`.
    """

    def __init__(self, options: HomeAssistantProxy, default_adapter: str = "") -> None:
        self._options, self._name = options, options.adapter or default_adapter
        self._mac = ""
        self._passive = options.scan_mode == "passive"
        self._radio: Radio | None = None
        self._adapter: Adapter | None = None
        self._leases: Leases | None = None
        self._batches = Batches()
        self._listener = self._make_listener()
        self._watch: asyncio.Task[None] | None = None
        self._sessions: Callable[[], Iterable[Session]] = tuple

    @property
    def flags(self) -> int:
        """What the proxy can do; nothing as long as no adapter was ever there, because clients keep its address."""
        if not self._mac:
            return 0
        return LISTENS | (CONNECTS if self._options.max_connections else 0)

    @property
    def mac(self) -> str:
        return self._mac

    def figures(self) -> dict[str, Any]:
        """For whoever wants to know how it does: advertisements, connections, and what the air is used for."""
        adapter, leases = self._adapter, self._leases
        return {
            "advertisements_sent": self._batches.sent,
            "advertisements_dropped": self._batches.dropped,
            "connections": len(leases.guests.addresses) if leases else 0,
            "air_time": adapter.air_time.shares(asyncio.get_running_loop().time()) if adapter else {},
        }

    async def start(self, radio: Radio, sessions: Callable[[], Iterable[Session]] = tuple) -> None:
        """Begin to serve, in the event loop of `radio`. `sessions` are the clients of the node.

        Without an adapter it takes a few seconds, and goes on looking for one afterwards.
        """
        left_over = self._leases.guests.unconfirmed if self._leases is not None else set()
        self._radio, self._sessions = radio, sessions
        self._adapter = None  # one of a loop that hung is not to be touched any more
        self._leases = Leases(Guests(radio, self._name, self._options.max_connections))
        radio.guests = self._leases.guests
        radio.guests.unconfirmed |= left_over
        self._batches = Batches()
        self._listener = self._make_listener()
        found = asyncio.Event()
        self._watch = asyncio.get_running_loop().create_task(self._watch_adapter(found))
        try:
            async with asyncio.timeout(FIRST_LOOK):
                await found.wait()
        except TimeoutError:
            log.warning("no Bluetooth adapter for the proxy yet; it begins when there is one")

    async def close(self) -> None:
        """Release everything that clients have."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait({self._watch})
        if self._adapter is not None:
            self._adapter.dismiss(self._listener)
        if self._leases is not None:
            await self._leases.close()
        self._watch = self._adapter = self._leases = self._radio = None

    def handle(self, session: Session, number: int, message: Any) -> None:
        """A request of a client. Never waits."""
        if number in (messages.SUBSCRIBE_ADVERTISEMENTS, messages.UNSUBSCRIBE_ADVERTISEMENTS):
            self._subscribe(session)
        elif number == numbers.SCANNER_SET_MODE:
            self._set_mode(message.mode == numbers.PASSIVE)
        elif self._leases is None:
            return
        elif number == messages.SUBSCRIBE_CONNECTIONS_FREE:
            self._leases.watch(session)
        elif number == numbers.DEVICE_REQUEST:
            self._leases.ask_device(session, message)
        elif number in numbers.GATT_REQUESTS:
            self._leases.ask(session, number, message)
        elif number == numbers.SET_PARAMETERS:
            session.send(messages.packet(numbers.PARAMETERS_ANSWER, address=message.address, error=REQUEST_NOT_SUPPORTED))

    def on_session_closed(self, session: Session) -> None:
        self._batches.remove(session)
        self._listen_if_wanted()
        if self._leases is not None:
            self._leases.leave(session)

    # Listening

    def _subscribe(self, session: Session) -> None:
        if session.advertisements is None:
            self._batches.remove(session)
        else:
            self._batches.add(session)
            session.send(self._state())
        self._listen_if_wanted()

    def _set_mode(self, passive: bool) -> None:
        if passive is not self._passive:
            self._passive = self._listener.passive = passive
            if self._adapter is not None:
                self._adapter.reconsider()
        self._tell_state()

    def _listen_if_wanted(self) -> None:
        if self._adapter is None:
            return
        if not self._batches.clients:
            self._adapter.dismiss(self._listener)
        elif self._adapter.listening.listener is not self._listener:
            self._adapter.attend(self._listener)

    def _make_listener(self) -> Listener:
        options = self._options
        return Listener(
            self._hear,
            self._tell_state,
            self._passive,
            options.scan_active_seconds,
            options.scan_idle_seconds,
            options.pause_during_renogy,
        )

    def _hear(self, advert: Advert) -> None:
        if advert.address != self._mac:
            self._batches.hear(advert)

    def _state(self) -> Packet:
        listening = self._adapter.listening if self._adapter is not None else None
        state = STATES[listening.state] if listening is not None else numbers.FAILED
        if listening is not None and listening.state == "idle":
            state = numbers.STARTING
        passive = listening.passive if listening is not None and listening.state == "running" else self._passive
        configured = numbers.PASSIVE if self._options.scan_mode == "passive" else numbers.ACTIVE
        mode = numbers.PASSIVE if passive else numbers.ACTIVE
        return messages.packet(numbers.SCANNER_STATE, state=state, mode=mode, configured_mode=configured)

    def _tell_state(self) -> None:
        told = self._state()
        for session in self._batches.clients:
            session.send(told)

    # The adapter

    async def _watch_adapter(self, found: asyncio.Event) -> None:
        """Find the adapter, and follow it: another one may take its place."""
        assert self._radio is not None
        while True:
            try:
                adapter = await self._radio.adapter_called(self._name)
            except LinkError as error:
                log.debug("the Bluetooth proxy has no adapter: %s", error)
                await asyncio.sleep(RETRY)
                continue
            if adapter is not self._adapter:
                self._take(adapter)
            found.set()
            if self._leases is not None:
                await self._leases.guests.end_leftovers(adapter)
            await asyncio.sleep(LOOK_AGAIN)

    def _take(self, adapter: Adapter) -> None:
        if self._adapter is not None:
            self._adapter.dismiss(self._listener)
        before, self._adapter = self._mac, adapter
        self._mac = adapter.address.upper() or before
        self._listen_if_wanted()
        if self._mac != before:
            now = asyncio.get_running_loop().time()
            for session in self._sessions():  # what they know of the proxy is not true any more
                session.farewell(now)
