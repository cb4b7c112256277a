"""The kernel's radio switch."""

from __future__ import annotations

import os
import struct

BLUETOOTH, CHANGE_ALL = 2, 3


def unblock(path: str) -> str:
    """Lift the software block of every Bluetooth radio. Returns "" or why that was not possible.

    The kernel takes an event of eight bytes: index (unused here), type of radio, operation, soft block, hard block.
    """
    if not path:
        return "unblocking is switched off in [watchdog]"
    event = struct.pack("=IBBBB", 0, BLUETOOTH, CHANGE_ALL, 0, 0)
    try:
        switch = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        return f"{path}: {error.strerror}"
    try:
        os.write(switch, event)
    except OSError as error:
        return f"{path}: {error.strerror}"
    finally:
        os.close(switch)
    return ""
