"""The rig for tests with the real bleak."""

from tests.ble.rig import rig

__all__ = ["rig"]
