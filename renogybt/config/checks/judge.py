"""What every check needs: the settings, and a way to say what is wrong at which place."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from renogybt.config.report import Entry, Report
from renogybt.settings import Settings


class Judge:
    """One configuration under judgement. An option already found faulty is not judged again."""

    def __init__(self, settings: Settings, entries: Mapping[tuple[str, str], Entry], report: Report) -> None:
        self.settings = settings
        self._entries = entries
        self._report = report

    def fault(self, section: str, key: str, text: str) -> None:
        if self.sound(section, key):
            self._report.problem(section, text, self._entry(section, key))

    def warn(self, section: str, key: str, text: str) -> None:
        if self.sound(section, key):
            self._report.warn(section, text, self._entry(section, key))

    def missing(self, section: str, text: str) -> None:
        """The whole section is missing."""
        self._report.problem(section, text)

    def sound(self, section: str, *keys: str) -> bool:
        """Whether nothing is wrong with these options so far."""
        return not any((section, key) in self._report.faulty for key in keys)

    def required(self, section: str, key: str, value: str, why: str) -> bool:
        if not value:
            self.fault(section, key, f"is needed when {why}")
        return bool(value)

    def web_address(self, section: str, key: str, url: str, why: str, example: str) -> bool:
        """Whether there is an address, and it is one of the web."""
        if not self.required(section, key, url, why):
            return False
        if not _is_web_address(url):
            self.fault(section, key, f"must be a web address like {example}")
        return self.sound(section, key)

    def readable(self, section: str, key: str, name: str) -> None:
        """The file `name` must be there. A relative name starts at the folder of the configuration."""
        path = self.settings.path(name)
        try:
            with open(path, "rb") as file:
                file.read(1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a file name"
            self.fault(section, key, f"the file {path} cannot be read ({reason})")

    def authority(self, section: str, url: str, name: str) -> None:
        """`ca` = `name` goes with `url`."""
        if name and url.lower().startswith("http:"):
            self.warn(section, "ca", "is not used, because url begins with http: the connection is not encrypted")
        elif name:
            self.readable(section, "ca", name)

    def _entry(self, section: str, key: str) -> Entry:
        return self._entries.get((section, key)) or Entry(key)


def is_ip(text: str) -> bool:
    for kind in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(kind, text.partition("%")[0])
        except (OSError, ValueError):
            continue
        return True
    return False


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return sound and not re.search(r"\s", url)
