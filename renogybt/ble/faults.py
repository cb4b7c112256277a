"""bleak's and BlueZ's many ways to fail, in our words."""

from __future__ import annotations

from bleak.exc import BleakBluetoothNotAvailableError, BleakDBusError, BleakDeviceNotFoundError, BleakError

from renogybt.ble.budget import Cure
from renogybt.ble.characteristics import Bare
from renogybt.errors import ConnectFailed, LinkError, NoAdapter, NotFound

TRANSIENT = (BleakError, TimeoutError, OSError, EOFError, KeyError, AttributeError, AssertionError)
"""What bleak raises for trouble on the air or on the bus. The last three slip out of it when BlueZ's objects change while it
looks at them; they say nothing about our code, because only single bleak calls are guarded with this."""

REMEDIES = (
    ("org.freedesktop.DBus.Error.ServiceUnknown", "Bluetooth is not running: sudo systemctl restart bluetooth"),
    ("org.freedesktop.DBus.Error.AccessDenied", "this user may not use Bluetooth: sudo usermod -aG bluetooth $USER"),
    ("org.bluez.Error.NotReady", "the adapter is switched off: bluetoothctl power on"),
    ("Blocked", "the adapter is blocked: sudo rfkill unblock bluetooth"),
    ("le-connection-abort-by-local", "the radio link could not be set up; weak signal or busy Wi-Fi on the same chip"),
    ("le-connection-abort-by-remote", "the module hung up; is the phone app connected?"),
    ("Notify acquired", "another program on this machine receives what the module says"),
    ("InProgress", "another Bluetooth operation is under way"),
)
OFF = ("org.freedesktop.DBus.Error.ServiceUnknown", "org.bluez.Error.NotReady", "Blocked", "adapter '")
"""Marks of a failure that is not the module's: nothing to connect with at all."""
BRIEF = (
    "le-connection-abort-by-local",
    "le-connection-abort-by-remote",
    "le-connection-refused",
    "le-connection-busy",
    "le-connection-unknown",
    "Software caused connection abort",
    "br-connection-canceled",
    "InProgress",
    "NotConnected",
    "Not Connected",
    "Notify acquired",
    "failed to discover services",
    "Service Discovery has not been performed",
)
"""Marks of a failure that may be over in a moment."""
KEYS = ("key-missing", "AuthenticationFailed", "AuthenticationCanceled", "Not paired", "nsufficient Authentication")


def text_of(error: BaseException) -> str:
    name = error.dbus_error if isinstance(error, BleakDBusError) else ""
    text = str(error)
    return f"{name} {text}".strip() if name and name not in text else text or type(error).__name__


def says(error: BaseException, *marks: str) -> bool:
    text = text_of(error)
    return any(mark in text for mark in marks)


def device_is_gone(error: BaseException) -> bool:
    """Whether BlueZ has forgotten the device since it was seen: scan again, no failure of the device."""
    return isinstance(error, BleakDeviceNotFoundError) or (isinstance(error, BleakError) and "not found" in str(error))


def bluez_is_gone(error: BaseException) -> bool:
    """Whether bluetoothd is not there."""
    return isinstance(error, BleakDBusError) and error.dbus_error == "org.freedesktop.DBus.Error.ServiceUnknown"


def object_is_gone(error: BaseException) -> bool:
    """Whether bluetoothd does not know what bleak asked it about: the link ended, or it is not the same bluetoothd."""
    return isinstance(error, BleakDBusError) and error.dbus_error == "org.freedesktop.DBus.Error.UnknownObject"


def is_brief(error: BaseException) -> bool:
    return says(error, *BRIEF) or isinstance(error, KeyError | AttributeError | AssertionError | EOFError)


def cure(error: BaseException, seen: bool) -> Cure:
    """What to do about `error`, raised while connecting; `seen`: the module was heard just now, not only remembered."""
    if isinstance(error, Bare):
        return Cure.AGAIN
    if bluez_is_gone(error):
        return Cure.FORGET
    if says(error, *KEYS):
        return Cure.UNBOND
    if device_is_gone(error):
        return Cure.LOOK
    if is_brief(error):
        return Cure.AGAIN
    return Cure.GIVE_UP if seen else Cure.LOOK


def translate(error: BaseException, what: str) -> LinkError:
    """The `LinkError` to raise for something bleak raised while doing `what`."""
    if isinstance(error, LinkError):
        return error
    if isinstance(error, BleakBluetoothNotAvailableError) or "No Bluetooth adapters" in str(error):
        return NoAdapter(f"{what}: no usable Bluetooth adapter ({error}); is it plugged in and switched on?")
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return NoAdapter(f"{what}: no connection to the system D-Bus, so no Bluetooth on this machine ({error})")
    text = text_of(error)
    remedy = next((advice for mark, advice in REMEDIES if mark in text), "")
    kind = NoAdapter if says(error, *OFF) else NotFound if device_is_gone(error) else ConnectFailed
    return kind(f"{what}: {text}" + (f" ({remedy})" if remedy else ""))
