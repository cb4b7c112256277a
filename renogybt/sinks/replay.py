"""Readings that MQTT could not publish, sent later to a topic of their own with their original time."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from math import inf

from renogybt.breaker import Breaker
from renogybt.reading import Reading
from renogybt.settings import Mqtt
from renogybt.sinks.carrier import Outcome
from renogybt.sinks.document import iso
from renogybt.sinks.outbox import Message
from renogybt.sinks.outlet import Answer, Call, Record, Verdict
from renogybt.sinks.standing import without_status

NAME = "mqtt_replay"
LOOK_AGAIN = 1.0
"""Seconds between two looks at whether the broker is there."""


class Replay:
    """For the upload thread an outlet and its carrier in one; for the mqtt thread where missed readings go, and what to
    publish when it has nothing else to say. One message at a time, so that they stay in order.
    """

    name, batch, exact = NAME, 1, False

    def __init__(self, mqtt: Mqtt) -> None:
        self.topic = mqtt.replay_topic or f"{mqtt.topic.rstrip('/')}/replay"
        self.breaker = Breaker(5, 30.0)
        self._keep: Callable[[float, str], None] = lambda taken_at, body: None
        self._wake_upload: Callable[[], None] = lambda: None
        self.wake_mqtt: Callable[[], None] = lambda: None
        self._up = False
        self._call: Call | None = None
        self._given = False
        self._outcome: Outcome | None = None

    def attach(self, keep: Callable[[float, str], None], wake: Callable[[], None]) -> None:
        """`keep(taken_at, body)` stores a record, `wake` makes the upload thread look."""
        self._keep, self._wake_upload = keep, wake

    # In the upload thread: outlet

    def records(self, reading: Reading) -> list[tuple[float, str]]:
        return []  # only what was missed comes here, see `missed`

    def compose(self, waiting: Sequence[Record], wall: float, mono: float) -> Call | float:
        if not self._up:
            return LOOK_AGAIN
        return Call("PUBLISH", self.topic, {}, waiting[0].body.encode(), (waiting[0],))

    def judge(self, call: Call, answer: Answer, wall: float, mono: float) -> Verdict:
        return Verdict(done=tuple(record.number for record in call.records))

    # In the upload thread: carrier

    @property
    def busy(self) -> bool:
        return self._call is not None

    def ready_in(self, outlet: str, now: float) -> float:
        return 0.0

    def carry(self, outlet: str, call: Call, now: float, again: bool) -> None:
        self._given, self._outcome, self._call = False, None, call
        self.wake_mqtt()

    def outcome(self, now: float) -> Outcome | None:
        found = self._outcome
        if found is not None:
            self._outcome = self._call = None
        return found

    def look_in(self, now: float) -> float:
        return LOOK_AGAIN if self._call is not None else inf

    def close(self) -> None:
        """Nothing to close."""

    # In the mqtt thread

    def missed(self, message: Message) -> None:
        """`message`, a reading, was not published in its time."""
        head = {"taken_at": iso(message.taken_at), "taken_at_epoch": round(message.taken_at, 3), "topic": message.topic}
        body = head | dict(without_status(json.loads(message.payload)))
        self._keep(message.taken_at, json.dumps(body, ensure_ascii=False, allow_nan=False))

    def came_up(self) -> None:
        self._up = True

    def went_down(self, anew: bool) -> None:
        """What paho has not got will not go; what it has got it repeats, unless it begins `anew`."""
        self._up = False
        if self._call is not None and (anew or not self._given):
            self._ended(Outcome(None, "the connection to the broker was lost", sent=self._given))

    def next(self) -> Message | None:
        """What to publish now."""
        call = self._call
        if call is None or self._given or self._outcome is not None:
            return None
        return Message(self.topic, call.body.decode(), 1)

    def given(self) -> None:
        """paho has taken it."""
        self._given = True

    def confirmed(self) -> None:
        self._ended(Outcome(Answer(200, {}, "")))

    def _ended(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._wake_upload()
