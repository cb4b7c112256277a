"""A configuration in force -> the ini file that says the same."""

from __future__ import annotations

from typing import Any

from renogybt.config.convert import text_of
from renogybt.config.options import SECTIONS, Option, options
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
    parts: list[tuple[str, Section]] = [(device.section, device) for device in settings.devices]
    parts += [(name, getattr(settings, name)) for name in SECTIONS if name != "device"]
    blocks = []
    for name, section in parts:
        lines = [f"{key} = {text(option, getattr(section, key))}".rstrip() for key, option in options(name).items()]
        blocks.append("\n".join([f"[{name}]", *lines]))
    return "\n\n".join(blocks) + "\n"
