"""The ini file and the environment -> `Settings`. Nothing else in the program reads either.

`load` reads a file, `load_parser` takes what a library user has read already; both raise `ConfigError` with every problem
there is, and log what was ignored or doubtful.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from renogybt.config.assemble import assemble
from renogybt.config.describe import as_ini, describe
from renogybt.config.ini import RawSection, decode, name_of, parse, value_of
from renogybt.config.options import SECTIONS, base, options
from renogybt.config.report import Entry, Report
from renogybt.errors import ConfigError
from renogybt.settings import Settings

if TYPE_CHECKING:
    import configparser

__all__ = ["as_ini", "describe", "load", "load_parser"]

log = logging.getLogger(__name__)
NOTHING: Mapping[str, str] = MappingProxyType({})


def load(path: str | Path, environ: Mapping[str, str] = NOTHING) -> Settings:
    """The configuration in the file at `path`, with what `environ` overrides. Raises `ConfigError`."""
    path = Path(path)
    report = Report(path.name)
    try:
        text = decode(path.read_bytes(), report)
    except FileNotFoundError:
        raise ConfigError(
            [
                f"{path.absolute()}: there is no such file. Copy the config.ini that comes with this program to that place, "
                "put in the address of your Bluetooth module, and start again"
            ]
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a file name"
        raise ConfigError([f"{path}: the configuration cannot be read ({reason})"]) from None
    return _finished(assemble(parse(text, report), environ, str(path.absolute().parent), report), report)


def load_parser(
    parser: configparser.RawConfigParser, folder: str | Path = ".", environ: Mapping[str, str] = NOTHING
) -> Settings:
    """The configuration in a parser that a library user has filled. Raises `ConfigError`.

    Such a parser may hold anything of the user's own, so unknown sections and options are only warned about. Its rules for
    `%` are its own; a value that they do not fit is taken as it stands.
    """
    sections: dict[str, RawSection] = {}
    for header in parser.sections():
        section = sections.setdefault(name_of(header), RawSection(name_of(header), 0))
        for key in parser.options(header):
            if key in parser.defaults() and not _known(section.name, key):
                continue
            section.entries[key.lower()] = Entry(key.lower(), _given(parser, header, key, section.name))
    report = Report()
    return _finished(assemble(list(sections.values()), environ, str(folder), report, strict=False), report)


def _given(parser: configparser.RawConfigParser, header: str, key: str, section: str) -> str:
    from configparser import InterpolationError  # only library users come here with a parser, who have loaded it

    try:
        value = parser.get(header, key)
    except InterpolationError:
        value = parser.get(header, key, raw=True)
    value = "" if value is None else str(value)
    if _known(section, key) and options(section)[key.lower()].secret and value[:1] not in ('"', "'"):
        return value  # the parser has taken the comments off already; what looks like one now belongs to the secret
    return value_of(value)


def _known(section: str, key: str) -> bool:
    return base(section) in SECTIONS and key.lower() in options(section)


def _finished(settings: Settings, report: Report) -> Settings:
    for text in report.remarks:
        log.info("%s", text)
    for text in report.warnings:
        log.warning("%s", text)
    if report.problems:
        raise ConfigError(report.problems)
    return settings
