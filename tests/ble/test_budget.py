"""Time limits and cures, without any waiting."""

import pytest
from bleak.exc import BleakDBusError, BleakDeviceNotFoundError, BleakError, BleakGATTProtocolError

from renogybt.ble.budget import QUICK_RETRIES, Attempts, Cure, budget, cycle_limit, plan
from renogybt.ble.characteristics import Bare
from renogybt.ble.faults import cure, translate
from renogybt.errors import ConnectFailed, NoAdapter, NotFound
from renogybt.settings import Bluetooth


def dbus(name: str, text: str = "") -> BleakDBusError:
    return BleakDBusError(name, [text])


def failed(text: str) -> BleakDBusError:
    return dbus("org.bluez.Error.Failed", text)


@pytest.mark.parametrize(("failures", "seconds"), [(0, 25), (1, 30), (2, 35), (3, 40), (4, 45), (5, 45), (1000, 45)])
def test_the_time_to_connect_grows_with_failures_up_to_45_s(failures: int, seconds: float) -> None:
    assert budget(failures) == seconds
    assert budget(failures, 12) == 12


def test_a_cycle_ends_by_itself_before_85_s() -> None:
    usual = plan(Bluetooth())
    assert (usual.attempts, usual.seconds, usual.delay, usual.total) == (3, 5, 1, 30)
    assert usual.cycle(0) == 55
    assert usual.cycle(9) == 75
    assert usual.longest == 80
    assert cycle_limit(Bluetooth()) == 85


def test_who_asks_for_more_gets_it() -> None:
    wish = Bluetooth(discovery_timeout=20, discovery_retries=4, discovery_delay=10, connection_timeout=100)
    assert plan(wish).total == 4 * 20 + 3 * 10 + 5
    assert plan(wish).longest == 115 + 100 + 5
    assert cycle_limit(wish) == 225
    assert plan(Bluetooth(), patient=True).attempts == 6
    assert plan(Bluetooth(), patient=True).total == 40


@pytest.mark.parametrize(
    ("error", "if_seen", "if_only_remembered"),
    [
        (failed("le-connection-abort-by-local"), Cure.AGAIN, Cure.AGAIN),
        (failed("le-connection-abort-by-remote"), Cure.AGAIN, Cure.AGAIN),
        (failed("br-connection-canceled"), Cure.AGAIN, Cure.AGAIN),
        (dbus("org.bluez.Error.InProgress", "In Progress"), Cure.AGAIN, Cure.AGAIN),
        (dbus("org.bluez.Error.NotPermitted", "Notify acquired"), Cure.AGAIN, Cure.AGAIN),
        (dbus("org.bluez.Error.NotConnected", "Not Connected"), Cure.AGAIN, Cure.AGAIN),
        (BleakError("failed to discover services, device disconnected"), Cure.AGAIN, Cure.AGAIN),
        (KeyError("org.bluez.GattService1"), Cure.AGAIN, Cure.AGAIN),
        (AssertionError(), Cure.AGAIN, Cure.AGAIN),
        (AttributeError("'NoneType' object has no attribute 'call'"), Cure.AGAIN, Cure.AGAIN),
        (EOFError(), Cure.AGAIN, Cure.AGAIN),
        (Bare("no fff1"), Cure.AGAIN, Cure.AGAIN),
        (TimeoutError(), Cure.GIVE_UP, Cure.LOOK),
        (failed("le-connection-timeout"), Cure.GIVE_UP, Cure.LOOK),
        (BleakError("device 'dev_60' not found"), Cure.LOOK, Cure.LOOK),
        (BleakDeviceNotFoundError("60"), Cure.LOOK, Cure.LOOK),
        (failed("le-connection-key-missing"), Cure.UNBOND, Cure.UNBOND),
        (dbus("org.bluez.Error.AuthenticationFailed"), Cure.UNBOND, Cure.UNBOND),
        (dbus("org.bluez.Error.NotPermitted", "Not paired"), Cure.UNBOND, Cure.UNBOND),
        (BleakGATTProtocolError(5), Cure.UNBOND, Cure.UNBOND),
        (dbus("org.freedesktop.DBus.Error.ServiceUnknown"), Cure.FORGET, Cure.FORGET),
    ],
    ids=str,
)
def test_what_a_failure_calls_for(error: BaseException, if_seen: Cure, if_only_remembered: Cure) -> None:
    assert cure(error, seen=True) is if_seen
    assert cure(error, seen=False) is if_only_remembered


def test_cures_are_used_up() -> None:
    attempts = Attempts()
    pauses = []
    while attempts.allow(Cure.AGAIN):
        pauses.append(attempts.pause)
    assert pauses == [0.25, 0.5, 1.0]
    assert len(pauses) == QUICK_RETRIES
    assert [attempts.allow(Cure.LOOK) for _ in range(2)] == [True, False]
    assert [attempts.allow(Cure.FORGET) for _ in range(2)] == [True, False]
    assert not attempts.allow(Cure.GIVE_UP)


@pytest.mark.parametrize(
    ("error", "kind", "remedy"),
    [
        (dbus("org.freedesktop.DBus.Error.ServiceUnknown"), NoAdapter, "systemctl restart bluetooth"),
        (dbus("org.bluez.Error.NotReady", "Resource Not Ready"), NoAdapter, "bluetoothctl power on"),
        (dbus("org.bluez.Error.Blocked", "Blocked through rfkill (0x12)"), NoAdapter, "rfkill unblock bluetooth"),
        (BleakError("adapter 'hci0' not found"), NoAdapter, "hci0"),
        (dbus("org.freedesktop.DBus.Error.AccessDenied", "Rejected"), ConnectFailed, "usermod -aG bluetooth"),
        (FileNotFoundError(2, "No such file"), NoAdapter, "no connection to the system D-Bus"),
        (BleakError("device 'dev_60' not found"), NotFound, "not found"),
        (failed("le-connection-abort-by-remote"), ConnectFailed, "phone app"),
        (TimeoutError("connecting to rover took longer than 25 s"), ConnectFailed, "longer than 25 s"),
    ],
    ids=str,
)
def test_each_failure_has_its_class_and_its_remedy(error: BaseException, kind: type, remedy: str) -> None:
    told = translate(error, "connecting to rover")
    assert type(told) is kind
    assert remedy in str(told)
    assert str(told).startswith("connecting to rover: ")
