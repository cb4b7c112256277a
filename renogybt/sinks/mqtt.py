"""Readings to an MQTT broker, and to Home Assistant through it."""

from __future__ import annotations

import hashlib
import platform
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from renogybt.command import Command
from renogybt.reading import Failure, Identity, LinkFigures, Reading, Standing
from renogybt.settings import Settings
from renogybt.sinks.connection import Connection
from renogybt.sinks.link import timestamp
from renogybt.sinks.messages import Figures, Messages, News
from renogybt.sinks.outbox import Message
from renogybt.sinks.release import ReleaseButtons
from renogybt.sinks.session import Session, birth_delay
from renogybt.sinks.sink import Health
from renogybt.sinks.standing import OFFLINE
from renogybt.sinks.topics import Topics
from renogybt.worker import Worker

if TYPE_CHECKING:
    from renogybt.sinks.replay import Replay

LAST_MOMENT = 1.5
"""Seconds before the end of `stop` from which messages are not spaced out any more."""


class _Thread(Worker):
    """The thread of an `MqttSink`; the work is its `_round`."""

    def __init__(self, work: Callable[[], float], on_crash: Callable[[str, Exception], None] | None) -> None:
        super().__init__("mqtt", on_crash)
        self._work = work

    def step(self) -> float:
        return self._work()


