"""What is said to the broker and when; lives in the mqtt thread."""

from __future__ import annotations

import json
import logging
import random
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from renogybt.sinks.announce import Wave, encoded, retained
from renogybt.sinks.connection import Arrived, Connection, Down, Failed, Sent, Up
from renogybt.sinks.messages import Messages, News
from renogybt.sinks.outbox import Message, Outbox
from renogybt.sinks.proof import Proof
from renogybt.sinks.release import ReleaseButtons
from renogybt.sinks.standing import OFFLINE, ONLINE
from renogybt.version import __version__

if TYPE_CHECKING:
    from renogybt.sinks.replay import Replay

log = logging.getLogger(__name__)

READ_BACK = 3.0
"""Seconds to wait for what the broker holds; normally our own word comes back within milliseconds and ends the wait."""
SHORTEST, LONGEST = 0.05, 5.0
BUSY = 0.2
"""Seconds between rounds while confirmations are due."""
SETTLING = 10.0
"""Seconds before a topic that is out of use is cleared: until Home Assistant has taken in what was announced, it listens
there, and complains about an empty message once for each of its entities."""
UNCONFIRMED = 1.0
"""Seconds after which it is looked whether messages have gone, if nothing else happens."""
MUCH = 50_000
"""Letters to hand over in one round. paho holds each message twice until it has gone, and all announcements of a house with
batteries are 30 000 letters a device: memory for all of them at once would be kept for ever."""
HEARTBEAT = 60.0
"""Seconds between two words that the broker has to confirm, so that a dead connection is noticed."""


def birth_delay() -> float:
    """Not all bridges of a house should speak in the same moment when Home Assistant has started."""
    return random.uniform(0, 3)


