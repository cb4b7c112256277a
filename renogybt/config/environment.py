"""Options from the environment: `RENOGYBT_SECTION__KEY`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from renogybt.config.ini import RawSection
from renogybt.config.options import SECTIONS, base, options
from renogybt.config.report import Entry, Report, hint

PREFIX = "RENOGYBT_"


def variable(section: str, key: str) -> str:
    """`RENOGYBT_DEVICE_ROOF__POLL_INTERVAL` for `poll_interval` in `[device.roof]`."""
    return f"{PREFIX}{re.sub(r'[^A-Za-z0-9]', '_', section).upper()}__{key.upper()}"


def keys(section: str) -> list[str]:
    """The keys a section may hold: its options, and `<option>_file` for each secret one."""
    found = options(section).values()
    return [option.key for option in found] + [f"{option.key}_file" for option in found if option.secret]


def override(sections: dict[str, RawSection], environ: Mapping[str, str], report: Report) -> None:
    """Put what `environ` says in place of what the file says. The values are taken to the letter."""
    places = _places([*SECTIONS, *(name for name in sections if base(name) != name)])
    for name in sorted(name for name in environ if name.startswith(PREFIX)):
        found = places.get(name, [])
        if not found:
            report.problem("", f"there is no such option{hint(name, places)}", Entry(variable=name))
        elif len(found) > 1:
            both = " and ".join(f"[{section}]" for section, _ in found)
            report.problem("", f"fits {both} alike; give one of them another name", Entry(variable=name))
        else:
            section, key = found[0]
            entries = sections.setdefault(section, RawSection(section, 0)).entries
            rival = key.removesuffix("_file") if key.endswith("_file") else f"{key}_file"
            if rival in entries and not entries[rival].variable and rival in keys(section):
                del entries[rival]
            entries[key] = Entry(key, environ[name], variable=name)


def _places(sections: Iterable[str]) -> dict[str, list[tuple[str, str]]]:
    """Variable -> the options it means; more than one where section names differ in their punctuation only."""
    places: dict[str, list[tuple[str, str]]] = {}
    for section in sections:
        for key in keys(section):
            places.setdefault(variable(section, key), []).append((section, key))
    return places