class MqttSink:
    """One connection for the whole process, with its own thread.

    `identities` are all configured devices: what an earlier run announced and is not among them is taken back; None when
    they are not known. `daemon` false means a single run for cron; left out, `enable_polling` decides. `instance` tells
    apart several programs that run from one folder. `jitter` gives the seconds to wait after Home Assistant's birth message.
    `replay` gets the readings that could not be published, `on_command` what somebody asks for by MQTT (in the thread of
    this sink, so it must not wait); only with that there are buttons.
    """

    name = "mqtt"

    def __init__(
        self,
        settings: Settings,
        identities: Iterable[Identity] | None = None,
        *,
        daemon: bool | None = None,
        instance: str = "",
        jitter: Callable[[], float] = birth_delay,
        on_crash: Callable[[str, Exception], None] | None = None,
        replay: Replay | None = None,
        on_command: Callable[[Command], None] | None = None,
    ) -> None:
        known = None if identities is None else list(identities)
        self._daemon = settings.data.enable_polling if daemon is None else daemon
        folder = str(Path(settings.folder).resolve())
        bridge_id = fingerprint(machine(), folder, settings.file, settings.mqtt.topic, instance)
        self.topics = Topics.of(settings, bridge_id)
        devices = [f"{device.mac_addr} {device.alias} {device.device_id}" for device in settings.devices]
        own_id = "renogybt-" + fingerprint(bridge_id, *devices, "daemon" if self._daemon else "once")
        self.client_id = settings.mqtt.client_id or own_id
        will = Message(self.topics.bridge_availability, OFFLINE, 1, True) if self._daemon else None
        self._thread = _Thread(self._round, on_crash)
        self._connection = Connection(settings.mqtt, self.client_id, will, folder, self._thread.wake, on_crash)
        host, started = platform.node(), timestamp(time.time()) or ""
        buttons = ReleaseButtons(self.topics, known or (), on_command)
        messages = Messages(settings, known, self.topics, self._daemon, host, buttons.nodes)
        self._session = Session(
            messages,
            self._connection,
            daemon=self._daemon,
            host=host,
            started=started,
            jitter=jitter,
            replay=replay,
            buttons=buttons,
        )
        self._each = replay is not None
        # A daemon need not wake for each message that has gone: it counts them when the next one goes. The replay waits.
        self._connection.prompt = self._each or not self._daemon
        if replay is not None:
            replay.wake_mqtt = self._thread.wake
        self._lock = threading.Lock()
        self._inbox: dict[tuple[str, ...], News] = {}
        self._idle, self._gone = threading.Event(), threading.Event()
        self._idle.set()
        self._leave_by: float | None = None
        self._last_words = self._delivered = False
        self._outcome: bool | None = None

    @property
    def connected(self) -> bool:
        return self._connection.up

    @property
    def trouble(self) -> str:
        """Why there is no good connection; "" when there is, or while the first attempt runs."""
        return self._connection.trouble

    @property
    def alive(self) -> bool:
        return self._thread.alive

    def start(self) -> None:
        self._thread.start()

    def revive(self) -> bool:
        return self._thread.revive()

    def offer(self, reading: Reading) -> None:
        one = (repr(reading.taken_at),) if self._each else ()
        self._put(("reading", reading.identity.uid, reading.family, *one), reading)

    def failed(self, failure: Failure) -> None:
        self._put(("failure", failure.identity.uid), failure)

    def standing(self, standing: Standing) -> None:
        self._put(("standing", standing.identity.uid), standing)

    def figures(self, identity: Identity, figures: LinkFigures) -> None:
        self._put(("figures", identity.uid), Figures(identity, figures))

    def publish(self, topic: str, payload: str, retain: bool = False) -> None:
        """Any message of the caller's own, with the quality of service of [mqtt]; the newest per topic wins."""
        self._put(("message", topic), Message(topic, payload, self._session.messages.qos, retain))

    def _put(self, key: tuple[str, ...], news: News) -> None:
        """At most one piece of news of each kind waits for each device, so this is bounded by the number of devices."""
        with self._lock:
            self._inbox.pop(key, None)  # so that it takes its place in time
            self._inbox[key] = news
            self._idle.clear()
        self._thread.wake()

    def flush(self, timeout: float) -> str:
        """Wait until the broker has everything offered so far. "" when it has, else why not."""
        self._connection.prompt = True
        self._thread.wake()
        if self._idle.wait(timeout):
            return ""
        where, waiting = self._connection.where, self._session.waiting
        if self._connection.up:
            return f"broker {where} did not confirm {waiting} message(s) within {timeout:g} s"
        return self._connection.trouble or f"broker {where} did not answer within {timeout:g} s"

    def stop(self, timeout: float, last_words: bool = True) -> bool:
        """Deliver what waits, say `offline` (daemons, if `last_words`), and disconnect. True when all was delivered."""
        if self._outcome is not None or not self._thread.alive:
            return self._outcome is not False
        end = time.monotonic() + timeout
        self._last_words, self._leave_by = last_words, end
        self._connection.prompt = True
        self._thread.wake()
        self._gone.wait(max(0.0, timeout - min(1.0, timeout / 4)))
        ended = self._thread.stop(max(0.1, end - time.monotonic()))
        if ended:
            self._leave_behind()
        self._connection.close(max(0.1, end - time.monotonic()))
        self._outcome = ended and (self._delivered or self._session.idle)
        return self._outcome

    def health(self) -> Mapping[str, Health]:
        state = "connected" if self.connected else "disconnected"
        return {self.name: Health(state, self._session.waiting, self._session.delivered, 0, self.trouble)}

    def _leave_behind(self) -> None:
        for item in self._inbox.values():
            self._session.take(item)
        self._inbox.clear()
        self._session.leave_behind()

    def _round(self) -> float:
        with self._lock:
            news = list(self._inbox.values())
            self._inbox.clear()
        for item in news:
            self._session.take(item)
        now, leave_by = time.monotonic(), self._leave_by
        hurry = leave_by is not None and leave_by - now < LAST_MOMENT
        pause = self._session.round(now, leave_by is not None and self._last_words, hurry)
        with self._lock:
            done = self._session.idle and not self._inbox
            if done:
                self._idle.set()
        if leave_by is not None:
            self._delivered = self._delivered or done
            if done or (self._connection.trouble and not self._connection.up):
                self._gone.set()
            pause = min(pause, max(0.05, leave_by - LAST_MOMENT - now))
        return pause


def fingerprint(*parts: str) -> str:
    """Twelve letters that stay the same for the same parts, and do not give them away."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def machine() -> str:
    """What tells this machine from others; the host name where there is no machine id."""
    try:
        return Path("/etc/machine-id").read_text(encoding="ascii").strip() or platform.node()
    except (OSError, UnicodeError):
        return platform.node()
