"""The object tree of the service and the signals its changes cause."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dbus_fast import Message, MessageType, Variant

PROPERTIES = "org.freedesktop.DBus.Properties"
MANAGER = "org.freedesktop.DBus.ObjectManager"
_COMMON: tuple[str, ...] = ("org.freedesktop.DBus.Introspectable", PROPERTIES)

Properties = dict[str, Variant]
Interfaces = dict[str, Properties]


class Tree:
    """Paths with interfaces with properties. Every change is sent through `send` while there is somebody to send to."""

    def __init__(self) -> None:
        self.objects: dict[str, Interfaces] = {"/org/bluez": {"org.bluez.AgentManager1": {}}}
        self.send: Callable[[Message], Any] | None = None

    def add(self, path: str, interface: str, properties: Properties) -> None:
        self.objects[path] = {**{name: {} for name in _COMMON}, interface: properties}
        self.announce(path)

    def announce(self, path: str) -> None:
        self._signal("/", MANAGER, "InterfacesAdded", "oa{sa{sv}}", [path, self.objects[path]])

    def remove(self, path: str) -> None:
        gone = self.objects.pop(path, None)
        if gone is not None:
            self._signal("/", MANAGER, "InterfacesRemoved", "oas", [path, list(gone)])

    def change(self, path: str, interface: str, changed: Properties, invalidated: Iterable[str] = ()) -> None:
        """Set and drop properties, and tell everybody. Unknown objects are only told about."""
        held = self.objects.get(path, {}).get(interface)
        gone = list(invalidated)
        if held is not None:
            held.update(changed)
            for name in gone:
                held.pop(name, None)
        self._signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, changed, gone])

    def get(self, path: str, interface: str, name: str) -> Any:
        """The plain value of a property, None when there is no such thing."""
        held = self.objects.get(path, {}).get(interface, {}).get(name)
        return None if held is None else held.value

    def under(self, path: str) -> list[str]:
        """The objects below `path`, parents first."""
        return sorted(other for other in self.objects if other.startswith(path + "/"))

    def _signal(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> None:
        if self.send is not None:
            kind = MessageType.SIGNAL
            self.send(
                Message(path=path, interface=interface, member=member, message_type=kind, signature=signature, body=body)
            )
