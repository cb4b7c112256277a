"""A device family as a table: one row says everything about a value, the rest is derived from the row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from renogybt.protocol.codec import Choice, Codec
from renogybt.protocol.quantity import Quantity


class When(Enum):
    """How often a window is read."""

    CYCLE = "each cycle"
    CONNECTION = "once per connection"
    HOUR = "once an hour"


@dataclass(frozen=True, slots=True)
class Field:
    """A value as the device stores it.

    `at` address as in the manual · `key` permanent name in JSON, topics and ids · `codec` · `quantity` · `byte` offset
    inside the word · `accept` plausible range, outside it the value is dropped · `only_if` the key of a count: this row
    (number `index`) exists while index < count · `was` the predecessors' spelling, published beside the key · `hidden`
    announced, but off until the user switches it on · `precision` digits shown, where the codec's own do not fit.
    """

    at: int
    key: str
    codec: Codec
    quantity: Quantity
    byte: int = 0
    label: str = ""
    accept: tuple[float, float] | None = None
    only_if: str = ""
    index: int = 0
    was: str = ""
    hidden: bool = False
    precision: int | None = None
    note: str = ""

    @property
    def options(self) -> list[str]:
        """The words an enum can read, in code order; empty for other codecs."""
        return self.codec.options if isinstance(self.codec, Choice) else []


@dataclass(frozen=True, slots=True)
class Derived:
    """A value computed from others, by name. Not computed while one of `needs` is missing.

    A need that ends in `*` stands for the tuple of all present values whose key starts so. A `compute` of None means that
    the program adds the value (energy totals). A Derived with the key of a Field corrects that field.
    """

    key: str
    needs: tuple[str, ...]
    compute: Callable[..., Any] | None
    quantity: Quantity
    label: str = ""
    hidden: bool = False
    precision: int | None = None
    note: str = ""
    only_if: str = ""
    index: int = 0
    was: str = ""
    options: list[str] = field(default_factory=list)
    accept: tuple[float, float] | None = None


Row = Field | Derived
MANY = 1 << 16
"""More rows of a kind than any table has."""
Layout = tuple[list[tuple[Field, int, int]], list[Field]]
"""The fields inside a span, each with first byte and end, and those of them that depend on a count."""


@dataclass(frozen=True, slots=True)
class Window:
    """A span the firmware is known to answer in one request; the reader never asks across an edge it does not know.

    `or_else` are spans (start, words) to ask instead, in turn, from a unit that does not answer this one. `optional`: not
    every unit has it; its absence makes no cycle partial. `timeout` seconds to wait where the family's own are not meant
    (0: they are).
    """

    name: str
    start: int
    words: int
    when: When = When.CYCLE
    or_else: tuple[tuple[int, int], ...] = ()
    optional: bool = False
    timeout: float = 0.0
    spans: tuple[tuple[int, int], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "spans", ((self.start, self.words), *self.or_else))

    def inside(self, answered: Iterable[tuple[int, int]]) -> bool:
        """Whether one of the spans (start, words) that have `answered` holds this window: then it need not be asked."""
        return any(start <= self.start and self.start + self.words <= start + words for start, words in answered)


@dataclass(frozen=True, slots=True)
class Gatt:
    """Where on the module to write and listen: service and characteristic as 16-bit numbers, 0 = not used.

    `wake`: a characteristic (in the write service) to read once after connecting, `settle` seconds after connecting.
    """

    write_service: int
    write: int
    notify_service: int
    notify: int
    wake: int = 0
    settle: float = 0.0


@dataclass(frozen=True, slots=True)
class Decoded:
    """`values` without the keys that the bytes do not cover; `dropped` keys whose value was implausible."""

    values: dict[str, Any]
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class Family:
    """A kind of device: its table and its manners.

    `client` is the predecessors' class name (published as `__client`). `units` are the bus addresses such a device has.
    `pacing` seconds between an answer and the next request, `timeout` seconds a complete answer may take. `stride` bytes
    per address step (2 for registers, 1 for byte-addressed blocks). `record_at`: every window is one record, laid out as
    the fields from this address on, wherever the window itself begins; the fields are then no values of the device but of
    a record. `block_in` finds the block among the bytes that a device sends without being asked.
    """

    key: str
    title: str
    client: str
    gatt: Gatt
    fields: tuple[Field, ...]
    windows: tuple[Window, ...]
    derived: tuple[Derived, ...] = ()
    units: tuple[int, ...] = ()
    pacing: float = 0.0
    timeout: float = 2.0
    stride: int = 2
    record_at: int | None = None
    block_in: Callable[[bytes], bytes | None] | None = None
    counts: frozenset[str] = field(init=False, repr=False, compare=False)
    """Keys of the counts that other rows depend on."""

    def __post_init__(self) -> None:
        for problem in problems(self):
            raise ValueError(f"table {self.key}: {problem}")
        # What each reading needs is worked out once: a battery's table is looked through several times a second.
        object.__setattr__(self, "_layouts", {})
        object.__setattr__(self, "_series", dict(self._numbered()))
        spans = [span for window in self.windows for span in window.spans]
        covered = {item.key for span in spans for item, _ in self._inside(*span)}
        object.__setattr__(self, "_rows", tuple(self._published(covered)))
        object.__setattr__(self, "_respelt", tuple((row.was, row.key) for row in self.rows() if row.was))
        object.__setattr__(self, "counts", frozenset(item.only_if for item in self.fields if item.only_if))

    def row(self, key: str) -> Row | None:
        return next((row for row in self.rows() if row.key == key), None)

    def rows(self, counts: Mapping[str, Any] | None = None) -> Iterator[Row]:
        """The rows in table order, Derived last; with `counts`, without the numbered ones beyond their count.

        A field that no window covers is left out: this variant has no such value.
        """
        rows: tuple[Row, ...] = self.__dict__["_rows"]
        return (row for row in rows if _counted(row, counts))

    def keys(self, counts: Mapping[str, Any] | None = None) -> list[str]:
        """Every key such a device publishes, the predecessors' spellings included."""
        found: list[str] = []
        for row in self.rows(counts):
            found += [row.key, row.was] if row.was else [row.key]
        return found

    def decode(self, start: int, payload: bytes) -> Decoded:
        """The values inside `payload`, which begins at address `start`. Rows it does not cover wholly are left out.

        None (the device says "no such value") is kept as None; a value outside its plausible range is dropped.
        """
        values: dict[str, Any] = {}
        dropped: list[str] = []
        placed, counted = self._layout(start, len(payload) // self.stride)
        for item, offset, stop in placed:
            if item.only_if and item.index >= values.get(item.only_if, MANY):
                continue  # half of a battery's rows
            value = item.codec.decode(payload[offset:stop])
            if item.accept is not None and not plausible(item, value):
                dropped.append(item.key)
                continue
            values[item.key] = value
        for item in counted:
            # A count that cannot be believed leaves open which of its rows exist.
            beyond = item.only_if in values and item.index >= values[item.only_if]
            if beyond or item.only_if in dropped:
                values.pop(item.key, None)
                if item.key in dropped:
                    dropped.remove(item.key)
        return Decoded(values, tuple(dropped))

    def derive(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """`values` with what follows from them: corrections, derived values, the predecessors' spellings.

        A result outside its plausible range is left out, and so is the value it was to correct.
        """
        known, series = dict(values), self.__dict__["_series"]
        for extra in self.derived:
            if extra.compute is None or not _counted(extra, known):
                continue
            given = [_present(known, series[need]) if need in series else known.get(need) for need in extra.needs]
            if None in given or () in given:
                continue
            value = extra.compute(*given)
            if plausible(extra, value):
                known[extra.key] = value
            else:
                known.pop(extra.key, None)
        respelt: tuple[tuple[str, str], ...] = self.__dict__["_respelt"]
        return known | {was: known[key] for was, key in respelt if key in known}

    def complete(self, values: Mapping[str, Any], counts: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Every key of this device in table order, None where `values` has nothing."""
        found: dict[str, Any] = {}
        for row in self.__dict__["_rows"]:
            if row.only_if and not _counted(row, counts):
                continue
            found[row.key] = values.get(row.key)
            if row.was:
                found[row.was] = values.get(row.was)
        return found

    def encode(self, start: int, words: int, values: Mapping[str, Any]) -> bytes:
        """The bytes a device holding `values` answers for `words` from `start`; what `values` lacks is 0 or "absent"."""
        data = bytearray(words * self.stride)
        for item, offset, stop in self._layout(start, words)[0]:
            value = values.get(item.key)
            if value is None and getattr(item.codec, "absent", None) is None:
                continue
            data[offset:stop] = item.codec.encode(value, bytes(data[offset:stop]))
        return bytes(data)

    def _published(self, covered: Iterable[str]) -> Iterator[Row]:
        keys: set[str] = set()
        for item in self.fields if self.record_at is None else ():
            if item.key in covered:
                keys.add(item.key)
                yield item
        for extra in self.derived:
            if extra.key not in keys and self._reachable(extra, covered):
                keys.add(extra.key)
                yield extra

    def _reachable(self, extra: Derived, covered: Iterable[str]) -> bool:
        others = {item.key for item in self.derived}
        return all(
            need in covered or need in others or (need.endswith("*") and any(k.startswith(need[:-1]) for k in covered))
            for need in extra.needs
        )

    def _numbered(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Each need that ends in `*`, and the keys it stands for: its first letters and a number."""
        keys = list(dict.fromkeys([*(item.key for item in self.fields), *(extra.key for extra in self.derived)]))
        for need in {need for extra in self.derived for need in extra.needs if need.endswith("*")}:
            head = need[:-1]
            yield need, tuple(key for key in keys if key.startswith(head) and key[len(head) :].isdigit())

    def _inside(self, start: int, words: int) -> list[tuple[Field, int]]:
        """The fields wholly inside a span, each with its byte offset there."""
        if self.record_at is not None:
            start = self.record_at
        size = words * self.stride
        placed = [(item, (item.at - start) * self.stride + item.byte) for item in self.fields]
        return [(item, at) for item, at in placed if at >= 0 and at + item.codec.size <= size]

    def _layout(self, start: int, words: int) -> Layout:
        """What `decode` does with a span, worked out when it comes for the first time."""
        layouts: dict[tuple[int, int], Layout] = self.__dict__["_layouts"]
        found = layouts.get((start, words))
        if found is None:
            inside = self._inside(start, words)
            placed = [(item, at, at + item.codec.size) for item, at in inside]
            found = layouts[start, words] = placed, [item for item, _ in inside if item.only_if]
        return found


def plausible(row: Row, value: Any) -> bool:
    """Whether `value` may be published; words and lists always may."""
    if row.accept is None or isinstance(value, bool) or not isinstance(value, int | float):
        return True
    return row.accept[0] <= value <= row.accept[1]


def numbered(
    count: int, at: int, key: str, codec: Codec, quantity: Quantity, label: str = "", **more: Any
) -> tuple[Field, ...]:
    """Rows `key_0`, `key_1`, … at consecutive words. `label` may hold `{}` for the number counted from 1."""
    step = codec.size // 2
    return tuple(
        Field(at + n * step, f"{key}_{n}", codec, quantity, index=n, label=label.format(n + 1), **more) for n in range(count)
    )


def moved(fields: Iterable[Field], by: int) -> tuple[Field, ...]:
    """The same rows at addresses higher by `by`."""
    return tuple(replace(item, at=item.at + by) for item in fields)


def changed(fields: Iterable[Field], key: str, **changes: Any) -> tuple[Field, ...]:
    """The same rows, that of `key` with some columns changed. Raises `KeyError` when there is none."""
    rows = tuple(replace(item, **changes) if item.key == key else item for item in fields)
    if not any(item.key == key for item in rows):
        raise KeyError(key)
    return rows


def hidden(*fields: Field) -> tuple[Field, ...]:
    """These rows, announced but off until the user switches them on."""
    return tuple(replace(item, hidden=True) for item in fields)


ABBREVIATIONS = {short.lower(): short for short in ("AC", "Ah", "DC", "ID", "LED", "PV", "SOC")}


def label_of(row: Row) -> str:
    """The name a person reads: the row's own, or its key in words."""
    if row.label:
        return row.label
    first, *others = (ABBREVIATIONS.get(word, word) for word in row.key.split("_"))
    return " ".join((first[0].upper() + first[1:], *others))


def precision_of(row: Row) -> int | None:
    """Digits after the point worth showing: the row's own, its kind's, or its codec's."""
    if row.precision is not None:
        return row.precision
    if row.quantity.precision is not None:
        return row.quantity.precision
    return row.codec.decimals if isinstance(row, Field) else None


def problems(family: Family) -> Iterator[str]:
    """What is wrong with a table: keys twice, rows sharing bytes they should not, needs that nothing provides."""
    seen: dict[str, Field] = {}
    for item in family.fields:
        if item.key in seen:
            yield f"key {item.key} stands twice"
        seen[item.key] = item
        if item.only_if and item.only_if not in {other.key for other in family.fields}:
            yield f"{item.key} depends on {item.only_if}, which is no row"
        bit = getattr(item.codec, "bit", 0)
        if bit >= 8 * item.codec.size:
            yield f"{item.key} looks at bit {bit} of {item.codec.size} bytes"
        if any(bit >= 8 * item.codec.size for bit in getattr(item.codec, "names", ()) if hasattr(item.codec, "others")):
            yield f"{item.key} names a bit beyond its {item.codec.size} bytes"
    yield from _overlaps(family)
    names = set(seen) | {extra.key for extra in family.derived}
    for extra in family.derived:
        for need in extra.needs:
            if need not in names and not (need.endswith("*") and any(name.startswith(need[:-1]) for name in names)):
                yield f"{extra.key} needs {need}, which is no row"


def _overlaps(family: Family) -> Iterator[str]:
    """Rows may look at the same bytes only from the same start and in different ways (a raw word and its bits)."""
    placed = sorted((item.at * family.stride + item.byte, item.codec.size, item.key, item) for item in family.fields)
    for number, (start, size, key, item) in enumerate(placed):
        for other_start, _, other_key, other in placed[number + 1 :]:
            if other_start >= start + size:
                break
            if other_start > start or other.codec == item.codec:
                yield f"{other_key} looks at the bytes of {key}"


def _counted(row: Row, counts: Mapping[str, Any] | None) -> bool:
    if counts is None or not row.only_if:
        return True
    count = counts.get(row.only_if)
    return count is not None and row.index < count


def _present(known: Mapping[str, Any], keys: Iterable[str]) -> tuple[Any, ...]:
    return tuple([value for key in keys if (value := known.get(key)) is not None])
