"""What an option is: its explanation, its limits, whether it is secret."""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated, Any, get_origin

from msgspec import Meta, Struct
from msgspec.structs import fields

SECRET = re.compile(r"(?<=key=)[^&\s]+|(?<=password=)[^&\s]+|[A-Za-z0-9+/]{43}=")
"""What is secret even in an address that is written wrongly; the last is the form of an ESPHome key."""


def about(text: str, *, secret: bool = False, ge: float | None = None, le: float | None = None, example: str = "") -> Meta:
    """The explanation of an option, and the smallest (`ge`) and largest (`le`) number it takes.

    `example` stands in the shipped config.ini where the default would not do.
    """
    return Meta(description=text, extra={"secret": secret, "ge": ge, "le": le, "example": example})


def meta(annotation: Any) -> dict[str, Any]:
    """What `about` was told about an option; empty for a field that is no option."""
    extra = annotation.__metadata__[0].extra if get_origin(annotation) is Annotated else None
    return dict(extra) if extra else {}


@cache
def secrets(kind: type[Struct]) -> frozenset[str]:
    """The names of those options of a section that must never be shown."""
    return frozenset(item.name for item in fields(kind) if meta(item.type).get("secret"))


def shown(value: str) -> str:
    """`value` fit for a log: without the user name, password, query and key that an address may carry, and printable."""
    value = "".join(char if char.isprintable() else "?" for char in value)
    scheme, mark, rest = value.partition("://")
    if mark:
        user, at, rest = rest.rpartition("@")
        host, query, _ = rest.partition("?")
        if "?" in user:  # an @ in the query
            return f"{scheme}://***"
        return SECRET.sub("***", f"{scheme}://{'***@' if at else ''}{host}{'?***' if query else ''}")
    user, _, host = value.rpartition("@")
    return SECRET.sub("***", f"***@{host}" if ":" in user else value)


class Section(Struct, frozen=True, kw_only=True):
    """A section of the file. Its text form shows no secret."""

    def __repr__(self) -> str:
        hidden = secrets(type(self))
        parts = []
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name in hidden and value:
                value = "***"
            parts.append(f"{item.name}={(shown(value) if isinstance(value, str) else value)!r}")
        return f"{type(self).__name__}({', '.join(parts)})"
