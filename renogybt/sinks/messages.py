"""What follows from readings, failures and link figures: the messages to publish. Pure; no broker in sight."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from renogybt import devices
from renogybt.reading import Failure, Identity, LinkFigures, Reading, Standing
from renogybt.settings import Settings
from renogybt.sinks.announce import Announcer, encoded, retained
from renogybt.sinks.document import document
from renogybt.sinks.link import link_document
from renogybt.sinks.outbox import Message
from renogybt.sinks.standing import OFFLINE, ONLINE, RELEASED, blanked, with_status
from renogybt.sinks.topics import Topics, node_of


@dataclass(frozen=True, slots=True)
class Figures:
    identity: Identity
    figures: LinkFigures


News = Reading | Failure | Standing | Figures | Message


class Messages:
    """Turns news into messages, and remembers the newest of each topic for those who come later.

    `pending` names the devices to be announced anew. `daemon` false: a single run, in which everything is confirmed, and
    which has no time to wait and see: what cannot be read is offline at once. `buttons` are nodes with a release button.
    """

    def __init__(
        self,
        settings: Settings,
        identities: Sequence[Identity] | None,
        topics: Topics,
        daemon: bool,
        host: str,
        buttons: Collection[str] = (),
    ) -> None:
        self._data, self.topics, self._daemon = settings.data, topics, daemon
        self.announcer = Announcer(topics, identities, self._data.temperature_unit, self._data.fields, host, buttons)
        announced, choice = topics.form != "none", settings.mqtt.retain
        self._retain = announced if choice == "auto" else choice == "true"
        self._replay = settings.mqtt.replay
        self.qos = settings.mqtt.qos if daemon and not self._replay else 1  # what is replayed hangs on confirmations
        self._devices = {node_of(identity): identity for identity in identities or ()}
        self.newest: dict[str, Message] = {}
        self.pending: dict[str, None] = {}

    def of(self, news: News) -> list[Message]:
        """What is to be published because of `news`."""
        match news:
            case Reading():
                return self._reading(news)
            case Failure():
                return [] if self._daemon else self._available(news.identity, OFFLINE)
            case Standing():
                return self._standing(news)
            case Figures():
                return self._figures(news)
        return [news if self._daemon else news._replace(qos=1)]

    def _reading(self, reading: Reading) -> list[Message]:
        family, identity = devices.family(reading.family), reading.identity
        if self.announcer.remember(reading, family):
            self.pending[node_of(identity)] = None
        said = self._state(reading, ONLINE, 0)
        if self._replay:
            said = said._replace(taken_at=reading.taken_at)
        return [said, *self._available(identity, ONLINE)]

    def _standing(self, standing: Standing) -> list[Message]:
        """Of a device that is not read: its last values with their age, or none any more."""
        identity, reading, stage = standing.identity, standing.reading, standing.stage
        if reading is None:
            return self._available(identity, OFFLINE)
        if stage in ("stale", "released"):
            said = self._state(reading, RELEASED if stage == "released" else OFFLINE, standing.age)
        else:
            said = self._state(reading, OFFLINE, None, blank=True)
        return [said, *self._available(identity, OFFLINE if stage == "offline" else ONLINE)]

    def _state(self, reading: Reading, status: str, age: float | None, blank: bool = False) -> Message:
        content = document(reading, self._data.temperature_unit, self._data.fields)
        content = with_status(blanked(content) if blank else content, status, age, self._data.fields)
        return self._kept(Message(self.topics.state(reading.identity), encoded(content), self.qos, self._retain))

    def _figures(self, news: Figures) -> list[Message]:
        content = link_document(news.figures)
        if self.announcer.remember_link(news.identity, content):
            self.pending[node_of(news.identity)] = None
        return [self._kept(Message(self.topics.link(news.identity), encoded(content), self.qos, self._retain))]

    def _available(self, identity: Identity, word: str) -> list[Message]:
        """The device's availability, when it changes."""
        self._devices[node_of(identity)] = identity
        message = retained(self.topics.availability(identity), word)
        return [] if self.newest.get(message.topic) == message else [self._kept(message)]

    def _kept(self, message: Message) -> Message:
        self.newest[message.topic] = message
        return message

    def last_words(self) -> list[Message]:
        """All devices and the bridge go away."""
        topics = [self.topics.availability(identity) for identity in self._devices.values()]
        return [self._kept(retained(topic, OFFLINE)) for topic in [*topics, self.topics.bridge_availability]]
