"""The text of an ini file -> its sections and options as written, each with its line, and back.

The grammar is that of Python's `ConfigParser(inline_comment_prefixes="#", interpolation=None)`, which the predecessors use,
with two differences: a value in quotes is taken to the letter, and section names are the same in any case. Written anew,
because here a fault must not hide the next one, and each one must tell its line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from renogybt.config.options import REPEATED
from renogybt.config.report import Entry, Report


@dataclass(slots=True)
class RawSection:
    """`name` in lower case except for NAME in `device.NAME` and its like; `entries` by key in lower case."""

    name: str
    line: int
    entries: dict[str, Entry] = field(default_factory=dict)


def decode(data: bytes, report: Report) -> str:
    """The text of a file that may have been written on Windows or long ago."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        report.warn("", "the file is not UTF-8 and was read as Latin-1; save it as UTF-8 if a letter comes out wrong")
        return data.decode("latin-1")


def parse(text: str, report: Report) -> list[RawSection]:
    """The sections in file order; faults go to `report`, and what is sound is still returned."""
    return _Reader(report).read(text)


def name_of(header: str) -> str:
    """A section's name as the program writes it."""
    name = header.strip()
    first, dot, rest = name.partition(".")
    if dot and first.strip().lower() in REPEATED:
        return f"{first.strip().lower()}.{rest.strip()}"
    return name.lower()


def value_of(written: str) -> str:
    """What a value means: without its comment; to the letter where it stands in quotes."""
    written = written.strip()
    if written[:1] in ('"', "'"):
        for found in re.finditer(re.escape(written[0]), written[1:]):
            rest = written[found.end() + 1 :]
            if not rest or (rest[0].isspace() and rest.lstrip().startswith("#")):
                return written[1 : found.end()]
    return uncommented(written)


def uncommented(line: str) -> str:
    """`line` up to a `#` that stands at its start or behind white space."""
    comment = re.search(r"(?:^|(?<=\s))#", line)
    return (line[: comment.start()] if comment else line).strip()


def quoted(value: str) -> str:
    """`value` as it must be written so that `value_of` gives it back. Raises ValueError where there is no such way."""
    for written in (value, f'"{value}"', f"'{value}'"):
        if value_of(written) == value and not re.search(r"[\r\n]", value):
            return written
    raise ValueError("this value cannot stand in an ini file")


class _Reader:
    """Goes through the lines once; `_entry` is the option that an indented line would continue."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._sections: dict[str, RawSection] = {}
        self._section: RawSection | None = None
        self._entry: Entry | None = None
        self._indent = 0
        self._dropping = False

    def read(self, text: str) -> list[RawSection]:
        for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
            bare = line.strip()
            if not bare or bare[0] in "#;":
                continue
            indent = len(line) - len(line.lstrip())
            if self._entry and indent > self._indent:
                self._continue(bare)
                continue
            self._indent = indent
            if bare.startswith("["):
                self._open(number, bare)
            else:
                self._assign(number, bare)
        return list(self._sections.values())

    def _open(self, number: int, bare: str) -> None:
        self._entry, self._section = None, None
        header = re.match(r"\[(.+)\]\s*(?:[#;].*)?$", bare)
        self._dropping = header is None
        if not header:
            self._report.problem(
                "", "a section begins with its name in brackets, like [mqtt], alone on its line", Entry(line=number)
            )
            return
        name = name_of(header[1])
        earlier = self._sections.get(name)
        if earlier:
            again = f"[{name}] stands a second time (first in line {earlier.line}); put everything under one of them"
            self._report.problem("", again, Entry(line=number))
            self._section = RawSection(name, number)  # its options are looked at no further
            return
        self._section = self._sections[name] = RawSection(name, number)

    def _assign(self, number: int, bare: str) -> None:
        self._entry = None
        if self._dropping:
            return
        mark = re.search(r"[=:]", bare)
        key = bare[: mark.start()].strip().lower() if mark else ""
        if not mark or not key or uncommented(key) != key:
            # What stands there is not shown: it may be half of a password.
            self._report.problem(
                "", 'a line must be "option = value", [section], or begin with # as a comment', Entry(line=number)
            )
            return
        self._entry = entry = Entry(key, value_of(bare[mark.end() :]), number)
        if self._section is None:
            self._report.problem("", "stands before the first [section]; put it under its section", entry)
        elif earlier := self._section.entries.get(key):
            name = self._section.name
            self._report.problem(name, f"stands a second time (first in line {earlier.line}); delete one of them", entry)
        else:
            self._section.entries[key] = entry

    def _continue(self, bare: str) -> None:
        assert self._entry is not None
        self._entry.value = f"{self._entry.value}\n{uncommented(bare)}".strip()
