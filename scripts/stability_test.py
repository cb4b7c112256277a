#!/usr/bin/env python3
"""How steady is the Bluetooth connection here? Connects, reads everything, disconnects; again and again, and counts."""

# ruff: noqa: T201 (it talks to a person, and may be started from any folder)

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil
from msgspec.structs import replace
from stability_tally import EXIT_CANNOT, EXIT_NOT, EXIT_STEADY, WANTED_SECONDS, WANTED_SHARE, Footprint, Tally, report

from renogybt.ble.manager import BLEManager, open_files
from renogybt.ble.resets import Resets
from renogybt.ble.thread import RadioThread
from renogybt.config import load
from renogybt.errors import ConfigError, ConnectFailed
from renogybt.incident import Incident
from renogybt.reading import Failure, Reading
from renogybt.service.lock import Claims
from renogybt.settings import Device, Settings
from renogybt.simulator.plant import Plant
from renogybt.simulator.radio import SimulatedRadio
from renogybt.simulator.system import DEMO_SEED, DEMO_START, demo_settings
from renogybt.sources.module import Section

TRIES = 2
"""Attempts within one cycle, as the bridge itself makes several within one poll_interval of a minute."""
STUCK = 120.0
"""Seconds for one attempt, more than all its time limits together."""
SETTLE = 1.0
"""Seconds after the last cycle in which connections that failed late in it are closed."""
MEGABYTE = 1 << 20
HELP = f"""\
Reads every device of the configuration through a connection of its own: connect, read, disconnect. Nothing is sent to
MQTT or anywhere else, and no energy is counted. Stop the bridge first, because a module takes one connection at a time:

  sudo systemctl stop renogybt
  python3 scripts/stability_test.py config.ini --cycles 20
  sudo systemctl start renogybt

A cycle counts as good when every device behind the module was read, at the second attempt at the latest: {TRIES} attempts,
battery_retry_seconds of [bluetooth] apart. The time to connect is that of the attempts that came to a connection, with
looking for the module if it had to be looked for. Simulated devices take no time.

Exit code
  {EXIT_STEADY}  at least {WANTED_SHARE:g} % of the cycles were good, connecting took less than {WANTED_SECONDS:g} s on
     average, and nothing leaked
  {EXIT_NOT}  one of these was not so
  {EXIT_CANNOT}  it could not begin: the configuration cannot be used, or the bridge is running
"""


class Observed:
    """A radio, with a stopwatch at its door. With `fail` that share of attempts to connect fails (simulation)."""

    def __init__(self, radio: Any, tally: Tally, fail: float, dice: Random) -> None:
        self.radio, self._tally, self._fail, self._dice = radio, tally, fail, dice

    @asynccontextmanager
    async def lend(self, device: Device, gatt: Any) -> AsyncIterator[Any]:
        self._tally.attempts += 1
        if self._dice.random() < self._fail:
            raise ConnectFailed("the connection did not come about (injected)")
        began = time.monotonic()
        async with self.radio.lend(device, gatt) as link:
            self._tally.connects.append(time.monotonic() - began)
            yield link

    def __getattr__(self, name: str) -> Any:
        return getattr(self.radio, name)


def main(words: Sequence[str] | None = None) -> int:
    wish = parse(sys.argv[1:] if words is None else words)
    logging.basicConfig(level=logging.WARNING, format="        %(levelname)s %(message)s", stream=sys.stdout)
    try:
        settings = settings_of(wish)
    except ConfigError as error:
        print(f"{wish.config} cannot be used:", *(f"  - {problem}" for problem in error.problems), sep="\n", file=sys.stderr)
        return EXIT_CANNOT
    claims = Claims(() if wish.simulate else (device.module for device in settings.devices))
    for module, process in claims.taken.items():
        print(
            f"{module} is in use by process {process}. Stop the bridge first: sudo systemctl stop renogybt", file=sys.stderr
        )
        return EXIT_CANNOT
    tally = Tally()
    test = Test(settings, tally, wish.pause, 0.0 if wish.simulate else settings.bluetooth.battery_retry_seconds)
    test.start(maker(wish, settings, tally))
    try:
        test.run(wish.cycles)
    except KeyboardInterrupt:
        print("\nstopped by you; what was counted until now:")
    finally:
        ended = test.stop()
        claims.release()
    return report(tally, ended)


def parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=HELP, formatter_class=argparse.RawDescriptionHelpFormatter, prog="stability_test.py"
    )
    parser.add_argument("config", nargs="?", default="", help="configuration file (default: config.ini)")
    parser.add_argument(
        "--cycles", type=number(1, 1_000_000, int), default=20, help="how often each module is read (default: 20)"
    )
    parser.add_argument("--pause", type=number(0, 3600), default=2.0, help="seconds between two cycles (default: 2)")
    parser.add_argument(
        "--simulate", action="store_true", help="simulated devices and no Bluetooth (without a file: those of the demo)"
    )
    parser.add_argument(
        "--fail", type=number(0, 1), help="with --simulate: share of attempts to connect that fail, 0 to 1 (default: 0.3)"
    )
    parser.add_argument("--seed", type=int, default=1, help="with --simulate: which attempts these are (default: 1)")
    wish = parser.parse_args(words)
    if wish.fail is not None and not wish.simulate:
        parser.error("--fail is for simulated devices; give --simulate, too")
    wish.fail = 0.3 if wish.fail is None else wish.fail
    wish.config = wish.config or ("" if wish.simulate else "config.ini")
    return wish


def number(least: float, most: float, kind: Callable[[str], float] = float) -> Callable[[str], float]:
    """What reads a number in these limits from the command line."""

    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = most + 1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text} is no number from {least:g} to {most:g}")
        return value

    return read


