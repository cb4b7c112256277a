"""Sections as written -> `Settings`. Whatever is wrong goes to the report, and the rest is still looked at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from renogybt.config.checks import check
from renogybt.config.convert import Unfit, convert, text_of
from renogybt.config.device import device
from renogybt.config.environment import keys, override
from renogybt.config.ini import RawSection
from renogybt.config.options import REPEATED, SECTIONS, Option, base, options
from renogybt.config.predecessors import IGNORED, MOVED, OPEN_SECTIONS, ZERO_IS_DEFAULT
from renogybt.config.report import Entry, Report, hint
from renogybt.settings import Pvoutput, Settings

FURTHER = MappingProxyType({"device": "devices", "pvoutput": "systems at PVOutput"})
"""What the further sections of a kind are, in words."""

SECRET_LIMIT = 65536
"""Bytes of a file with a secret. More is no secret but a wrong path."""


def assemble(
    found: list[RawSection], environ: Mapping[str, str], folder: str, report: Report, strict: bool = True
) -> Settings:
    """`strict`: an unknown name is a problem; otherwise a warning. Usable only while the report has no problems."""
    sections = {section.name: section for section in found}
    override(sections, environ, report)
    _move(sections, report)
    known: dict[str, dict[str, Any]] = {}
    for section in sections.values():
        if _known_section(section, strict, report):
            _point_out_unknown(section, strict, report)
            known[section.name] = _values(section, folder, report)
    devices = tuple(
        device(name, values, sections[name].entries, report) for name, values in known.items() if base(name) == "device"
    )
    systems = tuple(Pvoutput(section=name, **values) for name, values in known.items() if base(name) == "pvoutput")
    others = {name: SECTIONS[name](**values) for name, values in known.items() if base(name) not in REPEATED}
    settings = Settings(devices=devices, pvoutput=systems, folder=folder, **others)  # type: ignore[arg-type]
    entries = {(name, key): entry for name in known for key, entry in sections[name].entries.items()}
    check(settings, entries, report)
    return settings


def _move(sections: dict[str, RawSection], report: Report) -> None:
    """Put options into the section they belong to, where they stand in one that people take for it."""
    for section in list(sections.values()):
        for key in list(section.entries):
            home = MOVED.get(base(section.name))
            if home is None or key not in options(home) or key in options(section.name):
                continue
            entry = section.entries.pop(key)
            there = sections.setdefault(home, RawSection(home, entry.line))
            if key in there.entries:
                report.warn(section.name, f"ignored: {key} stands in [{home}] already, and holds for all devices", entry)
            else:
                there.entries[key] = entry


def _known_section(section: RawSection, strict: bool, report: Report) -> bool:
    if base(section.name) in SECTIONS and section.name != f"{base(section.name)}.":
        return True
    at, meant = Entry(line=section.line), hint(section.name, SECTIONS, "[{}]")
    for name, what in FURTHER.items():
        if section.name.startswith(name):
            meant = f": further {what} are written [{name}.NAME], like [{name}.roof]"
    if strict and meant:
        report.problem(section.name, f"there is no such section{meant}", at)
    else:
        report.warn(section.name, f"there is no such section; ignored. Known are {', '.join(SECTIONS)}", at)
    return False


def _point_out_unknown(section: RawSection, strict: bool, report: Report) -> None:
    here = keys(section.name)
    for key, entry in section.entries.items():
        place = (base(section.name), key)
        if key in here:
            continue
        if place in IGNORED:
            report.remark(section.name, f"not needed and ignored: {IGNORED[place]}", Entry(key, line=entry.line))
            continue
        meant = hint(key, here)
        elsewhere = [f"[{name}]" for name in SECTIONS if key in options(name)]
        if elsewhere and not meant:
            meant = f"; it belongs in {' or '.join(elsewhere)}"
        if strict and (meant or place[0] not in OPEN_SECTIONS):
            report.problem(section.name, f"there is no such option{meant or '. Known are ' + ', '.join(here)}", entry)
        else:
            report.warn(section.name, f"there is no such option; ignored{meant}", entry)


def _values(section: RawSection, folder: str, report: Report) -> dict[str, Any]:
    """The typed values of the options that are given and sound."""
    values: dict[str, Any] = {}
    for key, option in options(section.name).items():
        entry = section.entries.get(key)
        if option.secret:
            entry = _from_file(section, option, folder, report) or entry
        if entry is None or entry.value is None:
            continue
        if _means_default(section, option, entry, report):
            continue
        if "%%" in entry.value and entry.line:
            report.warn(section.name, "%% is two percent signs here; Python's own ini reader made one of them", entry)
        try:
            values[key] = convert(option, entry.value)
        except Unfit as unfit:
            report.problem(section.name, str(unfit), entry)
    return values


def _means_default(section: RawSection, option: Option, entry: Entry, report: Report) -> bool:
    text = (entry.value or "").strip()
    textual = option.kind is str or option.item is str
    zero = (base(section.name), option.key) in ZERO_IS_DEFAULT and re.fullmatch(r"0+\.?0*", text)
    if not zero and (text or textual):
        return False
    report.warn(section.name, f"the usual value {text_of(option, option.default)} is taken instead", entry)
    return True


def _from_file(section: RawSection, option: Option, folder: str, report: Report) -> Entry | None:
    """The secret that `<option>_file` leads to, or None where no such file is named."""
    entry, rival = section.entries.get(f"{option.key}_file"), section.entries.get(option.key)
    if entry is None or not entry.value:
        return None
    if rival and rival.value:
        report.problem(section.name, f"{option.key} is given as well; delete one of them", entry)
        return None
    secret, fault = _secret(Settings(folder=folder).path(entry.value))
    if fault:
        # The path is not shown: somebody may have put the secret itself here.
        start = Path(folder).absolute()
        report.problem(
            section.name, f"{fault}; it must name a file with the secret in it (relative names start at {start})", entry
        )
        report.faulty.add((section.name, option.key))
        return None
    return Entry(option.key, secret, entry.line, entry.variable)


def _secret(path: Path) -> tuple[str, str]:
    """What the file says without the newline at its end, and what is wrong with the file."""
    try:
        if path.exists() and not path.is_file():
            return "", "this is not a file"
        if path.stat().st_size > SECRET_LIMIT:
            return "", "the file is too large for a secret"
        return path.read_bytes().decode("utf-8-sig").rstrip("\r\n"), ""
    except UnicodeDecodeError:
        return "", "the file is not text in UTF-8"
    except (OSError, ValueError) as error:
        return "", f"the file cannot be read ({getattr(error, 'strerror', None) or 'not a file name'})"
