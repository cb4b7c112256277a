"""The kinds of faults: what they do to the peers, whom they concern, and how soon it must be over.

The times allowed are those of the issue where it names one (link 5 s, bluetoothd 5 s, Connect 15 s beyond its limit, power
15 s, stuck discovery 30 s beyond `stuck_seconds`); else the longest pause of the configuration and one attempt after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from tests.peers.bluez.faults import IN_PROGRESS, LINK_LOST
from tests.peers.bluez.scenario import Adapter
from tests.peers.web import Turn
from tests.soak.plan import Event, Kind
from tests.soak.rig import ALL, CONNECT, LABELS, LONGEST_RETRY, MODULES, PERIOD, REST, SCAN, STUCK, Rig

FAILED = "org.bluez.Error.Failed"
CONNECT_ERRORS = (
    "org.bluez.Error.Failed: le-connection-abort-by-local",
    "org.bluez.Error.Failed: le-connection-abort-by-remote",
    "org.bluez.Error.Failed: le-connection-timeout",
    "org.bluez.Error.Failed: le-connection-refused",
    "org.bluez.Error.Failed: br-connection-canceled",
    "org.bluez.Error.Failed: Software caused connection abort",
    "org.bluez.Error.InProgress: Operation already in progress",
    "org.bluez.Error.NotAvailable: Operation currently not available",
)
TALKERS = ("hub", "rover")
UNITS = ("48", "49", "50", "51")
LINK, POWER, SERVICE = 5.0, 15.0, 5.0
RETRIED = LONGEST_RETRY + SCAN + CONNECT + LINK
"""A device that was not there may have to wait for its next turn, which may hang once."""
CYCLE = 10.0
"""Seconds for the cycle that notices a silent or noisy unit: time-outs, and a new connection."""

Undo = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Fault:
    """`begin` does it and returns what ends it. `recovery` seconds after its end all is to be well again.

    `whom`: all devices, the module in `target`, the battery in `target`, or nobody.
    """

    kind: Kind
    begin: Callable[[Rig, Event], Undo]
    recovery: float
    whom: str = "all"


def windows(event: Event, fault: Fault) -> Iterator[tuple[str, float, float]]:
    """Device, begin and end of the time in which it may be without readings because of this event."""
    end = event.end + fault.recovery
    if fault.whom == "all":
        yield from ((label, event.at, end) for label in ALL)
    elif fault.whom == "module":
        yield from ((label, event.at, end) for label in LABELS[event.target])
    elif fault.whom == "unit":
        yield f"hub_{event.target}", event.at, end
        yield "hub_combined", event.at, end
        # Its time-outs delay the neighbours in those cycles that ask it: the first, and one after each rest.
        yield from ((f"hub_{unit}", event.at, event.end + CYCLE) for unit in UNITS if unit != event.target)


def nothing() -> None:
    """It is over by itself, or the program has to end it."""


# Radio links


def link_drops(rig: Rig, event: Event) -> Undo:
    rig.fake.drop_link(MODULES[event.target])
    return nothing


def module_away(rig: Rig, event: Event) -> Undo:
    address = MODULES[event.target]
    rig.fake.module(address, advertising=False)
    rig.fake.drop_link(address)
    return lambda: rig.fake.module(address, advertising=True)


def forgotten(rig: Rig, event: Event) -> Undo:
    rig.fake.remove_device(MODULES[event.target])
    return nothing


def on_connecting(member: str, action: str) -> Callable[[Rig, Event], Undo]:
    """The link drops, and this happens on the way to a new one, `number` times or until the end of the event."""

    def begin(rig: Rig, event: Event) -> Undo:
        times = event.number if event.kind.endswith("fails") else None
        what = split(event.detail) if action == "detail" else action
        rig.fake.rule(member, what, times=times, path=node(event))
        rig.fake.drop_link(MODULES[event.target])
        return lambda: rig.fake.clear_rules(member)

    return begin


def slow_connect(rig: Rig, event: Event) -> Undo:
    address = MODULES[event.target]
    rig.fake.module(address, connect_s=3.0)
    rig.fake.drop_link(address)
    return lambda: rig.fake.module(address, connect_s=0.0)


# Scanning: the module must be looked for, because BlueZ has forgotten it


def on_scanning(member: str, action: str | tuple[str, str], effect: bool = False) -> Callable[[Rig, Event], Undo]:
    def begin(rig: Rig, event: Event) -> Undo:
        times = event.number if event.kind.endswith("fails") else None
        rig.fake.rule(member, action, times=times, effect=effect)
        rig.fake.remove_device(MODULES[event.target])
        return lambda: rig.fake.clear_rules(member)

    return begin


def foreign_scan(rig: Rig, event: Event) -> Undo:
    adapter = rig.adapter
    rig.fake.foreign_discovery(True, adapter)
    return lambda: rig.fake.foreign_discovery(False, adapter)


# The service, its bus, the adapter


def bluetoothd_dies(rig: Rig, event: Event) -> Undo:
    rig.fake.die(keep_links=event.detail == "links kept")
    return lambda: rig.fake.restart(announce=event.detail != "silently back")


def bluetoothd_slow_to_tell(rig: Rig, event: Event) -> Undo:
    rig.fake.rule("GetManagedObjects", "hang")
    rig.fake.restart()
    return lambda: rig.fake.clear_rules("GetManagedObjects")


def properties_hang(rig: Rig, event: Event) -> Undo:
    for member in ("Get", "GetAll"):
        rig.fake.rule(member, "hang")
    return rig.fake.clear_rules


def bus_restarts(rig: Rig, event: Event) -> Undo:
    rig.fake.restart_daemon()
    return nothing


def adapter_off(rig: Rig, event: Event) -> Undo:
    rig.fake.set_powered(False, rig.adapter)
    return nothing


def adapter_gone(rig: Rig, event: Event) -> Undo:
    rig.fake.remove_adapter(rig.adapter)

    def back() -> None:
        if event.detail == "renamed":
            rig.adapter = "hci1" if rig.adapter == "hci0" else "hci0"
        rig.fake.add_adapter(Adapter(name=rig.adapter))

    return back


def rfkill(rig: Rig, event: Event) -> Undo:
    rig.fake.set_blocked(True, rig.adapter)
    return nothing


# Talking


def writes(action: str | tuple[str, str]) -> Callable[[Rig, Event], Undo]:
    def begin(rig: Rig, event: Event) -> Undo:
        rig.fake.rule("WriteValue", action, times=event.number if event.kind.endswith("fails") else None, path=node(event))
        return lambda: rig.fake.clear_rules("WriteValue")

    return begin


def disconnect_hangs(rig: Rig, event: Event) -> Undo:
    rig.fake.rule("Disconnect", "hang", path=node(event))
    rig.fake.quirk(MODULES[event.target], None, "silent", times=1)
    return lambda: rig.fake.clear_rules("Disconnect")


def misbehaving(kind: str, value: float | str | None = None, probability: float = 1.0) -> Callable[[Rig, Event], Undo]:
    """All units of the module, or the one battery in `target`, do `kind` until the end of the event."""

    def begin(rig: Rig, event: Event) -> Undo:
        unit = int(event.target) if event.target.isdigit() else None
        address = MODULES[event.target] if unit is None else MODULES["hub"]
        rig.fake.quirk(address, unit, kind, value, probability=probability)
        return lambda: rig.fake.clear_quirks(address)

    return begin


def garbled(rig: Rig, event: Event) -> Undo:
    values = {"junk": "ff0344ff03", "truncate": 11, "wrong_unit": 9, "exception": 4}
    address = MODULES[event.target]
    rig.fake.quirk(address, None, event.detail, values.get(event.detail), times=event.number)
    return lambda: rig.fake.clear_quirks(address)


def late(rig: Rig, event: Event) -> Undo:
    """Answers that come when nobody waits for them any more: the dangerous ones."""
    rig.fake.quirk(MODULES["hub"], int(event.target), "late", Random(event.at).uniform(2.0, 6.0), times=event.number)
    return lambda: rig.fake.clear_quirks(MODULES["hub"])


# Outlets


def broker_away(rig: Rig, event: Event) -> Undo:
    rig.door.shut()
    return rig.door.open


def broker_restarts(rig: Rig, event: Event) -> Undo:
    rig.broker.restart()
    return nothing


def web(turn: Turn) -> Callable[[Rig, Event], Undo]:
    def begin(rig: Rig, event: Event) -> Undo:
        usual, rig.web.chance = rig.web.chance, lambda number: turn

        def well() -> None:
            rig.web.chance = usual

        return well

    return begin


def node(event: Event) -> str:
    """The module in a D-Bus path."""
    return MODULES[event.target].replace(":", "_")


def split(detail: str) -> tuple[str, str]:
    name, _, text = detail.partition(": ")
    return name, text


EVERY = tuple(MODULES)
BACK = 3 * PERIOD
HANGING, SCANNING = CONNECT + 15.0, STUCK + 30.0

FAULTS = (
    Fault(Kind("link drops", 0, 0, EVERY), link_drops, LINK, "module"),
    Fault(Kind("module away", 10, 40, EVERY), module_away, RETRIED, "module"),
    Fault(Kind("module forgotten by BlueZ", 0, 0, EVERY), forgotten, SCAN + LINK, "module"),
    Fault(Kind("Connect hangs", 3, 12, EVERY), on_connecting("Connect", "hang"), HANGING, "module"),
    Fault(Kind("Connect fails", 8, 8, EVERY, CONNECT_ERRORS), on_connecting("Connect", "detail"), RETRIED, "module"),
    Fault(Kind("link aborts, Connect fails", 8, 8, EVERY), on_connecting("Connect", "abort_local"), RETRIED, "module"),
    Fault(Kind("slow Connect", 5, 15, EVERY), slow_connect, LINK + 3, "module"),
    Fault(Kind("services never resolved", 3, 8, EVERY), on_connecting("resolve", "never"), HANGING, "module"),
    Fault(Kind("no services", 3, 8, EVERY), on_connecting("resolve", "empty"), RETRIED, "module"),
    Fault(Kind("StartNotify hangs", 3, 8, EVERY), on_connecting("StartNotify", "hang"), HANGING, "module"),
    Fault(Kind("Disconnect hangs", 3, 10, TALKERS), disconnect_hangs, HANGING, "module"),
    Fault(Kind("StartDiscovery hangs", 4, 12, EVERY), on_scanning("StartDiscovery", "hang"), SCANNING),
    Fault(Kind("StartDiscovery fails", 8, 8, EVERY), on_scanning("StartDiscovery", IN_PROGRESS), SCANNING),
    Fault(Kind("StopDiscovery hangs", 4, 12, EVERY), on_scanning("StopDiscovery", "hang"), SCANNING),
    Fault(Kind("StopDiscovery fails", 8, 8, EVERY), on_scanning("StopDiscovery", IN_PROGRESS, effect=True), SCANNING),
    Fault(Kind("scan hears nothing", 5, 15, EVERY), on_scanning("StartDiscovery", "ok_but_nothing"), SCANNING),
    Fault(Kind("somebody else scans", 10, 30), foreign_scan, 0.0, "nobody"),
    Fault(
        Kind("bluetoothd dies", 0.3, 8, ("",), ("", "links kept", "silently back")),
        bluetoothd_dies,
        SERVICE,
    ),
    Fault(Kind("bluetoothd slow to tell", 2, 6), bluetoothd_slow_to_tell, POWER),
    Fault(Kind("properties unanswered", 3, 10), properties_hang, POWER),
    Fault(Kind("D-Bus restarts"), bus_restarts, POWER),
    Fault(Kind("adapter off"), adapter_off, POWER),
    Fault(Kind("adapter gone", 1, 10, ("",), ("", "renamed")), adapter_gone, POWER),
    Fault(Kind("rfkill"), rfkill, POWER + 5),
    Fault(Kind("WriteValue hangs", 3, 10, TALKERS), writes("hang"), POWER, "module"),
    Fault(Kind("WriteValue fails", 5, 5, TALKERS), writes(LINK_LOST), RETRIED, "module"),
    Fault(Kind("battery silent", 5, 20, UNITS), misbehaving("silent"), REST + CYCLE, "unit"),
    Fault(Kind("noise", 5, 20, TALKERS), misbehaving("corrupt_crc", probability=0.3), REST + CYCLE, "module"),
    Fault(Kind("slow answers", 5, 15, TALKERS), misbehaving("delay", 0.4), CYCLE, "module"),
    Fault(Kind("late answers", 8, 8, UNITS), late, REST + CYCLE, "unit"),
    Fault(
        Kind("garbled answers", 5, 5, TALKERS, ("junk", "truncate", "wrong_unit", "exception", "repeat")),
        garbled,
        REST + CYCLE,
        "module",
    ),
    Fault(Kind("broker away", 2, 10), broker_away, BACK),
    Fault(Kind("broker restarts"), broker_restarts, BACK),
    Fault(Kind("web server mute", 5, 20), web(Turn(how="hang")), 0.0, "nobody"),
    Fault(Kind("web server resets", 5, 20), web(Turn(how="reset")), 0.0, "nobody"),
    Fault(Kind("web server drips", 5, 20), web(Turn(how="drip")), 0.0, "nobody"),
)
BY_NAME = {fault.kind.name: fault for fault in FAULTS}
KINDS = tuple(fault.kind for fault in FAULTS)
