"""What the node must know after a restart: its address, and which entities it had."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from renogybt.energy import file

log = logging.getLogger(__name__)
MAC, DEVICES = "mac", "devices"


class Memory:
    """A small file. `mac` and `devices` are what it held at the start; empty when there was none, or none of use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = ""
        self._failing = False
        known = self._read()
        self.mac = known.get(MAC)
        devices = known.get(DEVICES)
        self.devices: Mapping[str, Any] = devices if isinstance(devices, dict) else {}

    def write(self, mac: str, devices: Mapping[str, Any]) -> None:
        """Keep this for the next start; does nothing when it is in the file already. May take a while."""
        text = json.dumps({MAC: mac, DEVICES: devices}, indent=1)
        if text == self._written:
            return
        try:
            file.write(self._path, text)
        except OSError as error:
            if not self._failing:
                log.warning(
                    "%s cannot be written (%s): after a restart Home Assistant may lose entities for a while; "
                    "mend it, or name another state_file in [home_assistant_proxy]",
                    self._path,
                    error.strerror,
                )
            self._failing = True
            return
        self._written, self._failing = text, False

    def _read(self) -> dict[str, Any]:
        for path in (self._path, file.backup_of(self._path)):
            try:
                text = path.read_text("utf-8")
                known = json.loads(text)
            except FileNotFoundError:
                continue
            except (OSError, ValueError, RecursionError) as error:
                log.warning("%s cannot be read (%s) and is made anew", path, error)
                continue
            if isinstance(known, dict):
                self._written = text if path == self._path else ""
                return known
        return {}
