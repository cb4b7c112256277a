"""The options of every section, read off the structures of `settings`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_args, get_origin

from msgspec.structs import fields

from renogybt.settings import Section, Settings, meta


@dataclass(frozen=True, slots=True)
class Option:
    """One line of the file. `kind` is bool, int, float, str, Literal or tuple; `item` the kind of a tuple's members."""

    key: str
    kind: Any
    item: Any
    choices: tuple[str, ...]
    default: Any
    text: str
    secret: bool
    least: float | None
    most: float | None
    example: str

    @property
    def allowed(self) -> str:
        """What may stand there, as the end of a sentence that begins "must be"."""
        if self.kind is bool:
            return "true or false"
        if self.kind is Literal:
            return f"one of {', '.join(self.choices)}"
        if self.kind is int:
            return f"a whole number from {self.least:g} to {self.most:g}"
        if self.kind is float:
            return f"a number from {self.least:g} to {self.most:g}"
        if self.item is int:
            return f"one or more whole numbers from {self.least:g} to {self.most:g}, separated by commas"
        return "names separated by commas" if self.kind is tuple else "text"


def _sections() -> Iterator[tuple[str, str, type[Section], bool]]:
    """(section, field of `Settings`, structure, whether it may be repeated). A repeated one knows its own section."""
    for item in fields(Settings):
        several = get_origin(item.type) is tuple
        kind = get_args(item.type)[0] if several else item.type
        if isinstance(kind, type) and issubclass(kind, Section):
            yield getattr(kind(), "section", item.name), item.name, kind, several


SECTIONS: MappingProxyType[str, type[Section]] = MappingProxyType({name: kind for name, _, kind, _ in _sections()})
"""Section name -> structure. Every `[device.NAME]` has that of `device`, and so on."""

REPEATED: MappingProxyType[str, str] = MappingProxyType({name: home for name, home, _, several in _sections() if several})
"""Sections that may stand again as `[section.NAME]` -> the field of `Settings` that holds them all."""


@cache
def options(section: str) -> MappingProxyType[str, Option]:
    """The options of a section by key, in the order of the file."""
    found = {item.name: _option(item.name, item.type, item.default) for item in fields(SECTIONS[base(section)])}
    return MappingProxyType({key: option for key, option in found.items() if option})


def base(section: str) -> str:
    """`device` for `device.NAME`, `pvoutput` for `pvoutput.NAME`, else the section itself."""
    first, dot, _ = section.partition(".")
    return first if dot and first in REPEATED else section


def _option(key: str, annotation: Any, default: Any) -> Option | None:
    if get_origin(annotation) is not Annotated:
        return None
    kind, about = get_args(annotation)
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    facts = meta(annotation)
    return Option(
        key,
        origin,
        arguments[0] if origin is tuple else None,
        arguments if origin is Literal else (),
        default,
        about.description,
        facts["secret"],
        facts["ge"],
        facts["le"],
        facts["example"],
    )
