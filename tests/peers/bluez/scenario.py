"""What stands behind the radio in a test: the schema of scenario.json. An unknown key is an error, not a silent no-op.

Times end in `_s` (seconds) or `_ms` (milliseconds). Words are 16-bit register contents, byte strings are written as hex.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

QuirkKind = Literal[
    "silent",
    "delay",
    "late",
    "corrupt_crc",
    "wrong_unit",
    "exception",
    "junk",
    "truncate",
    "repeat",
    "ack_register",
    "drop",
]


class Quirk(Struct, forbid_unknown_fields=True, kw_only=True):
    """How a unit misbehaves.

    kind          value
    silent        -           no answer
    delay         seconds     answers later, the serial line waits with it
    late          seconds     answers later, the line serves other requests meanwhile
    corrupt_crc   -           checksum inverted
    wrong_unit    unit id     answers under another id
    exception     code        answers with this Modbus exception
    junk          hex         bytes in front of the answer
    truncate      bytes       only so many bytes of the answer arrive
    repeat        -           the answer comes twice
    ack_register  register    a write is acknowledged with this register number
    drop          -           the radio link breaks instead of an answer

    It lets the first `skip` matching requests pass, then works `times` times (None: for ever), each time with
    `probability`. With `register` it concerns only requests that start there.
    """

    kind: QuirkKind
    value: float | str | None = None
    times: int | None = None
    skip: int = 0
    probability: float = 1.0
    register: int | None = None


class Unit(Struct, forbid_unknown_fields=True, kw_only=True):
    """A device on the serial bus behind a module.

    `registers` words by address; `blocks` hex words from an address on; `records` hex words that answer a read starting
    exactly there, whatever lies at the following addresses (daily history). A read must lie inside one of `spans` (first,
    last), where unset words are 0; without spans every word must exist. Otherwise: exception 2, or silence.
    `silent_at`: a read starting there is never answered. `echo`: what it answers a request to 255 as. `effects`: a write to
    this register also sets or clears a bit: register -> (register, bit).
    """

    id: int
    registers: dict[int, int] = field(default_factory=dict)
    blocks: dict[int, str] = field(default_factory=dict)
    records: dict[int, str] = field(default_factory=dict)
    spans: list[tuple[int, int]] = field(default_factory=list)
    outside: Literal["exception", "silent"] = "exception"
    silent_at: list[int] = field(default_factory=list)
    echo: Literal["own", "255", "silent"] = "own"
    max_words: int = 125
    effects: dict[int, tuple[int, int]] = field(default_factory=dict)
    turnaround_ms: float | None = None
    quirks: list[Quirk] = field(default_factory=list)


class Stream(Struct, forbid_unknown_fields=True, kw_only=True):
    """Blocks a module sends unasked, in turn, as soon as somebody subscribed."""

    blocks: list[str]
    interval_s: float = 0.5


class Module(Struct, forbid_unknown_fields=True, kw_only=True):
    """A Bluetooth module, or a device with one built in.

    `preset` names its services (see gatt.py). `adapters`: who is in its range (None: every adapter). `uuids`: 16-bit numbers
    advertised. `manufacturer`: whether it advertises its own address as manufacturer data. `byte_ms`: serial time per byte
    each way (1.04 at 9600 baud); `latency_ms`: radio, per direction; `notify_size` 0: as large as the MTU allows.
    `wake`: its units are deaf until ffd4 was read once in this connection. `connected`: the link of an earlier process is
    still up when the fake starts. `omit`: Device1 properties that are missing. `pairs`: it consents to being paired.
    `lingers`: what is under way on its serial line outlives the radio link, and reaches whoever is connected then.
    """

    address: str
    name: str
    preset: Literal["bt2", "pro", "inverter", "shunt"] = "bt2"
    units: list[Unit] = field(default_factory=list)
    stream: Stream | None = None
    rssi: int = -60
    adapters: list[str] | None = None
    uuids: list[int] = field(default_factory=list)
    manufacturer: bool = True
    advertising: bool = True
    byte_ms: float = 0.0
    turnaround_ms: float = 0.0
    latency_ms: float = 0.0
    mtu: int = 23
    notify_size: int = 0
    connect_s: float = 0.0
    resolve_s: float = 0.0
    disconnect_s: float = 0.0
    wake: bool = False
    connected: bool = False
    paired: bool = False
    omit: list[str] = field(default_factory=list)
    address_type: Literal["public", "random"] = "public"
    pairs: bool = False
    lingers: bool = False


class Beacon(Struct, forbid_unknown_fields=True, kw_only=True):
    """Somebody else's device that only advertises. `uuids` are 16-bit numbers or whole texts, `manufacturer` company -> hex,
    `service_data` uuid -> hex, `flags` hex. It is heard at every beat of the adapter, unless `advertising` is off.
    """

    address: str
    address_type: Literal["public", "random"] = "random"
    name: str = ""
    uuids: list[int | str] = field(default_factory=list)
    manufacturer: dict[int, str] = field(default_factory=dict)
    service_data: dict[str, str] = field(default_factory=dict)
    tx_power: int | None = None
    flags: str = ""
    rssi: int = -70
    advertising: bool = True


class Adapter(Struct, forbid_unknown_fields=True, kw_only=True):
    """A Bluetooth controller of this machine. `power_s`: how long switching takes. `blocked`: by rfkill. `monitors`: BlueZ
    can listen passively with it.
    """

    name: str = "hci0"
    address: str = "B8:27:EB:00:00:01"
    powered: bool = True
    blocked: bool = False
    power_s: float = 0.0
    roles: list[str] = field(default_factory=lambda: ["central", "peripheral"])
    omit: list[str] = field(default_factory=list)
    monitors: bool = False


class Scenario(Struct, forbid_unknown_fields=True, kw_only=True):
    """Everything the fake serves. `crowd`: so many further device objects, never heard again (an old BlueZ cache).

    `page_s`: how long BlueZ tries to reach an absent module, `page_error` the text it then gives up with. `systemd`: also
    offer org.freedesktop.systemd1 with RestartUnit. `seed` for everything that happens with a probability.
    """

    modules: list[Module] = field(default_factory=list)
    beacons: list[Beacon] = field(default_factory=list)
    adapters: list[Adapter] = field(default_factory=lambda: [Adapter()])
    adv_interval_s: float = 0.1
    temporary_timeout_s: float = 30.0
    page_s: float = 20.0
    page_error: str = "le-connection-abort-by-local"
    crowd: int = 0
    systemd: bool = False
    seed: int = 1
