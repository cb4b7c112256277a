"""A table as a page for people: what stands in the rows, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from renogybt.protocol.codec import (
    Bit,
    Choice,
    Codec,
    Flags,
    MaybeSwapped,
    NotZero,
    Number,
    Pairs,
    Part,
    SignMagnitude,
    Split,
    Text,
    Version,
)
from renogybt.protocol.table import Derived, Family, Field, Row, Window, label_of


def register_table(family: Family, base: Family | None = None) -> str:
    """The page of a family: how it is reached, what is read when, and its rows.

    With `base`, the family that this one is a variant of, only the rows that differ.
    """
    parts = [f"# {family.title}", *_manners(family)]
    if family.windows:
        parts += ["## What is read", _grid(("Block", "From", "Words", "When", "Otherwise", ""), _window_lines(family))]
    fields = [item for item in family.fields if base is None or item not in base.fields]
    fields.sort(key=lambda item: (item.at, item.byte))
    if base is not None:
        like = f"The registers are those of [{base.title}]({base.key}.md)"
        parts.append(f"{like}, except for these." if fields else f"{like}.")
        if lacking := ", ".join(f"`{row.key}`" for row in base.rows() if family.row(row.key) is None):
            parts.append(f"It does not have {lacking}.")
    if fields:
        parts += ["## Registers", _grid(FIELD_HEAD, (_field_line(family, item) for item in fields))]
    derived = [row for row in family.derived if base is None or row not in base.derived]
    if derived:
        parts += ["## Computed", _grid(("Key", "Name", "Unit", "Range", "From", "Note"), map(_derived_line, derived))]
    return "\n\n".join(parts) + "\n"


FIELD_HEAD = ("Dec", "Hex", "Key", "Name", "Stored as", "Unit", "Range", "Note")


def _manners(family: Family) -> Iterator[str]:
    gatt = family.gatt
    ways = [f"Table `{family.key}`, published as `{family.client}`."]
    if not family.windows:
        yield f"{ways[0]} Nothing is read: the program adds every value."
        return
    if family.units:
        ways.append(f"Bus addresses: {', '.join(map(str, family.units))}.")
    if gatt.write:
        ways.append(f"Requests to `{gatt.write_service:04x}`/`{gatt.write:04x}`,")
        ways.append(f"answers from `{gatt.notify_service:04x}`/`{gatt.notify:04x}`.")
    else:
        ways.append(f"Only listened to: `{gatt.notify_service:04x}`/`{gatt.notify:04x}`.")
    if gatt.wake:
        ways.append(f"`{gatt.wake:04x}` is read once, {gatt.settle:g} s after connecting.")
    if family.pacing:
        ways.append(f"{family.pacing:g} s between an answer and the next request.")
    ways.append(f"An answer may take {family.timeout:g} s.")
    yield " ".join(ways)
    if family.stride == 1:
        yield "Addresses are bytes from the start of the block."
    if family.record_at is not None:
        yield f"Every block is one record with the layout below, wherever it begins; registers as for {family.record_at}."


def _window_lines(family: Family) -> Iterator[tuple[str, ...]]:
    for window in family.windows:
        instead = ", ".join(f"{start} × {words}" for start, words in window.or_else)
        yield window.name, str(window.start), str(window.words), window.when.value, instead, _extra(family, window)


def _extra(family: Family, window: Window) -> str:
    extra = ["not every unit has it"] if window.optional else []
    if window.timeout:
        extra.append(f"waited for {window.timeout:g} s")
    if any(window is not other and window.inside([other.spans[0]]) for other in family.windows):
        extra.append("only when a larger block did not bring it")
    return "; ".join(extra)


def _field_line(family: Family, item: Field) -> tuple[str, ...]:
    where = f"{item.at}"
    if family.stride == 2 and item.codec.size % 2:
        where += " low" if item.byte else " high"
    keys = f"`{item.key}`" + (f", `{item.was}`" if item.was else "")
    note = [item.note] if item.note else []
    if item.only_if:
        note.append(f"exists while `{item.only_if}` > {item.index}")
    if item.hidden:
        note.append("off until switched on")
    hexa = f"0x{item.at:04X}"
    return where, hexa, keys, label_of(item), codec_text(item.codec), item.quantity.unit, _range(item), "; ".join(note)


def _derived_line(row: Derived) -> tuple[str, ...]:
    source = ", ".join(f"`{need}`" for need in row.needs) or "the program"
    note = "; ".join(part for part in (row.note, "off until switched on" if row.hidden else "") if part)
    return f"`{row.key}`", label_of(row), row.quantity.unit, _range(row), source, note


def _range(row: Row) -> str:
    return "" if row.accept is None else f"{row.accept[0]:g} to {row.accept[1]:g}"


def codec_text(codec: Codec) -> str:
    """How a value is stored, in words."""
    match codec:
        case Number():
            return _number(codec)
        case SignMagnitude():
            return "byte, top bit is the minus sign"
        case Choice():
            bits = _bits(codec.shift, codec.mask, codec.size) if codec.shift else f"u{8 * codec.size}"
            return f"{bits}: " + _names(codec.names) + _absent(codec.absent)
        case Part():
            return f"bits {codec.shift} to {codec.shift + codec.mask.bit_length() - 1}"
        case Bit():
            return f"bit {codec.bit}"
        case NotZero():
            return "true unless 0" + _absent(codec.absent)
        case Flags():
            return "bits: " + _names(codec.names)
        case Pairs():
            return f"{4 * codec.size} codes of 2 bits, the first in the lowest"
        case Text():
            return f"text, {codec.size} characters"
        case Version():
            return "4 bytes: unused, major, minor, patch"
        case Split():
            return f"u16 / {codec.below}; from {codec.limit} on u16 / {codec.above}"
        case MaybeSwapped():
            return "u16; bytes swapped when the low one is 0"
        case _:
            raise TypeError(f"no words for {codec!r}")


def _number(codec: Number) -> str:
    scale = f" / {codec.per}" if codec.per > 1 else ""
    return f"{'s' if codec.signed else 'u'}{8 * codec.size}{scale}{_absent(codec.absent)}"


def _absent(raw: int | None) -> str:
    return "" if raw is None else f"; 0x{raw:04X} = none"


def _bits(shift: int, mask: int, size: int) -> str:
    width = min(mask.bit_length(), 8 * size - shift)
    return f"bit {shift}" if width == 1 else f"bits {shift} to {shift + width - 1}"


def _names(names: Mapping[int, str]) -> str:
    return ", ".join(f"{code} `{name}`" for code, name in names.items())


def _grid(head: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    rows = [head, tuple("---" for _ in head), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
