"""The one connection to the broker. Everything about paho-mqtt is here.

paho's own thread keeps the connection; its callbacks only append to `events` and wake the reader. A callback that raises
would end that thread while paho still claims to be connected, so exceptions are suppressed there and the thread is watched.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import ssl
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from renogybt.errors import OutletError
from renogybt.settings import Mqtt
from renogybt.sinks.outbox import Message
from renogybt.sinks.spared import spared

with spared("urllib.request", needed_with="socks"):
    # paho asks it for proxies, and only when PySocks is installed; loading it takes 2.1 MB
    from paho.mqtt.client import Client, MQTTMessage
    from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0
QUEUE = 100
"""Unconfirmed messages paho may hold; its own limit would be 65535, more than a small machine has memory for."""
SHORT, KICKS = 10.0, 3
"""A connection that ends within so many seconds, so many times in a row, is being thrown out by a namesake."""
SLOWEST = 30
LOOK = 5.0
"""Seconds between two looks of paho's at the keepalive, at most; a tenth of it where that is less."""
RESTART_PAUSE = 5.0
ECHO = 0.9
"""Seconds in which a second end is not that of another attempt: paho tells twice of a broker that has gone silent."""
SILENCE = 150.0
"""Seconds without any word from the broker after which the connection counts as dead, whatever paho believes: it notices a
dead peer by its own pings, after two times `keepalive`, but not a broker that answers them and nothing else."""


@dataclass(frozen=True, slots=True)
class Up:
    """The broker accepted the connection."""

    at: float


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt to connect came to nothing; `answered` when the broker itself said no."""

    reason: str
    answered: bool


@dataclass(frozen=True, slots=True)
class Down:
    """The connection, or an attempt to connect, ended. `anew`: paho starts from nothing and has forgotten its queue."""

    at: float
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Arrived:
    topic: str
    payload: str
    retained: bool


@dataclass(frozen=True, slots=True)
class Sent:
    """The broker has the message (QoS 1), or it has left this machine (QoS 0)."""

    number: int


Event = Up | Failed | Down | Arrived | Sent


class PlainNames(Client):
    """paho's client, without loading the tables for international host names (0.9 MB) where the name is plain ASCII.

    It also ends when it is told so in the middle of connecting: paho forgets a `disconnect` that comes then.
    """

    left = False

    def leave(self) -> None:
        """Say goodbye, for good."""
        self.left = True
        self.disconnect()

    def loop_forever(self, timeout: float = 1.0, retry_first_connection: bool = False) -> MQTTErrorCode:
        """paho looks after the keepalive once a second, and nothing else: that is for ever, and the rest wakes it anyway."""
        return super().loop_forever(max(timeout, min(LOOK, self.keepalive / 10)), retry_first_connection)

    def _create_socket_connection(self) -> Any:
        if self.left:
            self.disconnect()  # without a socket, that only ends paho's thread
            raise ConnectionAbortedError("nobody wants this connection any more")
        if not self.host.isascii() or self._get_proxy():
            return super()._create_socket_connection()
        # the standard library takes bytes here; its type hints do not know
        return socket.create_connection((self.host.encode("ascii"), self.port), self.connect_timeout)  # type: ignore[arg-type]


def check_name(server: str) -> None:
    """Raises `UnicodeError` for a host name nobody can be asked for; in paho's thread it would end that thread."""
    if not server.isascii():
        server.encode("idna")
    elif any(len(label) > 63 for label in server.split(".")):
        raise UnicodeError("a part of the host name is longer than 63 letters")


