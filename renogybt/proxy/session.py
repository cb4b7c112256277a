"""One client of the node: what it said, what it may hear, when it is given up. Time is an argument, and so are bytes."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable
from typing import Any, Protocol

from renogybt.proxy import messages
from renogybt.proxy.plain import Framing, Packet

log = logging.getLogger(__name__)
INTRODUCTION = 10.0
"""Seconds a client has for handshake and greeting."""
QUIET, PING_AGAIN, SILENT = 60.0, 30.0, 150.0
"""Seconds without a word after which it is pinged, pinged again, and given up; as the firmware does."""
UNANSWERED = 80.0
"""Seconds without a word after which its place is given to another client, if there is no free one."""
STUCK = 60.0
"""Seconds in which a client must have taken something of what waits for it."""
LOG_IS_ELSEWHERE = b"the log of this bridge is on its own machine: journalctl -u renogybt -f"
"""It is long, and tells about the other outlets too, so it is not passed on."""
LEAVE = 5.0
"""Seconds to answer a goodbye."""
LOSSY_LIMIT = 64 << 10
"""Bytes waiting for a client beyond which advertisements are left out."""
MOST_AT_ONCE = 1000
"""Messages that are put into one write; more would only take memory."""
BACKLOG_LIMIT = 256 << 10
"""Bytes waiting for a client beyond which it is given up."""
BEFORE_GREETING = frozenset({messages.HELLO, messages.PING, messages.PONG, messages.DISCONNECT, messages.DISCONNECT_ANSWER})

SUBDEVICES = (2025, 7)
"""The first Home Assistant that knows them. An older one takes of the values with the same name only the first."""


class Transport(Protocol):
    """What a session needs of a connection."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...

    def get_write_buffer_size(self) -> int: ...


class BluetoothProxy(Protocol):
    """Lends the radio to clients. Called in the event loop; must not block.

    `flags` are the feature flags of the native API, `mac` the adapter's address, upper case with colons.
    """

    @property
    def flags(self) -> int: ...

    @property
    def mac(self) -> str: ...

    def handle(self, session: Session, number: int, message: Any) -> None:
        """One of the messages in `messages.BLUETOOTH`. What the session subscribed to stands in the session already."""
        ...

    def on_session_closed(self, session: Session) -> None:
        """The client is gone: everything it had is to be released. Called once for each session that greeted."""
        ...


class Node(Protocol):
    """What a session asks of the node it belongs to."""

    @property
    def name(self) -> str: ...

    @property
    def server_info(self) -> str: ...

    @property
    def proxy(self) -> BluetoothProxy | None: ...

    def device_info(self) -> Packet: ...

    def entity_list(self, flat: bool) -> tuple[int, list[Packet]]:
        """The version of the list, and its messages; `flat` for a client that does not know sub-devices."""
        ...

    def all_states(self) -> list[Packet]: ...

    def press(self, session: Session, number: int, device: int) -> None:
        """The client presses the button with that key, of that device."""
        ...


