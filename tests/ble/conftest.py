"""The rig for tests with the real bleak, and the fake BlueZ for those of the watchdog."""

from tests.ble.rig import rig
from tests.ble.watched import bluez

__all__ = ["bluez", "rig"]
