"""The Bluetooth modules of the plant: which devices hang on them, and how they answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from renogybt import devices
from renogybt.devices.module import NAMES
from renogybt.protocol.modbus import UNIVERSAL
from renogybt.protocol.table import Family
from renogybt.settings import Device, Settings
from renogybt.simulator import instruments, inverters
from renogybt.simulator.bus import Bus, Station
from renogybt.simulator.plant import Plant
from renogybt.simulator.shunt import Stream

G6_MUTE = frozenset({0x0120})
"""A read that starts here gets no answer at all from a DC-DC charger of the G6 kind."""


class Talker(Protocol):
    def answer(self, frame: bytes | None) -> bytes | None:
        """What the module notifies after `frame` was written; None as a frame: what it sends by itself."""
        ...


@dataclass(frozen=True, slots=True)
class Module:
    """`key` is its address (or its alias, where the configuration has no address), `name` what it advertises."""

    key: str
    name: str
    talker: Talker

    def answer(self, frame: bytes | None) -> bytes | None:
        return self.talker.answer(frame)


def modules(plant: Plant, settings: Settings) -> dict[str, Module]:
    """A module for each address in `settings`, with the plant's devices behind it.

    Batteries are numbered in the order in which `settings` names them; the fifth shows the first again.
    """
    found: dict[str, Module] = {}
    batteries = 0
    for device in settings.devices:
        key = device.module
        name = advertised(device)
        if device.type == "RNG_SHNT":
            found[key] = Module(key, name, Stream(plant))
            continue
        bus = found[key].talker if key in found else Bus({})
        if not isinstance(bus, Bus):
            raise ValueError(f"[{device.section}] shares its module with a shunt, which is never on a bus")
        for unit in device.device_id:
            bus.stations.setdefault(unit, station(plant, device, batteries % 4))
            batteries += device.type == "RNG_BATT"
        found.setdefault(key, Module(key, name, bus))
    return found


def station(plant: Plant, device: Device, number: int = 0) -> Station:
    """The unit that `device` describes; `number` says which battery of the bank it is."""
    if device.type == "RNG_BATT":
        measure: Callable[[], Mapping[str, Any]] = partial(instruments.battery, plant, number)
        return Station(_family(device, measure), measure, own=UNIVERSAL if device.variant == "rngpro" else 48 + number)
    if device.type == "RNG_DCC":
        measure = partial(instruments.dc_charger, plant)
        family = _family(device, measure)
        return Station(family, measure, mute=G6_MUTE if family.key == "dc_charger_g6" else frozenset())
    if device.type.startswith("RNG_INVT"):
        measure = _inverter(plant, device)
        return Station(_family(device, measure), measure, own=32)
    return Station(
        devices.family("controller"),
        partial(instruments.controller, plant),
        history_family=devices.family("history"),
        history=lambda ago: instruments.day_record(plant.controller.day(ago)),
        switch=partial(setattr, plant, "load_on"),
    )


def _inverter(plant: Plant, device: Device) -> Callable[[], Mapping[str, Any]]:
    if device.type == "RNG_INVT_HF":
        return partial(inverters.inverter_hf, plant)
    if device.variant == "riv4835":
        return partial(inverters.inverter, plant, "RIV4835CSH1S", -1)
    return partial(inverters.inverter, plant)


def _family(device: Device, measure: Callable[[], Mapping[str, Any]]) -> Family:
    return devices.for_type(device.type, device.variant, advertised(device), measure()["model"])


PREFIXES = {"rngrbp": "RNGRBP", "rngc": "RNGC", "rngpro": "RNGPRO"}


def advertised(device: Device) -> str:
    """The name the module of `device` advertises: its alias if that looks like one, else one made from its address."""
    if device.alias.startswith(NAMES):
        return device.alias
    tail = device.mac_addr.replace(":", "").upper()[-8:] or "00000001"
    if device.type == "RNG_SHNT":
        return f"RTMShunt300{tail}"
    return f"{PREFIXES.get(device.variant, 'BT-TH-')}{tail}"
