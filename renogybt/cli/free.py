"""`python example.py free`: disconnects modules that a killed program has left connected.

BlueZ keeps a connection whose program is gone, and a connected module is found by nobody. systemd runs this after the
program (ExecStopPost). It asks BlueZ through busctl, which belongs to systemd, and waits for nothing longer than `LIMIT`.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator

from renogybt.cli.failing import failed, unusable
from renogybt.cli.run import EXIT_TAKEN, settings_of
from renogybt.errors import ConfigError
from renogybt.service.lock import Lock, place

EXIT_OK, EXIT_FAILED = 0, 1
LIMIT = 15.0
"""Seconds for everything together."""
CALL_LIMIT = 5.0
DEVICE = "org.bluez.Device1"


def main(argv: list[str], beside: str = "") -> int:
    wish = parser().parse_args(argv[1:])
    if (os.environ.get("EXIT_CODE"), os.environ.get("EXIT_STATUS")) == ("exited", "0"):
        return EXIT_OK  # what systemd says of the program: it has ended in good order, so it has freed everything itself
    logging.basicConfig(level=logging.ERROR, format="%(message)s", stream=sys.stderr)
    try:
        settings = settings_of(wish.config, beside)
    except ConfigError as error:
        return unusable(wish.config, error)
    path = place(settings)
    lock = Lock(path) if path else None
    if lock and not lock.take():
        return failed(f"Process {lock.holder} is running with {wish.config}; ask it:  example.py release DEVICE", EXIT_TAKEN)
    try:
        return free(
            {device.mac_addr.upper() for device in settings.devices if device.mac_addr},
            {device.alias for device in settings.devices if not device.mac_addr},
        )
    except (OSError, subprocess.SubprocessError) as error:
        return failed(f"BlueZ could not be asked through busctl: {error}", EXIT_FAILED)
    finally:
        if lock:
            lock.release()


def parser() -> argparse.ArgumentParser:
    form = argparse.ArgumentParser(
        prog="free",
        description="Disconnect the modules of a configuration that a killed program has left connected.",
        epilog="Exit code: 0 done, 1 BlueZ did not obey, 2 wrong configuration, 75 the program is running.",
    )
    form.add_argument("--config", default="config.ini", metavar="FILE", help="configuration file (default: %(default)s)")
    return form


def free(addresses: set[str], names: set[str]) -> int:
    end = time.monotonic() + LIMIT
    objects = busctl(end, "/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
    code = EXIT_OK
    for path, address in connected(objects, addresses, names):
        try:
            busctl(end, path, DEVICE, "Disconnect")
        except subprocess.SubprocessError as error:
            code = failed(f"{address} is still connected: {error}", EXIT_FAILED)
        else:
            print(f"{address} was still connected; it is free now")
    return code


def connected(objects: str, addresses: set[str], names: set[str]) -> Iterator[tuple[str, str]]:
    """(path, address) of each device that is wanted and connected, from the answer of GetManagedObjects.

    That is one line, `"/path" 3 "org.bluez.Device1" 9 "Address" s "80:6F:B0:0F:12:34" …`, with quotes in texts as \\".
    (busctl has a form for programs too, but that of Debian 12 fails on interfaces without properties.)
    """
    _, *pieces = re.split(r'"(/[\w/]*)" \d+ (?="org\.)', objects)
    for path, entry in zip(pieces[::2], pieces[1::2], strict=True):
        texts: dict[str, str] = dict(re.findall(r'"(Address|Name)" s "((?:[^"\\]|\\.)*)"', entry))
        known = texts.get("Address", "").upper() in addresses or texts.get("Name", "").strip() in names
        if known and f'"{DEVICE}"' in entry and '"Connected" b true' in entry:
            yield path, texts.get("Address", path)


def busctl(end: float, path: str, interface: str, member: str) -> str:
    """Call a method of BlueZ. Raises `OSError` without busctl, `SubprocessError` when it fails or takes too long."""
    seconds = max(0.5, min(CALL_LIMIT, end - time.monotonic()))
    options = ("--system", "--auto-start=no", f"--timeout={seconds:.1f}")
    words = ["busctl", *options, "call", "org.bluez", path, interface, member]
    done = subprocess.run(words, capture_output=True, text=True, timeout=seconds + 1, check=False)
    if done.returncode:
        raise subprocess.SubprocessError(done.stderr.strip() or f"exit code {done.returncode}")
    return done.stdout
