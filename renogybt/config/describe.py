"""A configuration in force -> the ini file that says the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from renogybt.config.convert import text_of
from renogybt.config.options import REPEATED, SECTIONS, Option, options
from renogybt.settings import Section, Settings, shown


def as_ini(settings: Settings) -> str:
    """Secrets included: for the file itself, never for a log. Raises ValueError for a text that no ini file can hold."""
    return _written(settings, text_of)


def describe(settings: Settings) -> str:
    """Every option with the value in force; secrets, and passwords inside addresses, as ***."""
    return _written(settings, _masked)


def _masked(option: Option, value: Any) -> str:
    if option.secret:
        return "***" if value else ""
    return shown(value) if option.kind is str else text_of(option, value)


def _written(settings: Settings, text: Any) -> str:
    blocks = []
    for name, section in _sections(settings):
        lines = [f"{key} = {text(option, getattr(section, key))}".rstrip() for key, option in options(name).items()]
        blocks.append("\n".join([f"[{name}]", *lines]))
    return "\n\n".join(blocks) + "\n"


def _sections(settings: Settings) -> Iterator[tuple[str, Section]]:
    for name in SECTIONS:
        if name in REPEATED:
            yield from ((each.section, each) for each in getattr(settings, REPEATED[name]))
        else:
            yield name, getattr(settings, name)
