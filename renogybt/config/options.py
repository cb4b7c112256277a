"""The options of every section, read off the structures of `settings`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_args, get_origin

from msgspec.structs import fields

from renogybt.settings import Device, Section, Settings, meta


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


SECTIONS: MappingProxyType[str, type[Section]] = MappingProxyType(
    {"device": Device}
    | {item.name: item.type for item in fields(Settings) if isinstance(item.type, type) and issubclass(item.type, Section)}
)
"""Section name -> structure. Every `[device.NAME]` has that of `device`."""


@cache
def options(section: str) -> MappingProxyType[str, Option]:
    """The options of a section by key, in the order of the file."""
    found = {item.name: _option(item.name, item.type, item.default) for item in fields(SECTIONS[base(section)])}
    return MappingProxyType({key: option for key, option in found.items() if option})


def base(section: str) -> str:
    """`device` for `device.NAME`, else the section itself."""
    return "device" if section.startswith("device.") else section


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
