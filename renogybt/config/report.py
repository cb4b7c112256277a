"""What is to be said about a configuration: all of it, each with its place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from renogybt.config.options import SECTIONS, base, options
from renogybt.settings import shown

LONGEST = 100
"""Characters of a name or value that a message may hold."""


@dataclass(slots=True)
class Entry:
    """An option as somebody gave it, in a line of the file or in the environment variable `variable`.

    Without a value it is just a place: an option that nobody gave, or (without a key) a line.
    """

    key: str = ""
    value: str | None = None
    line: int = 0
    variable: str = ""


class Report:
    """Collects problems (the configuration cannot be used), warnings, and remarks that need no action.

    `faulty` holds (section, key) of every option with a problem, so that nothing is concluded from its value.
    """

    def __init__(self, source: str = "") -> None:
        self._source = source
        self._problems: list[tuple[int, str]] = []
        self.warnings: list[str] = []
        self.remarks: list[str] = []
        self.faulty: set[tuple[str, str]] = set()

    @property
    def problems(self) -> list[str]:
        """In the order of the file; what has no line comes last."""
        return [text for _, text in sorted(self._problems, key=lambda item: item[0] or 10**9)]

    def problem(self, section: str, text: str, at: Entry | None = None) -> None:
        at = at or Entry()
        self.faulty.add((section, at.key))
        self._problems.append((at.line, self._placed(section, text, at)))

    def warn(self, section: str, text: str, at: Entry | None = None) -> None:
        self.warnings.append(self._placed(section, text, at or Entry()))

    def remark(self, section: str, text: str, at: Entry | None = None) -> None:
        self.remarks.append(self._placed(section, text, at or Entry()))

    def _placed(self, section: str, text: str, at: Entry) -> str:
        place = [self._source] if self._source else []
        if at.line:
            place.append(f"line {at.line}")
        if at.variable:
            place = [f"environment variable {at.variable}"]
        what = [f"[{shown(section)[:LONGEST]}]"] if section else []
        if at.key:
            what.append(shown(at.key)[:LONGEST] + ("" if at.value is None else f" = {_shown(section, at.key, at.value)}"))
        return ": ".join(part for part in (", ".join(place), " ".join(what), text) if part)


def hint(word: str, known: Iterable[str], form: str = "{}") -> str:
    """A question that names the known word nearest to `word`, or nothing; `form` is how such a word is written."""
    from difflib import get_close_matches  # rarely needed, and large for a Pi

    by_lower = {item.lower(): item for item in known}
    close = get_close_matches(word[:LONGEST].lower(), by_lower, n=1)
    return f"; did you mean {form.format(by_lower[close[0]])}?" if close else ""


def _shown(section: str, key: str, value: str) -> str:
    option = options(section).get(key) if base(section) in SECTIONS else None
    if option is None or option.secret:
        return "***"
    if len(value) > LONGEST:  # not cut short: the cut could take off the @ by which a password is known
        return f"({len(value)} characters)"
    return shown(value) or "(empty)"
