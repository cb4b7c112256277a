"""Devices that are read through ESPHome proxies."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

from renogybt.config.checks.judge import Judge
from renogybt.config.device import ADDRESS
from renogybt.settings import Device
from renogybt.settings.via import Via, parsed

NEEDED = ("aioesphomeapi", "noise")


def check_via(judge: Judge, devices: Iterable[Device]) -> None:
    known: dict[tuple[str, int], tuple[str, Via]] = {}
    for device in devices:
        if device.via:
            _device(judge, device, known)


def _device(judge: Judge, device: Device, known: dict[tuple[str, int], tuple[str, Via]]) -> None:
    section = device.section
    try:
        via = parsed(device.via)
    except ValueError as error:
        judge.fault(section, "via", str(error))
        return
    other, same = known.setdefault((via.host, via.port), (section, via))
    if same != via:
        text = f"leads to the same proxy as that of [{other}], but with another key or password; they must be the same"
        judge.fault(section, "via", text)
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        packages = f"{' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed"
        judge.fault(
            section, "via", f"needs the package {packages}; install it with .venv/bin/python -m pip install '.[esphome]'"
        )
    if device.adapter:
        judge.warn(section, "adapter", "is not used, because via leads to another radio; delete one of the two")
    if device.mac_addr and judge.sound(section, "mac_addr") and not ADDRESS.fullmatch(device.mac_addr):
        text = "must be an address like 80:6F:B0:0F:12:34 when via is set; what macOS calls a device means nothing there"
        judge.fault(section, "mac_addr", text)
    if via.password:
        text = "gives a password, which newer versions of ESPHome ignore; set an encryption key in the proxy's YAML instead"
        judge.warn(section, "via", text)
