"""What a connected device shows below itself: services, characteristics, descriptors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbus_fast import Variant

from tests.peers.bluez.characteristic import CHARACTERISTIC, DESCRIPTOR, Characteristic, Descriptor
from tests.peers.bluez.gatt import PRESETS, laid_out, uuid

if TYPE_CHECKING:
    from tests.peers.bluez.device import Device

SERVICE = "org.bluez.GattService1"


class Services:
    def __init__(self, device: Device) -> None:
        self._device = device
        self.chars: dict[str, Characteristic] = {}

    def expose(self, preset: str | None = None) -> None:
        """Publish services, characteristics and descriptors: the module's own, or those of `preset`."""
        tree, module = self._device.bluez.tree, self._device.module
        services, everything = laid_out(PRESETS[preset]) if preset else (module.services, module.placed)
        for handle, service in services:
            path = f"{self._device.path}/service{handle:04x}"
            held = {
                "UUID": Variant("s", uuid(service.number)),
                "Device": Variant("o", self._device.path),
                "Primary": Variant("b", True),
                "Includes": Variant("ao", []),
            }
            tree.add(path, SERVICE, held)
            for placed in everything:
                if placed.service == handle:
                    self._expose(Characteristic(self._device, placed))

    def _expose(self, char: Characteristic) -> None:
        self.chars[char.path] = self._device.bluez.paths[char.path] = char
        self._device.bluez.tree.add(char.path, CHARACTERISTIC, char.properties())
        if char.placed.descriptor:
            descriptor = Descriptor(char)
            self._device.bluez.paths[descriptor.path] = descriptor
            self._device.bluez.tree.add(descriptor.path, DESCRIPTOR, descriptor.properties())

    def tear(self) -> None:
        """One characteristic goes again, while its service stays: what is seen of a table that is being rebuilt."""
        path, char = self.chars.popitem()
        char.close()
        self._device.bluez.paths.pop(path, None)
        self._device.bluez.tree.remove(path)

    def withdraw(self) -> None:
        """Take everything below the device away, leaves first."""
        for path in reversed(self._device.bluez.tree.under(self._device.path)):
            self._device.bluez.paths.pop(path, None)
            self._device.bluez.tree.remove(path)
        for char in self.chars.values():
            char.close()
        self.chars.clear()

    def notify(self, role: str, data: bytes) -> None:
        for char in self.chars.values():
            if char.char.role == role:
                char.notify(data)