class Session:
    """Keeps the broker's picture right over reconnects and restarts, of it and of us.

    `daemon` false: a single run for cron, which confirms everything and does not say that it goes away.
    """

    def __init__(
        self,
        messages: Messages,
        connection: Connection,
        *,
        daemon: bool,
        host: str,
        started: str,
        jitter: Callable[[], float] = birth_delay,
        replay: Replay | None = None,
        buttons: ReleaseButtons | None = None,
    ) -> None:
        self.messages, self.connection, self._daemon, self._jitter = messages, connection, daemon, jitter
        self.topics, self._announcer = messages.topics, messages.announcer
        self._about = {"version": __version__, "node": self.topics.bridge_node, "host": host, "started": started}
        self._replay, self._replaying = replay, 0
        self._buttons = buttons or ReleaseButtons(self.topics, (), None)
        self._proof = Proof()
        self._next_beat = 0.0
        self.delivered = 0
        self.outbox = Outbox()
        self._waves: deque[Wave] = deque()
        self._current: Wave = []
        self._unconfirmed: dict[int, Message] = {}
        self._open = self._left = False
        self._read_back_until = 0.0
        self._birth_at: float | None = None
        self._spent: dict[str, float] = {}

    @property
    def idle(self) -> bool:
        """Nothing waits for delivery or confirmation."""
        announcing = self._waves or (self.messages.pending and self.topics.form != "none")
        return not (self.outbox or self._unconfirmed or announcing)

    @property
    def waiting(self) -> int:
        return len(self.outbox) + len(self._unconfirmed)

    def take(self, news: News) -> None:
        """Put what follows from `news` into the outbox."""
        for message in self.messages.of(news):
            displaced = self.outbox.put(message)
            if displaced is not None:
                self._missed(displaced)
            if not self.connection.up and self.connection.trouble:  # without trouble the first attempt is under way
                self.outbox.put(self._missed(message))

    def leave_behind(self) -> None:
        """The end: readings that were not confirmed are missed."""
        left = [*self._unconfirmed.values(), *self.outbox.clear()]
        for message in sorted(left, key=lambda message: message.taken_at):
            self._missed(message)

    def _pass_over(self) -> None:
        """There is no connection for what waits."""
        for message in self.outbox.clear():
            self.outbox.put(self._missed(message))

    def _missed(self, message: Message) -> Message:
        """The moment of `message` has passed. If it is a reading that must not get lost, it goes to the replay.

        What remains may still be published as the newest of its topic.
        """
        if message.taken_at and self._replay is not None:
            self._replay.missed(message)
            return message._replace(taken_at=0.0)
        return message

    def round(self, now: float, leaving: bool = False, hurry: bool = False) -> float:
        """One round of work at monotonic time `now`; returns the seconds until the next is due.

        `leaving`: say the last words once; `hurry`: there is no time left to space messages out.
        """
        for event in self.connection.take():
            self._event(event, now)
        self.connection.supervise(now)
        if leaving and not self._left and self._daemon:
            for message in self.messages.last_words():
                self.outbox.put(message)
        self._left = leaving
        if not self.connection.up:
            return LONGEST
        if not self._open:
            if now < self._read_back_until and not hurry:
                return self._read_back_until - now
            self._open_up(now)
        if self._birth_at is not None and now >= self._birth_at:
            self._announce_all(now)
        self._advance(now)
        self._clear(now, leaving or hurry)
        if now >= self._next_beat and not leaving:
            self._beat(now)
        stuck = self._send(now, hurry)
        if not (stuck or leaving or self.outbox or self._waves):
            self._send_replay()
        return self._pause(now, stuck)

    def _pause(self, now: float, stuck: bool) -> float:
        waits = [LONGEST]
        if (due := self.outbox.next_due(now)) is not None:
            waits.append(max(BUSY if stuck else SHORTEST, due))
        if self._waves or self.messages.pending:
            waits.append(BUSY)
        if self._unconfirmed:
            waits.append(UNCONFIRMED)
        if self._birth_at is not None:
            waits.append(self._birth_at - now)
        return max(0.0, min(waits))

    def _event(self, event: object, now: float) -> None:
        match event:
            case Up():
                self._came_up(now)
            case Down():
                self._went_down(event.anew)
            case Failed():
                self._pass_over()
            case Sent() if self._replay is not None and event.number == self._replaying:
                self._replaying = 0
                self._replay.confirmed()
                self.connection.heard(now)
            case Sent():
                self._sent(event.number, now)
            case Arrived():
                self._arrived(event, now)

    def _sent(self, number: int, now: float) -> None:
        message = self._unconfirmed.pop(number, None)
        self.delivered += message is not None
        if message is not None and message.qos:
            self._proof.confirmed(number)
            self.connection.heard(now)

    def _beat(self, now: float) -> None:
        self._next_beat = now + HEARTBEAT
        self._direct(retained(self.topics.bridge_availability, ONLINE))

    def _came_up(self, now: float) -> None:
        """Listen first, then speak. Our own word on the bridge's topic, when it returns, follows all that was kept."""
        self._announcer.forget_broker()
        filters = [self.topics.bridge_info, self.topics.bridge_availability, *self._buttons.topics]
        if self.topics.form != "none":
            filters.append(self.topics.birth)
        self.connection.subscribe([*self._announcer.filters(), *filters])
        self._beat(now)
        self._read_back_until = now + READ_BACK if self.topics.form != "none" else now

    def _went_down(self, anew: bool) -> None:
        self._open, self._birth_at = False, None
        if self._replay is not None:
            self._replay.went_down(anew)
            self._replaying = 0 if anew else self._replaying
        self._waves.clear()
        self._current = []
        lost = {n: m for n, m in self._unconfirmed.items() if anew or m.qos == 0}  # paho itself repeats the others
        for number in lost:
            del self._unconfirmed[number]
        late = [self._missed(message) for message in lost.values()]
        self._pass_over()
        for message in [*self.outbox.clear(), *late]:
            if not self.topics.parts_of(message.topic):  # announcements are made anew
                self.outbox.restore(message)
        for topic in self._proof.broken():
            if (newest := self.messages.newest.get(topic)) is not None:
                self.outbox.restore(newest)

    def _arrived(self, event: Arrived, now: float) -> None:
        if event.topic == self.topics.bridge_availability:
            if not event.retained and event.payload == ONLINE:
                self._read_back_until = now
            elif not event.retained and event.payload == OFFLINE and self._daemon and not self._left:
                self.outbox.put(retained(self.topics.bridge_availability, ONLINE))
        elif event.topic == self.topics.bridge_info:
            if event.retained:
                self.connection.subscribe(self._announcer.more_filters(_record(event.payload)))
        elif event.topic == self.topics.birth:
            if event.payload.strip() == ONLINE and not event.retained and self._birth_at is None:
                self._birth_at = now + self._jitter()
        elif event.topic in self._buttons.topics:
            for message in self._buttons.heard(event.topic, event.payload, event.retained, now):
                self.outbox.put(message)
        elif event.retained:
            for message in self._announcer.read_back(event.topic, event.payload):
                self.messages.newest.pop(message.topic, None)
                if not self._put_by(message, now):
                    self.outbox.put(message)

    def _open_up(self, now: float) -> None:
        """What the broker holds is known. Announce everything, then availability, then the newest of each topic."""
        self._open = True
        if self._replay is not None:
            self._replay.came_up()
        self.connection.unsubscribe(self._announcer.filters())
        waiting = {message.topic: message for message in self.outbox.clear()}
        self._announce_all(now)
        for topic, message in self.messages.newest.items():
            if message.retain or topic in waiting:
                self.outbox.put(waiting.get(topic, message))
        for topic, message in waiting.items():
            if topic not in self.messages.newest:
                self.outbox.put(message)

    def _announce_all(self, now: float) -> None:
        born, self._birth_at = self._birth_at is not None, None
        about = self._about | {"discovery": self.topics.form, "devices": self._announcer.devices}
        self.outbox.put(retained(self.topics.bridge_info, encoded(about)))
        self.messages.pending.clear()
        self._waves.extend(self._announcer.waves(self._announcer.announced, bridge=True))
        self._advance(now)
        if born:
            self.outbox.put(retained(self.topics.bridge_availability, ONLINE))
            for topic, message in self.messages.newest.items():
                if not self.outbox.holds_any([topic]):  # what waits there is the newest already
                    self.outbox.put(message)

    def _advance(self, now: float) -> None:
        """Announce what is pending; let the next wave go when the one before has left."""
        if not self._waves and self.messages.pending and not self.outbox.holds_any(m.topic for m in self._current):
            nodes = [node for node in self.messages.pending if node in self._announcer.announced]
            self.messages.pending.clear()
            self._waves.extend(self._announcer.waves(nodes))
        if self._waves and not self.outbox.holds_any(m.topic for m in self._current):
            wave = self._waves.popleft()
            self._current = [message for message in wave if not self._put_by(message, now)]
            self.outbox.lead(self._current)  # Home Assistant listens to a state only after its announcement

    def _put_by(self, message: Message, now: float) -> bool:
        """Whether it only clears a topic of states, and is kept for later. A single run has no time for that."""
        if message.payload or self.topics.parts_of(message.topic) or not self._daemon:
            return False
        self._spent[message.topic] = now + SETTLING
        return True

    def _clear(self, now: float, hurry: bool) -> None:
        for topic in [topic for topic, due in self._spent.items() if hurry or now >= due]:
            del self._spent[topic]
            if topic not in self.messages.newest:
                self.outbox.put(retained(topic, ""))

    def _send(self, now: float, hurry: bool) -> bool:
        """Hand over what is due; True when the connection takes no more now, or has been given much at once."""
        due, given = self.outbox.due(now, hurry), 0
        for index, message in enumerate(due):
            if (given >= MUCH and self._daemon and not hurry) or not self._direct(message):
                for unsent in due[index:]:
                    self.outbox.restore(unsent)
                return True
            given += len(message.payload)
        return False

    def _send_replay(self) -> None:
        message = self._replay.next() if self._replay is not None else None
        if message is not None and self._replay is not None:
            number = self.connection.publish(message)
            if number is not None:
                self._replaying = number
                self._replay.given()

    def _direct(self, message: Message) -> bool:
        number = self.connection.publish(message)
        if number is not None:
            self._unconfirmed[number] = message
            self._proof.handed(number, message)
        return number is not None


def _record(payload: str) -> dict[str, Any]:
    try:
        content = json.loads(payload)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
