"""bleak's and BlueZ's many ways to fail, in our words."""

from __future__ import annotations

from bleak.exc import BleakBluetoothNotAvailableError, BleakDBusError, BleakDeviceNotFoundError, BleakError

from renogybt.errors import ConnectFailed, LinkError, NoAdapter, NotFound

TRANSIENT = (BleakError, TimeoutError, OSError, EOFError, KeyError, AttributeError, AssertionError)
"""What bleak raises for trouble on the air or on the bus. The last three slip out of it when BlueZ's objects change while it
looks at them; they say nothing about our code, because only single bleak calls are guarded with this."""

REMEDIES = (
    ("org.freedesktop.DBus.Error.ServiceUnknown", "Bluetooth is not running: sudo systemctl restart bluetooth"),
    ("org.bluez.Error.NotReady", "the adapter is switched off: bluetoothctl power on"),
    ("Blocked", "the adapter is blocked: sudo rfkill unblock bluetooth"),
    ("le-connection-abort-by-local", "the radio link could not be set up; weak signal or busy Wi-Fi on the same chip"),
    ("le-connection-abort-by-remote", "the module hung up; is the phone app connected?"),
    ("InProgress", "another Bluetooth operation is under way"),
)


def device_is_gone(error: BaseException) -> bool:
    """Whether BlueZ has forgotten the device since it was seen: scan again, no failure of the device."""
    return isinstance(error, BleakDeviceNotFoundError) or (isinstance(error, BleakError) and "not found" in str(error))


def bluez_is_gone(error: BaseException) -> bool:
    """Whether bluetoothd is not there, or not the one that bleak's memory is about: it crashed or was restarted."""
    gone = ("org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.UnknownObject")
    return isinstance(error, BleakDBusError) and error.dbus_error in gone


def translate(error: BaseException, what: str) -> LinkError:
    """The `LinkError` to raise for something bleak raised while doing `what`."""
    if isinstance(error, LinkError):
        return error
    if isinstance(error, BleakBluetoothNotAvailableError) or "No Bluetooth adapters" in str(error):
        return NoAdapter(f"{what}: no usable Bluetooth adapter ({error}); is it plugged in and switched on?")
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return NoAdapter(f"{what}: no connection to the system D-Bus, so no Bluetooth on this machine ({error})")
    name = error.dbus_error if isinstance(error, BleakDBusError) else ""
    text = f"{name} {error}".strip() if name and name not in str(error) else str(error) or type(error).__name__
    remedy = next((advice for mark, advice in REMEDIES if mark in text), "")
    kind = NoAdapter if "ServiceUnknown" in text else NotFound if device_is_gone(error) else ConnectFailed
    return kind(f"{what}: {text}" + (f" ({remedy})" if remedy else ""))
