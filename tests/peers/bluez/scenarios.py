"""Ready-made modules and scenarios: every family of device, with contents from captured frames where there are any.

Every builder takes further `Module` fields as keywords; `WIRE` are those of a real BT-2 at 9600 baud.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.peers.bluez.scenario import Module, Scenario, Stream, Unit

FRAMES = Path(__file__).resolve().parents[2] / "frames" / "captured.json"
WIRE: dict[str, Any] = {"byte_ms": 1.04, "turnaround_ms": 20.0, "latency_ms": 40.0, "notify_size": 20}

CONTROLLER, BATTERIES, PRO = "60:98:66:ED:FC:11", "C4:64:E3:38:3D:0E", "4C:E1:74:57:94:7B"
DCDC, INVERTER, RIV4835 = "60:98:66:ED:FC:22", "4C:E1:74:57:94:32", "60:98:66:ED:FC:33"
SHUNT, HUB = "4C:E1:74:51:95:AE", "C4:64:E3:38:3D:60"

BATTERY_SPANS = [(5000, 5034), (5035, 5052), (5100, 5141), (5200, 5223)]
CONTROLLER_SPANS = [(10, 30), (256, 290), (0xE001, 0xE021)]


def scenario(*modules: Module, **more: Any) -> Scenario:
    """These modules in range of one adapter; `more` are fields of `Scenario`."""
    return Scenario(modules=list(modules), **more)


def everything() -> Scenario:
    """One of each."""
    return scenario(
        controller(), batteries(), pro_battery(), dcdc(), inverter(), riv4835(), shunt(), mixed_hub(), adv_interval_s=0.05
    )


def wire_s(module: Module, asked: int, answered: int) -> float:
    """Seconds the wire itself needs for a request and its answer of so many bytes: radio, serial line, turnaround."""
    return (2 * module.latency_ms + module.turnaround_ms + (asked + answered) * module.byte_ms) / 1000


# Charge controllers


def controller(**more: Any) -> Module:
    """A Rover 40 behind a BT-2, known by the number 16 and by 255."""
    return _bt2(CONTROLLER, [controller_unit(16, echo="255")], more)


def controller_unit(number: int, **more: Any) -> Unit:
    blocks = {
        10: "18280000",
        12: _words("rvr40-model"),
        20: "00010302" + "00010200" + "150110a3",
        26: f"{number:04x}" + "00010100" + "0000abcd",
        256: _words("rvr40-dynamic"),
        290: "0000",
        0xE001: "0064" + "0064" + "0c0c" + "0004",
        0xE005: _words("settings-e005"),
        0xE01D: "000f" + "000a" + "0005",
    }
    days = {0xF000 + n: _words(f"history-day-{n}") for n in (0, 1, 3, 6)}
    for ago, like, generated in ((2, 1, 1700), (4, 3, 1812), (5, 6, 1790)):
        days[0xF000 + ago] = days[0xF000 + like][:32] + f"{generated:04x}" + days[0xF000 + like][36:]
    whole = {"blocks": blocks, "records": days, "spans": [*CONTROLLER_SPANS], "effects": {0x010A: (0x0120, 15)}}
    return Unit(id=number, **{**whole, **more})


# Batteries


@dataclass(frozen=True, slots=True)
class Pack:
    """What a battery's registers hold, in the units of the display (A, V, Ah, °C); `current` positive while charging."""

    unit: int
    cells: tuple[float, ...]
    temperatures: tuple[float, ...]
    current: float
    voltage: float
    remaining: float
    capacity: float
    cycles: int
    serial: str
    status2: int = 0


PACKS = (
    Pack(48, (3.3, 3.3, 3.4, 3.3), (21.5, 21.0), 3.26, 13.3, 87.412, 100.0, 15, "2210A00000000048"),
    Pack(49, (3.3, 3.4, 3.4, 3.3), (20.5, 22.0), 2.98, 13.4, 91.003, 99.8, 17, "2210A00000000049"),
    Pack(50, (3.2, 3.3, 3.3, 3.3), (-1.5, -0.5), -4.75, 13.1, 64.25, 100.0, 122, "2210A00000000050", status2=0x2000),
    Pack(51, (3.3, 3.3, 3.3, 3.3), (19.0, 18.5), 0.0, 13.2, 100.0, 100.0, 3, "2210A00000000051", status2=0x0800),
)


def batteries(*packs: Pack, **more: Any) -> Module:
    """RBT100LFP12S-G1 packs behind one BT-2 (four of them unless given)."""
    return _bt2(BATTERIES, [battery_unit(pack) for pack in packs or PACKS], more)


def battery_unit(pack: Pack, model: str = "RBT100LFP12S-G1", *, amp: int = 100, **more: Any) -> Unit:
    """`amp`: raw units per ampere of the measured current."""
    cells = [len(pack.cells), *_filled([round(value * 10) for value in pack.cells], 16)]
    warmth = [len(pack.temperatures), *_filled([round(value * 10) for value in pack.temperatures], 16)]
    around = [round(pack.temperatures[0] * 10) + 15, 1, round(pack.temperatures[0] * 10) - 10, 0, 0, 0, 0]
    charge = [*_long(round(pack.remaining * 1000)), *_long(round(pack.capacity * 1000))]
    limits = [148, 100, 5000, -10000]
    state = [0, 0, 0, 0, 0, 0, 0x000E, pack.status2, 0, 0x00C8]
    text = f"{pack.serial:<16}01{'0001'}19{model:<16}0100{'RENOGY':<20}"
    guard = [37, 36, 28, 25, 600, 550, 20, 0, 11000, 10500, 10000, 148, 146, 110, 100, 650, 600, -150, -200]
    blocks = {
        5000: _hex([*cells, *warmth, 0]),
        5035: _hex([*around, round(pack.current * amp), round(pack.voltage * 10), *charge, pack.cycles, *limits]),
        5100: _hex(state) + text.encode().hex(),
        5200: _hex([*guard, -11000, -10500, -10000, 0, pack.unit]),
    }
    return Unit(id=pack.unit, **{"blocks": blocks, "spans": [*BATTERY_SPANS], **more})