class Session:
    """`peer` is the client's address, for the log.

    `listed` is the version of the list of entities that it has, None before; `wants_states`, `advertisements` (flags of
    the subscription, None without one) and `wants_connections_free` are its subscriptions. `fault` is why it was given up.
    """

    def __init__(self, node: Node, framing: Framing, transport: Transport, peer: str, now: float) -> None:
        self._node, self._framing, self._transport = node, framing, transport
        self.peer, self.client = peer, ""
        self.greeted = self.wants_states = self.wants_connections_free = False
        self.listed: int | None = None
        self.advertisements: int | None = None
        self.fault = ""
        self.lost_advertisements = 0
        self._opened = self._heard = self._moved = now
        self._pinged = self._left = 0.0
        self._sent = self._taken = 0
        self._answers: list[Packet] | None = None
        self._ended = False

    @property
    def ended(self) -> bool:
        """Nothing is taken or sent any more."""
        return self._ended

    @property
    def ready(self) -> bool:
        """Whether messages may be sent to it."""
        return self.greeted and self._framing.ready and not self._ended

    @property
    def backlog(self) -> int:
        """Bytes that wait for the client."""
        return self._transport.get_write_buffer_size()

    def feed(self, data: bytes, now: float) -> None:
        """Bytes came. All answers to them go out in one piece."""
        if self._ended:
            return
        self._heard = now
        fed = self._framing.feed(data)
        if fed.reply:
            self._write(fed.reply)
        self._answers = []
        for number, content in fed.packets:
            if not self._ended:
                self._take(number, content, now)
        answers, self._answers = self._answers, None
        self._frame(answers)
        if fed.fault:
            self.end(fed.fault)

    def send(self, *packets: Packet) -> None:
        self.send_all(packets)

    def send_all(self, packets: Iterable[Packet]) -> None:
        """Queue messages; a client that does not take them is given up in time."""
        if self._answers is not None:
            self._answers += packets
            if len(self._answers) > MOST_AT_ONCE:
                answers, self._answers = self._answers, []
                self._frame(answers)
        elif self._framing.ready and not self._ended:
            self._frame(list(packets))

    def send_lossy(self, packet: Packet) -> bool:
        """Send unless too much waits for the client already; whether it was sent."""
        if self.backlog > LOSSY_LIMIT:
            self.lost_advertisements += 1
            return False
        self.send_all((packet,))
        return True

    def farewell(self, now: float) -> None:
        """Ask the client to leave; Home Assistant comes back after a few seconds and reads everything anew."""
        if self._left or self._ended:
            return
        self._left = now
        if self.ready:
            self.send(messages.packet(messages.DISCONNECT))
        else:
            self.end("")

    def tick(self, now: float) -> None:
        """To be called every few seconds."""
        taken = self._sent - self.backlog
        if taken != self._taken or not self.backlog:
            self._taken, self._moved = taken, now
        if self._left and now - self._left >= LEAVE:
            self.abort("" if self._ended else "it did not answer the goodbye")
        elif self._ended:
            self._left = self._left or now  # its last bytes may still be on their way, but not for ever
        elif not self.greeted and now - self._opened >= INTRODUCTION:
            self.abort(f"it did not introduce itself within {INTRODUCTION:g} s")
        elif now - self._heard >= SILENT:
            self.abort(f"it was silent for {SILENT:g} s")
        elif now - self._moved >= STUCK:
            self.abort(f"it took nothing of what was sent for {STUCK:g} s")
        elif now - self._heard >= QUIET and now - self._pinged >= PING_AGAIN and self.ready:
            self._pinged = now
            self.send(messages.packet(messages.PING))

    def gives_way(self, now: float) -> str:
        """Why somebody else may have its place; "" if nobody may."""
        if self._ended:
            return ""
        if not self.greeted:
            return "it did not introduce itself"
        return "it left a ping without an answer" if now - self._heard >= UNANSWERED else ""

    def end(self, fault: str) -> None:
        """Close the connection once what was written is out. `fault` "" when all is well."""
        if not self._ended:
            self._ended, self.fault = True, fault
            self._transport.close()

    def abort(self, fault: str) -> None:
        """Close the connection at once."""
        self._ended, self.fault = True, self.fault or fault
        self._transport.abort()

    def gone(self) -> None:
        """The connection is no more."""
        self._ended = True
        if self.greeted and self._node.proxy is not None:
            self._node.proxy.on_session_closed(self)

    def _take(self, number: int, content: bytes, now: float) -> None:
        if not self.greeted and number not in BEFORE_GREETING:
            self.end(f"it sent message {number} before a greeting")
            return
        try:
            message = messages.opened(number, content)
        except messages.BadMessage as error:
            self.end(str(error))
            return
        if message is None:  # whatever is not known is none of ours, and no fault
            return
        if number in messages.BLUETOOTH:
            self._bluetooth(number, message)
        elif number == messages.DISCONNECT:
            self.send(messages.packet(messages.DISCONNECT_ANSWER))
            self._say_goodbye(now)
        elif number == messages.DISCONNECT_ANSWER:
            if self._left:
                self._say_goodbye(now)
        else:
            self._answer(number, message)

    def _say_goodbye(self, now: float) -> None:
        answers, self._answers = self._answers or [], None
        self._frame(answers)
        self._left = self._left or now
        self.end("")
        self._answers = []

    def _answer(self, number: int, message: Any) -> None:
        node = self._node
        if number == messages.HELLO:
            self._greet(message)
        elif number == messages.LIST_ENTITIES:
            self.listed, listing = node.entity_list(not knows_subdevices(self.client))
            self.send(*listing, messages.packet(messages.ENTITIES_DONE))
        elif number == messages.SUBSCRIBE_STATES:
            self.wants_states = True
            self.send_all(node.all_states())
        elif number == messages.BUTTON_PRESS:
            node.press(self, message.key, message.device_id)
        elif (answer := short_answer(node, number)) is not None:
            self.send(answer)

    def _greet(self, message: Any) -> None:
        self.client = "".join(char for char in message.client_info[:60] if char.isprintable())
        if not self.greeted:
            self.greeted = True
            log.info("%s at %s is connected", self.client or "a client", self.peer)
        node = self._node
        version = {"api_version_major": messages.API_MAJOR, "api_version_minor": messages.API_MINOR}
        self.send(messages.packet(messages.HELLO_ANSWER, server_info=node.server_info, name=node.name, **version))

    def _bluetooth(self, number: int, message: Any) -> None:
        proxy = self._node.proxy
        if proxy is None:
            return
        if number == messages.SUBSCRIBE_ADVERTISEMENTS:
            self.advertisements = message.flags
        elif number == messages.UNSUBSCRIBE_ADVERTISEMENTS:
            self.advertisements = None
        elif number == messages.SUBSCRIBE_CONNECTIONS_FREE:
            self.wants_connections_free = True
        proxy.handle(self, number, message)

    def _frame(self, packets: list[Packet]) -> None:
        if packets and self._framing.ready:
            self._write(self._framing.encode(packets))

    def _write(self, data: bytes) -> None:
        if self._ended:
            return
        self._transport.write(data)
        self._sent += len(data)
        if self.backlog > BACKLOG_LIMIT:
            self.abort(f"more than {BACKLOG_LIMIT >> 10} KiB wait for it")


def knows_subdevices(client: str) -> bool:
    """Whether a client that calls itself so keeps values of several devices apart by their sub-device."""
    version = re.match(r"Home Assistant (\d+)\.(\d+)", client)
    return version is None or (int(version[1]), int(version[2])) >= SUBDEVICES


def short_answer(node: Node, number: int) -> Packet | None:
    """To requests that need no more than an answer. None for all others, which are for devices of another kind."""
    if number == messages.LOGIN:  # without passwords everybody is let in; the key is the lock
        return messages.packet(messages.LOGIN_ANSWER)
    if number == messages.PING:
        return messages.packet(messages.PONG)
    if number == messages.DEVICE_INFO:
        return node.device_info()
    if number == messages.SUBSCRIBE_LOGS:
        return messages.packet(messages.LOG, level=messages.LOG_INFO, message=LOG_IS_ELSEWHERE)
    if number == messages.GET_TIME:
        return messages.packet(messages.TIME, epoch_seconds=int(time.time()))
    if number == messages.SET_KEY:
        return messages.packet(messages.SET_KEY_ANSWER, success=False)
    return None
