"""Writing a file and reading it, as every test here does."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from renogybt.config import load
from renogybt.config.options import REPEATED, base
from renogybt.errors import ConfigError
from renogybt.settings import Settings

DEVICE = "[device]\nmac_addr = 80:6F:B0:0F:EA:2B\n"
LOG = "renogybt.config"


def part(settings: Settings, section: str) -> Any:
    """The section of that name in `settings`."""
    if base(section) not in REPEATED:
        return getattr(settings, section)
    (only,) = [one for one in getattr(settings, REPEATED[base(section)]) if one.section == section]
    return only


class Folder:
    """A folder with a config.ini in it."""

    def __init__(self, path: Path, caplog: pytest.LogCaptureFixture) -> None:
        self.path = path
        self._caplog = caplog
        caplog.set_level(logging.INFO, LOG)

    def load(self, text: str | bytes, environ: Mapping[str, str] | None = None) -> Settings:
        file = self.path / "config.ini"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        self._caplog.clear()
        return load(file, environ or {})

    def problems(self, text: str | bytes, environ: Mapping[str, str] | None = None) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            self.load(text, environ)
        assert "\n".join(caught.value.problems) == str(caught.value)
        return caught.value.problems

    def problem(self, text: str | bytes, environ: Mapping[str, str] | None = None) -> str:
        """The one problem there is."""
        (only,) = self.problems(text, environ)
        return only

    @property
    def warnings(self) -> list[str]:
        return self._said(logging.WARNING)

    @property
    def remarks(self) -> list[str]:
        return self._said(logging.INFO)

    def _said(self, level: int) -> list[str]:
        return [record.getMessage() for record in self._caplog.records if record.levelno == level and record.name == LOG]
