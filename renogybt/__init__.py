"""Renogy solar equipment over Bluetooth LE to MQTT, Home Assistant and the rest.

Library users: `from renogybt import RoverClient, DataLogger, Utils`. Names are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import Any

from renogybt.version import __version__

_HOMES = {
    "RoverClient": "clients",
    "RoverHistoryClient": "clients",
    "BatteryClient": "clients",
    "InverterClient": "clients",
    "HFInverterClient": "clients",
    "DCChargerClient": "clients",
    "ShuntClient": "clients",
    "DataLogger": "data_logger",
}
__all__ = ["Utils", "__version__", *_HOMES]  # noqa: PLE0604  (all of them are names)


def __getattr__(name: str) -> Any:
    if name == "Utils":
        return importlib.import_module("renogybt.utils")
    if name in _HOMES:
        return getattr(importlib.import_module(f"renogybt.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'renogybt' has no attribute {name!r}")
