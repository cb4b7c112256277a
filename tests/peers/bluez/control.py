"""For tests: a fake BlueZ to start and to steer."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.peers.bluez.launch import Launch
from tests.peers.bluez.scenario import Adapter, Beacon, Module, Unit

Action = str | float | tuple[str, str]


class Fake(Launch):
    """A bus, the service on it, simulated modules behind it: `with Fake(scenario) as fake:`."""

    def die(self, *, keep_links: bool = False) -> None:
        """The service vanishes from the bus and sends nothing. `keep_links`: the modules stay connected."""
        self.order("die", keep_links=keep_links)

    def restart(self, *, announce: bool = True) -> None:
        """The service comes (back) to the bus; `announce`: it tells of its objects as a starting bluetoothd does."""
        self.order("restart", announce=announce)

    def stop_daemon(self) -> None:
        """The bus itself goes away."""
        self.daemon.stop()

    def restart_daemon(self) -> None:
        """A new bus at the same address, and the service on it."""
        self.daemon.stop()
        self.daemon.start()
        self.order("watch_daemon", pid=self.daemon.pid)
        self.order("restart", announce=True)

    # Faults of the service

    def rule(
        self, member: str, action: Action, *, times: int | None = None, skip: int = 0, path: str = "", effect: bool = False
    ) -> None:
        """From now on calls of `member` (any D-Bus member) are treated so.

        action: "hang" (no answer, no effect), "ok_but_nothing" (good answer, no effect), (error name, text), seconds of
        delay, "abort_local" (Connect: link comes up, breaks, le-connection-abort-by-local). The member "resolve" stands for
        the discovery of services: "never", "empty" (resolved, but no services), "torn" (one characteristic goes at the last
        moment), "former" (those of another kind of module). `skip` calls pass first, `times` calls are concerned (None:
        all), `path`: only objects whose path contains this. `effect`: an error, but the work is done.
        """
        fields: dict[str, Any] = {"member": member, "times": times, "skip": skip, "path": path, "effect": effect}
        if isinstance(action, str):
            services, calls = ("never", "empty", "torn", "former"), ("hang", "ok_but_nothing", "abort_local")
            known = services if member == "resolve" else calls
            if action not in known:
                raise ValueError(f"{action} is no action for {member}; there are {', '.join(known)}")
            fields["action"] = action
        elif isinstance(action, tuple):
            fields |= {"action": "error", "name": action[0], "text": action[1]}
        else:
            fields |= {"action": "delay", "seconds": float(action)}
        self.order("rule", **fields)

    def clear_rules(self, member: str = "") -> None:
        """Behave again; `member`: only as far as this one is concerned."""
        self.order("clear_rules", member=member)

    # The radio

    def drop_link(self, address: str) -> bool:
        """Break the connection of a module as distance does. False when there was none."""
        return bool(self.order("drop_link", address=address))

    def mute(self, address: str) -> None:
        """Whoever listens to the module hears nothing any more over this link, and is not told."""
        self.order("mute", address=address)

    def remove_device(self, address: str) -> bool:
        """BlueZ forgets the device. False when it did not know it."""
        return bool(self.order("remove_device", address=address))

    def add_adapter(self, adapter: Adapter | None = None) -> None:
        self.order("add_adapter", spec=msgspec.to_builtins(adapter or Adapter()))

    def remove_adapter(self, name: str = "hci0") -> None:
        self.order("remove_adapter", name=name)

    def set_powered(self, on: bool, adapter: str = "hci0") -> None:
        """Somebody else switches the adapter."""
        self.order("set_powered", on=on, adapter=adapter)

    def set_blocked(self, on: bool, adapter: str = "hci0") -> None:
        """rfkill."""
        self.order("set_blocked", on=on, adapter=adapter)

    def foreign_discovery(self, on: bool, adapter: str = "hci0") -> None:
        """Another program scans, or stops."""
        self.order("foreign_discovery", on=on, adapter=adapter)

    def beacon(self, beacon: Beacon, adapter: str = "hci0") -> None:
        """Somebody else's device comes, or says something else than before."""
        self.order("beacon", spec=msgspec.to_builtins(beacon, str_keys=True), adapter=adapter)

    def flood(self, devices: int, rate: float, seconds: float, adapter: str = "hci0") -> None:
        """So many more devices advertise `rate` times a second altogether, for so long, as far as somebody listens."""
        self.order("flood", devices=devices, rate=rate, seconds=seconds, adapter=adapter)

    def flooded(self, adapter: str = "hci0") -> tuple[bool, int]:
        """Whether the flood goes on, and how many advertisements could be heard."""
        going, sent = self.order("flooded", adapter=adapter)
        return bool(going), int(sent)

    def property(self, address: str, name: str, signature: str, value: Any) -> None:
        """A property of a device changes, for whatever reason."""
        self.order("property", address=address, name=name, signature=signature, value=value)

    def add_module(self, module: Module) -> None:
        self.order("add_module", spec=msgspec.to_builtins(module))

    def module(self, address: str, **changes: Any) -> None:
        """Change fields of a `Module` (not address, preset or units), e.g. advertising=False, connect_s=3600."""
        self.order("module", address=address, changes=msgspec.to_builtins(changes))

    # The devices behind a module

    def quirk(self, address: str, unit: int | None, kind: str, value: float | str | None = None, **more: Any) -> None:
        """Let a unit (None: all) misbehave; kinds, `value` and `more` (times, skip, probability, register) as in `Quirk`."""
        self.order("quirk", address=address, unit=unit, fields={"kind": kind, "value": value, **more})

    def clear_quirks(self, address: str, unit: int | None = None) -> None:
        self.order("clear_quirks", address=address, unit=unit)

    def registers(self, address: str, unit: int, words: dict[int, int] | None = None) -> dict[int, int]:
        """Set words of a unit; returns all its words."""
        given = {str(at): value for at, value in (words or {}).items()}
        held = self.order("registers", address=address, unit=unit, words=given)
        return {int(at): value for at, value in held.items()}

    def add_unit(self, address: str, unit: Unit) -> None:
        """Put a unit on the bus behind a module, in place of one with the same id."""
        self.order("add_unit", address=address, unit=msgspec.to_builtins(unit, str_keys=True))

    def remove_unit(self, address: str, unit: int) -> None:
        self.order("remove_unit", address=address, unit=unit)

    def notify(self, address: str, data: bytes) -> None:
        """Send bytes to whoever listens to the module, asked for or not."""
        self.order("notify", address=address, data=data.hex())

    # What happened

    def calls(self, member: str = "") -> list[dict[str, Any]]:
        """Received calls, oldest first: t, sender, interface, member, path, body, result, replied, rule.

        result: "ok", the error, or None while unanswered; times are time.monotonic().
        """
        return [call for call in self.order("calls") if not member or call["member"] == member]

    def frames(self, address: str = "") -> list[dict[str, Any]]:
        """Written frames: t, sender, address, char, kind, hex, answer (hex or None), done (when its last piece left)."""
        return [frame for frame in self.order("frames") if not address or frame["address"] == address]

    def events(self, what: str = "") -> list[dict[str, Any]]:
        """connected, resolved, disconnected (why), discovering, idle, monitoring, powered, unpowered, died, violation
        (text).
        """
        return [event for event in self.order("events") if not what or event["what"] == what]

    def violations(self) -> list[str]:
        """What should never be done: discovery while connecting, and the reverse."""
        return [event["text"] for event in self.events("violation")]

    def clear_log(self) -> None:
        self.order("clear_log")

    def connections(self) -> list[dict[str, Any]]:
        """Links that are up: adapter, address, resolved, notifying {uuid: [senders]}."""
        return list(self.order("connections"))

    def sessions(self) -> list[dict[str, str]]:
        """Discovery sessions: adapter, sender."""
        return list(self.order("sessions"))

    def devices(self) -> list[dict[str, Any]]:
        """Device objects: path, address, temporary, connected."""
        return list(self.order("devices"))

    def clients(self) -> list[dict[str, Any]]:
        """Connections of other processes on the bus: name, pid."""
        return [client for client in self.order("clients") if client["pid"] != self.pid]