PRO_PACK = Pack(48, (3.3, 3.3, 3.3, 3.3), (27.3, 26.8, 27.5), -1.2, 13.3, 208.962, 211.93, 6, "2312B00000000830")


def pro_battery(**more: Any) -> Module:
    """A 200 Ah Battery Pro: its own radio, characteristics with the same numbers several times, current in tenths."""
    unit = battery_unit(PRO_PACK, "RBT12200LFP-SSH", amp=10)
    whole = {"address": PRO, "name": "RNGRBP1228000830", "preset": "pro", "units": [unit], "mtu": 247}
    return Module(**{**whole, **more})


# DC-DC chargers


def dcdc(*, g6: bool = False, **more: Any) -> Module:
    """A DCC50S, or a -G6 unit, which is silent at and beyond 0x0120 unless asked for the 34 words from 0x0100."""
    name = "RBC50D1S-G6" if g6 else "DCC50S"
    blocks = {
        10: "0c320000",
        12: _text(name, 16),
        20: "00010304" + "00010100" + "160310a3",
        26: "0060",
        256: _words("dcc-driving"),
        288: _words("dcc50s-status"),
        0xE001: "1388",
        0xE003: _words("dcc-settings-18"),
        0xE020: "0096",
        0xE038: "0000",
    }
    unit = Unit(id=96, echo="255", blocks=blocks, spans=[(10, 30), (256, 294), (0xE001, 0xE021), (0xE038, 0xE038)])
    if g6:
        unit.spans[1], unit.silent_at, unit.outside = (256, 289), [288], "silent"
    return _bt2(DCDC, [unit], more)


# Inverters


def inverter(**more: Any) -> Module:
    """A RIV1220PU with its own radio: deaf until ffd4 was read."""
    blocks = {
        4000: _words("riv1220-main"),
        4109: "0020",
        4311: _words("riv1220-model"),
        4327: _words("riv1220-charging"),
        4405: "0005" + "0000" * 2 + "000f00960096000000000019" + "0000" * 8 + "05dc",
        4456: _words("riv1220-ac-limit"),
    }
    spans = [(4000, 4009), (4109, 4109), (4311, 4318), (4327, 4333), (4405, 4422), (4456, 4456)]
    unit = Unit(id=32, blocks=blocks, spans=spans, echo="own")
    whole = {"address": INVERTER, "name": "BTRIC134000035", "preset": "inverter", "wake": True, "units": [unit], "mtu": 247}
    return Module(**{**whole, **more})


def riv4835(**more: Any) -> Module:
    """A RIV4835CSH1S: never answers a read of its model text, answers with 10 words at 4000 at most."""
    blocks = {
        4000: _words("riv4835-main"),
        4109: _words("riv4835-id"),
        4327: _words("riv4835-charging"),
        4405: "000400000000",
        4408: _words("riv4835-load"),
    }
    spans = [(4000, 4009), (4109, 4109), (4311, 4318), (4327, 4333), (4405, 4413)]
    unit = Unit(id=32, blocks=blocks, spans=spans, silent_at=[4311], outside="silent")
    return _bt2(RIV4835, [unit], {"preset": "inverter", **more})


# Shunt, and several families together


def shunt(**more: Any) -> Module:
    """A Smart Shunt 300: sends unasked, live blocks with history blocks between, in pieces."""
    order = ("shunt-made-live", "shunt-history-only", "shunt-prefixed", "shunt-history-only", "shunt-frost-charging")
    stream = Stream(blocks=[str(captured(name)["response"]) for name in order], interval_s=0.2)
    whole = {"address": SHUNT, "name": "RTMShunt30051D95AE", "preset": "shunt", "stream": stream, "notify_size": 20}
    return Module(**{**whole, **more})


def mixed_hub(**more: Any) -> Module:
    """A Communication Hub: a controller at 96 and batteries at 48 and 49 behind one module."""
    units = [controller_unit(96), battery_unit(PACKS[0]), battery_unit(PACKS[1])]
    return _bt2(HUB, units, {"name": f"{_module_name(HUB)}  ", **more})


# Captured frames and words


@cache
def _frames() -> dict[str, dict[str, Any]]:
    return {frame["id"]: frame for frame in json.loads(FRAMES.read_text())["frames"]}


def captured(name: str) -> dict[str, Any]:
    """A frame of captured.json by its id."""
    return _frames()[name]


def _words(name: str) -> str:
    """The register contents in a captured read reply, hex."""
    return str(captured(name)["response"])[6:-4]


def _module_name(address: str) -> str:
    return "BT-TH-" + address.replace(":", "")[4:]


def _bt2(address: str, units: list[Unit], more: dict[str, Any]) -> Module:
    whole = {"address": address, "name": _module_name(address), "uuids": [0xFFD0], "units": units, "mtu": 247}
    return Module(**{**whole, **more})


def _hex(words: list[int]) -> str:
    return "".join(f"{word & 0xFFFF:04x}" for word in words)


def _text(text: str, size: int) -> str:
    return text.ljust(size).encode().hex()


def _long(value: int) -> tuple[int, int]:
    return value >> 16, value & 0xFFFF


def _filled(values: list[int], size: int) -> list[int]:
    return values + [0] * (size - len(values))