def settings_of(wish: argparse.Namespace) -> Settings:
    """The configuration, with every module released after each reading. Raises `ConfigError`."""
    settings = load(Path(wish.config), os.environ) if wish.config else demo_settings(1883)
    devices = tuple(replace(device, connection="per_read") for device in settings.devices)
    return replace(settings, devices=devices)


def maker(wish: argparse.Namespace, settings: Settings, tally: Tally) -> Callable[[], Observed]:
    """What makes the radio, in its thread."""

    def noticed(incident: Incident) -> None:
        tally.incidents[incident.kind] += 1

    def radio() -> Observed:
        if wish.simulate:
            plant = Plant(DEMO_SEED, DEMO_START)
            return Observed(SimulatedRadio(plant, settings), tally, wish.fail, Random(wish.seed))
        manager = BLEManager(settings, noticed, Resets(settings.watchdog.resets_per_hour))
        return Observed(manager, tally, 0.0, Random())

    return radio


class Test:
    """The cycles, one after the other. `retry`: seconds between the attempts of one."""

    def __init__(self, settings: Settings, tally: Tally, pause: float, retry: float) -> None:
        self._settings, self._tally, self._pause, self._retry = settings, tally, pause, retry

    def start(self, make_radio: Callable[[], Observed]) -> None:
        self._thread = RadioThread(make_radio)
        self._thread.start()

    def stop(self) -> bool:
        """Whether Bluetooth let itself be switched off in time."""
        return self._thread.stop(15.0)

    def run(self, cycles: int) -> None:
        tally = self._tally
        for number in range(1, cycles + 1):
            for device in self._settings.devices:
                self._cycle(number, cycles, device)
            tally.footprints.append(self._footprint())
            if number < cycles:
                time.sleep(self._pause)
        time.sleep(SETTLE)
        tally.footprints.append(self._footprint())

    def _cycle(self, number: int, cycles: int, device: Device) -> None:
        tally, began = self._tally, time.monotonic()
        tally.cycles += 1
        connects = len(tally.connects)
        for attempt in range(1, TRIES + 1):
            lost = self._attempt(device)
            if lost is None or attempt == TRIES:
                break
            time.sleep(self._retry)
        if lost is None:
            tally.good += 1
            tally.retried += attempt > 1
        else:
            tally.lost[lost] += 1
        took = tally.connects[-1] if len(tally.connects) > connects else None
        words = "good" if lost is None else f"LOST  {tally.example[lost]}"
        again = f" at attempt {attempt}" if attempt > 1 and lost is None else ""
        link = f"connected in {took:5.2f} s" if took is not None else "not connected    "
        name = device.alias or device.mac_addr
        print(
            f"{number:3}/{cycles}  {name:<12} {link}  {time.monotonic() - began:6.2f} s in all  {words}{again}", flush=True
        )

    def _attempt(self, device: Device) -> str | None:
        """Read everything behind one module; why that failed, or None.

        The section is new each time: the bridge would leave a silent unit alone for a while, which is no test.
        """
        section, news = Section(device, self._settings), queue.SimpleQueue[Any]()

        async def job(radio: Any) -> None:
            await section.cycle(radio, news.put)

        trouble = self._do(job)
        wanted = {source.identity.label for source in section.sources}
        failures: dict[str, list[str]] = {}
        while not news.empty():
            item = news.get()
            if isinstance(item, Reading):
                wanted.discard(item.identity.label)
                self._tally.partial += item.partial
            elif isinstance(item, Failure):
                failures.setdefault(item.error, []).append(item.identity.label)
        if wanted and not failures:
            failures[trouble or "no reading and no reason"] = sorted(wanted)
        found = [self._tally.failed(labels, error) for error, labels in failures.items()]
        return found[0] if found else None

    def _do(self, job: Callable[[Any], Any]) -> str:
        """Have the radio thread do it; why it could not, or ""."""
        outcome = queue.SimpleQueue[BaseException | None]()
        self._thread.submit(job, outcome.put)
        try:
            error = outcome.get(timeout=STUCK)
        except queue.Empty:
            return f"no end within {STUCK:g} s"
        return "" if error is None else f"{type(error).__name__}: {error}"

    def _footprint(self) -> Footprint:
        found: list[tuple[int, int | None]] = []

        async def look(radio: Any) -> None:
            here = asyncio.current_task()
            tasks = sum(task is not here for task in asyncio.all_tasks())
            found.append((tasks, await bus_connections() if isinstance(radio.radio, BLEManager) else None))

        self._do(look)
        tasks, clients = found[0] if found else (0, None)
        return Footprint(
            open_files(), threading.active_count(), tasks, clients, psutil.Process().memory_info().rss / MEGABYTE
        )


async def bus_connections() -> int | None:
    """How many connections to the system D-Bus belong to this process. None where there is no BlueZ, or it does not tell."""
    if sys.platform != "linux":
        return None
    from dbus_fast import BusType, Message, MessageType
    from dbus_fast.aio import MessageBus

    name = "org.freedesktop.DBus"

    async def ask(member: str, *words: str) -> Any:
        call = Message(name, "/org/freedesktop/DBus", name, member, signature="s" * len(words), body=list(words))
        reply = await bus.call(call)
        return reply.body[0] if reply.message_type is MessageType.METHOD_RETURN else None

    try:
        async with asyncio.timeout(5):
            bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
            try:
                names = [each for each in await ask("ListNames") or () if each.startswith(":") and each != bus.unique_name]
                return [await ask("GetConnectionUnixProcessID", each) for each in names].count(os.getpid())
            finally:
                bus.disconnect()
    except (OSError, EOFError, TimeoutError):
        return None


if __name__ == "__main__":
    sys.exit(main())
