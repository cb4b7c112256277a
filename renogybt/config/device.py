"""One `[device]` or `[device.NAME]` section -> `Device`: its address, and what to call it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from renogybt.config.report import Entry, Report
from renogybt.settings import Device

ADDRESS = re.compile(r"[0-9A-F]{2}([:-][0-9A-F]{2}){5}")
UUID = re.compile(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}")
"""What macOS gives a Bluetooth device instead of its address."""
PLACEHOLDER_ADDRESS = re.compile(r"(?=.*X)[0-9A-FX]{2}([:-][0-9A-FX]{2}){5}")
PLACEHOLDER_ALIAS = re.compile(r".*X{4,}", re.IGNORECASE)
FIND_IT = (
    'put in the address of your Bluetooth module. "bluetoothctl scan le" lists what is in reach; '
    "the module's name begins with BT-TH-, RNG or RTM"
)


def device(section: str, values: Mapping[str, Any], entries: Mapping[str, Entry], report: Report) -> Device:
    values = {**values, "mac_addr": str(values.get("mac_addr", "")).strip().upper()}
    address, alias = values["mac_addr"], values.get("alias", "")
    unfinished = bool(PLACEHOLDER_ADDRESS.fullmatch(address))
    if unfinished:
        values["mac_addr"] = ""
    elif ADDRESS.fullmatch(address):
        values["mac_addr"] = address.replace("-", ":")
    elif address and not UUID.fullmatch(address):
        report.problem(section, "must be a Bluetooth address like 80:6F:B0:0F:12:34", entries["mac_addr"])
    if PLACEHOLDER_ALIAS.fullmatch(alias):
        alias = ""
    _identified(section, values["mac_addr"], alias, unfinished, entries, report)
    return Device(section=section, **{**values, "alias": alias or default_alias(section, values["mac_addr"])})


def default_alias(section: str, address: str) -> str:
    """NAME of `[device.NAME]`, else what the module calls itself: BT-TH- and the end of its address."""
    name = section.partition(".")[2]
    return name or (f"BT-TH-{address.replace(':', '').replace('-', '')[-8:]}" if address else "")


def labels(device: Device) -> Iterator[str]:
    """The names of its topics, below the one in [mqtt]."""
    for unit in device.device_id:
        yield f"{device.alias}_{unit}"
    if device.type == "RNG_BATT" and len(device.device_id) > 1:
        yield f"{device.alias}_combined"


def _identified(
    section: str, address: str, alias: str, unfinished: bool, entries: Mapping[str, Entry], report: Report
) -> None:
    """Point out where nothing tells the module from others, and placeholders that somebody left standing."""
    mac_entry, alias_entry = entries.get("mac_addr"), entries.get("alias")
    if not address and not alias:
        if (section, "mac_addr") in report.faulty:
            return
        if unfinished:
            report.problem(section, f"is only a placeholder: {FIND_IT}", mac_entry)
        elif alias_entry and alias_entry.value:
            report.problem(
                section, f"is only a placeholder. Set it to the module's name, or set mac_addr: {FIND_IT}", alias_entry
            )
        else:
            report.problem(section, f"is missing: {FIND_IT}", mac_entry or Entry("mac_addr"))
    elif unfinished:
        report.warn(section, "is only a placeholder; the module is found by its alias", mac_entry)
    elif alias_entry and alias_entry.value and not alias:
        report.warn(section, f"is only a placeholder; called {default_alias(section, address)} instead", alias_entry)
