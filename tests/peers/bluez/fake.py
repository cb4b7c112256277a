"""The process: python -m tests.peers.bluez.fake --address ... --scenario scenario.json --control <unix socket>

It ends when told so, and when its standard input closes: then the test process is gone, and the bus daemon and the scratch
directory go too.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path

import msgspec

from tests.peers.bluez.remote import Remote, serve
from tests.peers.bluez.scenario import Scenario
from tests.peers.bluez.service import BlueZ
from tests.peers.bluez.systemd import Systemd


async def _main(options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    scenario = msgspec.json.decode(Path(options.scenario).read_bytes(), type=Scenario)
    bluez = BlueZ(scenario, options.address)
    remote = Remote(bluez)
    remote.daemon = options.daemon
    orphaned = asyncio.Event()

    def input_closed() -> None:
        if not os.read(0, 1024):
            loop.remove_reader(0)
            orphaned.set()
            remote.finished.set()

    if options.orphan:
        loop.add_reader(0, input_closed)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, remote.finished.set)
    await bluez.appear()
    if scenario.systemd:
        await Systemd(bluez, options.address).appear()
    server = await serve(remote, options.control)
    await remote.finished.wait()
    server.close()
    if orphaned.is_set():
        if remote.daemon:
            with contextlib.suppress(ProcessLookupError):
                os.kill(remote.daemon, signal.SIGKILL)
        if options.scratch:
            shutil.rmtree(options.scratch, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="A stand-in for bluetoothd, for tests.")
    parser.add_argument("--address", required=True, help="address of the D-Bus daemon")
    parser.add_argument("--scenario", required=True, help="scenario.json")
    parser.add_argument("--control", required=True, help="path of the control socket to make")
    parser.add_argument("--orphan", action="store_true", help="end when standard input closes")
    parser.add_argument("--daemon", type=int, default=0, help="process to end with it")
    parser.add_argument("--scratch", default="", help="directory to remove with it")
    asyncio.run(_main(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
