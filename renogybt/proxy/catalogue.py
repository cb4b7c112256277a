"""Which devices and entities there are, and how each stands. Pure: news in, changes out; no socket and no file in sight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from renogybt import devices
from renogybt.protocol.table import Row, label_of
from renogybt.proxy.entities import Button, Entity, Shown, kind_of, numbers, shown, slug, unit_of
from renogybt.reading import Identity, LinkFigures, Reading, Standing
from renogybt.sinks import release
from renogybt.sinks.discovery import entities
from renogybt.sinks.document import CONNECTION_STATUS
from renogybt.sinks.link import LINK_ROWS, link_document
from renogybt.sinks.standing import OFFLINE, ONLINE, RELEASED, status_rows

LINKS: dict[str, Row] = {row.key: row for row in LINK_ROWS}
STATUS = {"stale": OFFLINE, "blank": OFFLINE, "offline": OFFLINE, "released": RELEASED}
"""Stage -> what `connection_status` says."""
SILENT = frozenset({"blank", "offline"})
"""Stages in which the last values do not count any more."""
Place = tuple[str, str]
"""The uid of a device, and the key of one of its values."""
Change = tuple[Entity, Shown]


@dataclass(slots=True)
class Card:
    """What is known of one device. `rows` are those its table allows, `seen` the keys that ever had a value.

    `about` are the rows about its being read. They are listed from the start: a longer list costs each client a new
    connection, and a device that never answers is to be seen as well.
    """

    identity: Identity
    family: str = ""
    counts: dict[str, Any] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    rows: dict[str, Row] = field(default_factory=dict)
    about: dict[str, Row] = field(default_factory=dict)
    states: dict[str, Shown] = field(default_factory=dict)

    @property
    def present(self) -> dict[str, Row]:
        """The rows that are entities."""
        own = {key: row for key, row in self.rows.items() if key in self.seen}
        return own | {key: row for key, row in self.about.items() if key not in self.rows}


@dataclass(frozen=True, slots=True)
class Listing:
    """All entities in one version of the list; `devices` maps the id of each sub-device to its name.

    `buttons` has one for each Bluetooth module, by its number.
    """

    version: int
    entities: Mapping[Place, Entity]
    devices: Mapping[int, str]
    buttons: Mapping[int, Button]


class Catalogue:
    """`identities` are the configured devices, `subdevices` whether each is a device of its own in Home Assistant.

    `fields` and `temperature_unit` as in [data]. `memory` is what `remembered` gave in an earlier run: without it a client
    that comes before the first reading would take all entities for gone. `buttons`: whether anybody hears when one is
    pressed.
    """

    def __init__(
        self,
        identities: Iterable[Identity],
        temperature_unit: str = "C",
        fields: Sequence[str] = (),
        subdevices: bool = True,
        memory: Mapping[str, Any] | None = None,
        buttons: bool = False,
    ) -> None:
        self._unit, self._fields, self._subdevices, self._buttons = temperature_unit, fields, subdevices, buttons
        self._cards = {identity.uid: Card(identity) for identity in identities}
        self._since: dict[Place, int] = {}
        self.version = 1
        for uid, card in self._cards.items():
            self._begin(card, (memory or {}).get(uid))
        self._listing = self._made(self._subdevices)

    def take(self, reading: Reading) -> list[Change]:
        """A device was read. Returns the listed states that changed; `version` rises when there are new entities."""
        card = self._card(reading.identity)
        counts = {key: reading.values.get(key) for key in card.counts}
        if card.family != reading.family or counts != card.counts:
            self._allow(card, reading.family, reading.values)
        now = {key: shown(row, reading.values.get(key), self._unit) for key, row in card.rows.items()}
        card.seen |= {key for key, value in now.items() if value is not None}
        return self._changed(card, now | {key: ONLINE for key in card.about if key == CONNECTION_STATUS})

    def take_figures(self, identity: Identity, figures: LinkFigures) -> list[Change]:
        """How the link to a device does."""
        card = self._card(identity)
        told = link_document(figures)
        now = {key: shown(row, told.get(key), self._unit) for key, row in LINKS.items() if key not in card.rows}
        return self._changed(card, now)

    def take_standing(self, standing: Standing) -> list[Change]:
        """A device is not read. ESPHome knows no availability of an entity, so in time each of its values goes missing."""
        card = self._card(standing.identity)
        now: dict[str, Shown] = dict.fromkeys(card.rows) if standing.stage in SILENT else {}
        if CONNECTION_STATUS in card.about:
            now[CONNECTION_STATUS] = STATUS[standing.stage]
        return self._changed(card, now)

    @property
    def listing(self) -> Listing:
        if self._listing.version != self.version:
            self._listing = self._made(self._subdevices)
        return self._listing

    @property
    def flat(self) -> Listing:
        """The same for a client that knows no sub-devices. Names differ, numbers do not, so the states suit both."""
        return self._made(False)

    def states(self) -> list[Change]:
        """How every listed entity stands."""
        return [(one, self._cards[one.uid].states.get(one.row.key)) for one in self.listing.entities.values()]

    def remembered(self) -> dict[str, Any]:
        """What the next run should know, as JSON can carry it."""
        return {
            uid: {"family": card.family, "counts": card.counts, "seen": sorted(card.seen)}
            for uid, card in self._cards.items()
        }

    def _card(self, identity: Identity) -> Card:
        if identity.uid not in self._cards:
            self._cards[identity.uid] = Card(identity)
            self._begin(self._cards[identity.uid], None)
            self.version += 1
        return self._cards[identity.uid]

    def _begin(self, card: Card, memory: Any) -> None:
        """A new device. A bank has no link of its own."""
        status = {key: row for key, row in status_rows(card.identity, self._fields).items() if key == CONNECTION_STATUS}
        card.about = status | ({} if card.identity.unit is None else LINKS)
        if not isinstance(memory, Mapping):
            return
        family, counts, seen = (memory.get(key) for key in ("family", "counts", "seen"))
        if isinstance(family, str) and family and isinstance(counts, Mapping) and isinstance(seen, list):
            try:
                self._allow(card, family, {k: v for k, v in counts.items() if isinstance(v, int)})
            except KeyError:  # a table that this version does not have
                return
            card.seen |= {key for key in seen if isinstance(key, str)}

    def _allow(self, card: Card, family: str, values: Mapping[str, Any]) -> None:
        """Take the rows of a table, as far as the counts in `values` say that the device has them."""
        table = devices.family(family)
        before = set(card.present)
        card.family, card.counts = family, {row.only_if: values.get(row.only_if) for row in table.fields if row.only_if}
        card.rows = entities(table, card.counts, self._fields)
        if set(card.present) != before:
            self.version += 1

    def _changed(self, card: Card, now: Mapping[str, Shown]) -> list[Change]:
        listed, uid, present = self._listing.entities, card.identity.uid, card.present
        if any(key in present and (uid, key) not in self._since for key in now):
            self.version += 1
            self._since |= {(uid, key): self.version for key in present if (uid, key) not in self._since}
        new = {key: value for key, value in now.items() if key in card.states and card.states[key] != value}
        new |= {key: value for key, value in now.items() if key not in card.states and value is not None}
        card.states |= now
        return [(listed[uid, key], value) for key, value in new.items() if (uid, key) in listed]

    def _made(self, subdevices: bool) -> Listing:
        """The list, with names and numbers that depend on nothing but which devices and values there are."""
        present = {(uid, row.key): row for uid, card in self._cards.items() for row in card.present.values()}
        hosts = release.hosts(card.identity for card in self._cards.values()) if self._buttons else []
        keys = numbers("/".join(place) for place in [*present, *((host.uid, release.KEY) for host in hosts)])
        ids = numbers(self._cards) if subdevices else {}
        taken: set[tuple[int, int, str]] = set()
        found: dict[Place, Entity] = {}
        for place, row in present.items():
            uid, key = place
            kind, device = kind_of(row), ids.get(uid, 0)
            name = self._named(uid, label_of(row), subdevices)
            if (kind, device, slug(name)) in taken:
                name = f"{name} ({uid} {key})"
            taken.add((kind, device, slug(name)))
            since = self._since.setdefault(place, self.version)
            number = keys["/".join(place)]
            found[place] = Entity(uid, row, kind, number, device, name, slug(name), unit_of(row, self._unit), since)
        pressed = [
            Button(uid, keys[f"{uid}/{release.KEY}"], ids.get(uid, 0), self._named(uid, release.LABEL, subdevices))
            for uid in (host.uid for host in hosts)
        ]
        named = {ids[uid]: name_of(self._cards[uid].identity) for uid in ids}
        return Listing(self.version, found, named, {button.number: button for button in pressed})

    def _named(self, uid: str, label: str, subdevices: bool) -> str:
        return label if subdevices else f"{name_of(self._cards[uid].identity)} {label}"


def name_of(identity: Identity) -> str:
    """What Home Assistant calls the device."""
    name = identity.alias or identity.mac
    if identity.unit is None:
        return f"{name} combined"
    return f"{name} {identity.unit}" if identity.shared else name
