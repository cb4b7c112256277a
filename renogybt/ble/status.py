"""What went wrong, in the numbers that Bluetooth and the ESPHome firmware have for it."""

from __future__ import annotations

from enum import IntEnum

from bleak.exc import BleakGATTProtocolError

from renogybt.ble.faults import device_is_gone, says
from renogybt.errors import LinkError, NoAdapter, NotFound, Wedged


class Status(IntEnum):
    """Up to 0x7F as in the Bluetooth specification (of attributes; for connections, of the controller), above as in ESP-IDF.

    -1 is ESPHome's own.
    """

    NOT_CONNECTED = -1
    INVALID_HANDLE = 0x01
    TIMEOUT = 0x08
    NO_RESOURCES = 0x11
    GONE = 0x13
    LET_GO = 0x16
    NOT_ESTABLISHED = 0x3E
    INTERNAL = 0x81
    BUSY = 0x84
    ERROR = 0x85
    REFUSED_KEYS = 0x89
    CANCELLED = 0x100


MARKS = (
    ("le-connection-abort-by-remote", Status.GONE),
    ("le-connection-abort-by-local", Status.NOT_ESTABLISHED),
    ("br-connection-canceled", Status.CANCELLED),
    ("Not connected", Status.NOT_CONNECTED),
    ("NotConnected", Status.NOT_CONNECTED),
    ("ATT error: 0x0e", Status.NOT_CONNECTED),
    ("Authentication", Status.REFUSED_KEYS),
    ("InProgress", Status.BUSY),
)


class Denied(LinkError):
    """What a client asked for did not work; `code` says why, mostly a `Status`, else one of the device's own."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = int(code)


def status_of(error: BaseException) -> int:
    """The number for something that bleak or our own code raised."""
    if isinstance(error, Denied):
        return error.code
    if isinstance(error, BleakGATTProtocolError):
        return int(error.args[0])
    if isinstance(error, TimeoutError):
        return Status.TIMEOUT
    if isinstance(error, Wedged):
        return Status.INTERNAL
    if isinstance(error, NotFound) or device_is_gone(error):
        return Status.NOT_ESTABLISHED
    if isinstance(error, NoAdapter):
        return Status.ERROR
    return next((status for mark, status in MARKS if says(error, mark)), Status.ERROR)
