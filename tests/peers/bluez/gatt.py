"""The services each kind of module shows, and the handles they get."""

from __future__ import annotations

from dataclasses import dataclass

BASE = "-0000-1000-8000-00805f9b34fb"
READS, WRITES, BLIND, NOTIFIES = "read", "write", "write-without-response", "notify"
CCC = 0x2902


def uuid(number: int | str) -> str:
    """The 128-bit text of a 16-bit number; a full text is returned as it is."""
    return number if isinstance(number, str) else f"{number:08x}{BASE}"


@dataclass(frozen=True, slots=True)
class Char:
    """A characteristic. `role`: request (to the serial line), reply (from it), stream, wake, or nothing."""

    number: int | str
    flags: tuple[str, ...]
    role: str = ""
    value: bytes = b""


@dataclass(frozen=True, slots=True)
class Service:
    number: int | str
    chars: tuple[Char, ...]


@dataclass(frozen=True, slots=True)
class Placed:
    """A characteristic with its place in the attribute table."""

    service: int
    handle: int
    char: Char
    descriptor: int


_GENERIC = Service(0x1801, (Char(0x2A05, ("indicate",)),))
_ABOUT = Service(
    0x180A,
    (
        Char(0x2A24, (READS,), value=b"TC,R2#4,1,248,S"),
        Char(0x2A26, (READS,), value=b"V1.1"),
        Char(0x2A29, (READS,), value=b"www.tuner168.com"),
    ),
)
_REQUESTS = Service(
    0xFFD0,
    (
        Char(0xFFD1, (READS, BLIND, WRITES), "request"),
        Char(0xFFD2, (READS, NOTIFIES)),
        Char(0xFFD3, (WRITES,)),
        Char(0xFFD4, (READS,), "wake", b"\x00"),
        Char(0xFFD5, (READS, WRITES)),
    ),
)
_REPLIES = Service(0xFFF0, (Char(0xFFF1, (READS, NOTIFIES), "reply"),))
_UPDATE = Service("f000ffd0-0451-4000-b000-000000000000", (Char("f000ffd1-0451-4000-b000-000000000000", (BLIND, WRITES)),))
_BT2 = (_GENERIC, _ABOUT, _REQUESTS, _REPLIES, _UPDATE)

# Whoever looks for a characteristic by its number alone finds a wrong one first, and so does who looks only at the service.
_DECOYS = Service(0xFFE0, (Char(0xFFD1, (READS, NOTIFIES)), Char(0xFFF1, (READS, WRITES))))
_PRO = (
    _GENERIC,
    _ABOUT,
    _DECOYS,
    Service(0xFFD0, (Char(0xFFF1, (READS,)), Char(0xFFD1, (READS,)), Char(0xFFD1, (BLIND, WRITES), "request"))),
    Service(0xFFF0, (Char(0xFFD1, (READS,)), Char(0xFFF1, (READS,)), Char(0xFFF1, (READS, NOTIFIES), "reply"))),
)

PRESETS: dict[str, tuple[Service, ...]] = {
    "bt2": _BT2,
    "pro": _PRO,
    "inverter": _BT2,
    "shunt": (_GENERIC, _ABOUT, Service(0xC011, (Char(0xC411, (NOTIFIES,), "stream"),))),
}


def laid_out(services: tuple[Service, ...]) -> tuple[list[tuple[int, Service]], list[Placed]]:
    """Handles as a module assigns them: service, then declaration, value and (where it notifies) descriptor of each."""
    handle = 0x000A
    heads: list[tuple[int, Service]] = []
    placed: list[Placed] = []
    for service in services:
        head = handle
        heads.append((head, service))
        handle += 1
        for char in service.chars:
            notifies = NOTIFIES in char.flags or "indicate" in char.flags
            placed.append(Placed(head, handle, char, handle + 2 if notifies else 0))
            handle += 3 if notifies else 2
    return heads, placed