class Connection:
    """Connects, reconnects and tells what happens. Owned by one thread; only `events` is filled by paho's."""

    def __init__(
        self,
        mqtt: Mqtt,
        client_id: str,
        will: Message | None,
        folder: str,
        wake: Callable[[], None],
        on_crash: Callable[[str, Exception], None] | None = None,
    ) -> None:
        self._mqtt, self._id, self._will, self._folder, self._wake = mqtt, client_id, will, Path(folder), wake
        self._on_crash = on_crash
        self.where = f"{mqtt.server}:{mqtt.port}"
        self.events: deque[Event] = deque()
        self.up = False
        self.prompt = True
        """Whether `wake` is called for each message that has gone, too."""
        self.trouble = ""
        self._said = ""
        self._client: PlainNames | None = None
        self._thread: threading.Thread | None = None
        self._next_start = 0.0
        self._up_since = self._heard_at = self._down_at = 0.0
        self._answered = False
        self._kicks = 0

    def supervise(self, now: float) -> None:
        """Start paho's thread, and again when it has died or leads nowhere. To be called every few seconds."""
        if self.up and self._kicks and now - self._up_since >= SHORT:
            self._steady()
        alive = self._thread is not None and self._thread.is_alive()
        if now < self._next_start or (alive and now - self._heard_at < SILENCE):
            return
        self._next_start, self._heard_at = now + RESTART_PAUSE, now
        if self._client is not None:
            self._give_up(self._client, alive)
            self.events.append(Down(now, anew=True))
        try:
            self._client = self._made()
        except OSError as error:  # ssl.SSLError is one
            self._client = None
            self.say(f"cannot use the TLS files of [mqtt]: {_file_fault(error)}; check tls_ca, tls_cert and tls_key")
            return
        except ValueError as error:  # UnicodeError is one
            self._client = None
            self.say(f"cannot connect to broker {self.where}: {error}; check server and the TLS files in [mqtt]")
            return
        others = set(threading.enumerate())
        self._client.loop_start()
        started = [t for t in threading.enumerate() if t not in others and t.name.startswith("paho")]
        self._thread = started[0] if started else None

    def _give_up(self, client: PlainNames, alive: bool) -> None:
        """Say why, and let go of `client`: whatever it still does, nobody listens any more."""
        if not alive:
            trouble = f"the network thread to broker {self.where} had ended; starting it anew"
            if self._on_crash is not None:
                self._on_crash("paho", OutletError(trouble))
        elif self.up:
            trouble = f"broker {self.where} has confirmed nothing for {SILENCE:g} s; connecting anew"
        else:
            trouble = f"broker {self.where} has not answered for {SILENCE:g} s; connecting anew"
        self.say(trouble)
        self._client = None
        line = client.socket()
        client.leave()
        if isinstance(line, socket.socket):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(line, socket.SHUT_RDWR)  # the socket's own, which knows no TLS and never waits

    def heard(self, now: float) -> None:
        """The broker has confirmed something."""
        self._heard_at = now

    def _made(self) -> PlainNames:
        mqtt = self._mqtt
        check_name(mqtt.server)
        client = PlainNames(CallbackAPIVersion.VERSION2, client_id=self._id, clean_session=True)
        client.suppress_exceptions = True
        client.connect_timeout = CONNECT_TIMEOUT
        client.reconnect_delay_set(1, SLOWEST)
        client.max_queued_messages_set(QUEUE)
        if mqtt.user:
            client.username_pw_set(mqtt.user, mqtt.password or None)
        if mqtt.tls:
            client.tls_set(self._path(mqtt.tls_ca), self._path(mqtt.tls_cert), self._path(mqtt.tls_key))
            client.tls_insecure_set(mqtt.tls_insecure)
        if self._will is not None:
            client.will_set(self._will.topic, self._will.payload, self._will.qos, self._will.retain)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.connect_async(mqtt.server, mqtt.port, mqtt.keepalive)
        return client

    def _path(self, name: str) -> str | None:
        """The file `name`, seen from the configuration's folder. Raises an `OSError` that names it if it cannot be read."""
        if not name:
            return None
        path = self._folder / Path(name).expanduser()
        path.open("rb").close()  # ssl would not say which file it is
        return str(path)

    def take(self) -> list[Event]:
        """What happened since the last call, after the connection's own conclusions from it."""
        taken = [self.events.popleft() for _ in range(len(self.events))]
        for event in taken:
            if isinstance(event, Up | Failed | Down):
                self._heard_at = time.monotonic()
            if isinstance(event, Up):
                self._came_up(event.at)
            elif isinstance(event, Failed):
                self._answered = event.answered
                self.say(f"broker {self.where} did not accept the connection: {event.reason}")
            elif isinstance(event, Down):
                self._went_down(event)
        return taken

    def _came_up(self, now: float) -> None:
        self.up, self._answered, self._up_since = True, True, now
        if self._kicks < KICKS:
            log.info("connected to broker %s as %s", self.where, self._id)
            self.trouble = self._said = ""

    def _went_down(self, event: Down) -> None:
        was_up, self.up = self.up, False
        echo, self._down_at = event.at - self._down_at < ECHO, event.at
        if event.anew:
            pass  # the reason has been said
        elif was_up:
            self._kicks = self._kicks + 1 if event.at - self._up_since < SHORT else 0
            if self._kicks >= KICKS:
                self._back_off()
            else:
                self.say(f"connection to broker {self.where} lost; connecting again")
        elif not self._answered and not echo:
            hint = "does it want a client certificate (tls_cert, tls_key)" if self._mqtt.tls else "is this its TLS port"
            self.say(f"broker {self.where} did not accept the connection: it closed it without a word; {hint}?")
        self._answered = False

    def _back_off(self) -> None:
        pause = min(SLOWEST, 5 * 2 ** (self._kicks - KICKS))
        if self._client is not None:
            self._client.reconnect_delay_set(pause, SLOWEST)
        self.say(
            f"broker {self.where} ends the connection again and again soon after accepting it; probably another program "
            f"uses the client id {self._id} too: give one of them another client_id in [mqtt]"
        )

    def _steady(self) -> None:
        self._kicks = 0
        self.trouble = self._said = ""
        if self._client is not None:
            self._client.reconnect_delay_set(1, SLOWEST)

    def say(self, trouble: str) -> None:
        """Report a trouble once, until it changes or is over."""
        self.trouble = trouble
        if trouble != self._said:
            self._said = trouble
            log.warning("%s", trouble)

    def subscribe(self, filters: Iterable[str]) -> None:
        wanted = [(each, 0) for each in filters]
        if self._client is not None and wanted:
            self._client.subscribe(wanted)

    def unsubscribe(self, filters: Iterable[str]) -> None:
        wanted = list(filters)
        if self._client is not None and wanted:
            self._client.unsubscribe(wanted)

    def publish(self, message: Message) -> int | None:
        """Hand a message to paho; its number, or None when it takes no more now. Never waits."""
        if self._client is None or not self.up:
            return None
        info = self._client.publish(message.topic, message.payload, message.qos, message.retain)
        refused = info.rc == MQTTErrorCode.MQTT_ERR_QUEUE_SIZE or (message.qos == 0 and info.rc)
        return None if refused else info.mid

    def close(self, timeout: float) -> bool:
        """Say goodbye and wait for paho's thread. True when it has ended.

        `loop_stop` would wait for ever for confirmations that do not come; `leave` lets the thread end by itself.
        """
        if self._client is not None:
            self._client.leave()
        if self._thread is not None:
            self._thread.join(max(0.0, timeout))
            return not self._thread.is_alive()
        return True

    def _post(self, client: Client, event: Event) -> None:
        if client is self._client:  # not one that was given up
            self.events.append(event)
            if self.prompt or not isinstance(event, Sent):
                self._wake()

    def _on_connect(self, client: Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if cast(PlainNames, client).left:
            client.disconnect()
            return
        self._post(client, Failed(refusal(str(reason)), True) if reason.is_failure else Up(time.monotonic()))

    def _on_connect_fail(self, client: Client, userdata: Any) -> None:
        self._post(client, Failed(failure(sys.exc_info()[1], self._mqtt.tls), False))  # paho is handling the error now

    def _on_disconnect(self, client: Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        self._post(client, Down(time.monotonic()))

    def _on_message(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        self._post(client, Arrived(message.topic, message.payload.decode("utf-8", "replace"), message.retain))

    def _on_publish(self, client: Client, userdata: Any, number: int, reason: Any, properties: Any) -> None:
        self._post(client, Sent(number))


def refusal(reason: str) -> str:
    """Why a broker that answered said no, and what to do. `reason` in the words of the protocol."""
    lowered = reason.lower()
    if "authorized" in lowered or "password" in lowered:
        return f"{lowered}; check user and password in [mqtt]"
    if "identifier" in lowered:
        return f"{lowered}; check client_id in [mqtt]"
    return lowered


def failure(error: BaseException | None, tls: bool) -> str:
    """Why no connection came about, and what to do."""
    match error:
        case ConnectionRefusedError():
            return "connection refused; is the broker running, and is port in [mqtt] right?"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted ({error.verify_message}); check server and tls_ca in [mqtt]"
        case ssl.SSLError():
            return (
                f"no TLS ({error.reason or error}); is port in [mqtt] its TLS port, and does it want a client certificate?"
            )
        case socket.gaierror():
            return "unknown host; check server in [mqtt] and this machine's network"
        case TimeoutError():
            hint = "; is this its TLS port?" if tls else ""
            return f"no answer within {CONNECT_TIMEOUT:g} s{hint}"
        case OSError() if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
            return "host not reachable; check server in [mqtt] and this machine's network"
        case ConnectionResetError():
            return "it closed the connection at once; is port in [mqtt] right?"
    return str(error) if error is not None else "unknown reason"


def _file_fault(error: OSError) -> str:
    name = f" {os.fsdecode(error.filename)}" if error.filename else ""
    return f"{error.strerror or error}{name}"
