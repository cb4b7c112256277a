"""`make demo`: the whole bridge on simulated devices, with a broker of its own and a live table in the terminal."""

from __future__ import annotations

import argparse
import logging
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from renogybt.cli.board import Board
from renogybt.errors import RenogyError
from renogybt.reading import Reading
from renogybt.service.bridge import Bridge
from renogybt.settings import Settings
from renogybt.simulator.broker import HOST, USUAL_PORT, EmbeddedBroker, free_port
from renogybt.simulator.plant import Plant
from renogybt.simulator.radio import SimulatedRadio
from renogybt.simulator.system import DEMO_SEED, DEMO_SPEED, DEMO_START, demo_settings, faster

EXIT_PROBLEM = 2
REDRAW, REPRINT = 0.25, 5.0
"""Seconds between two pictures, on a terminal and in a file or pipe."""
PAGE = 120
"""Characters per line where there is no terminal to ask."""
HOME, REST_OF_LINE, REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
CLEAR, HIDE_CURSOR, SHOW_CURSOR = "\x1b[2J", "\x1b[?25l", "\x1b[?25h"


def main(argv: list[str] | None = None) -> int:
    """Run until Ctrl-C (or as long as asked for); returns the exit code."""
    wish = _arguments().parse_args(argv)
    port = free_port(wish.port)
    if port != wish.port:
        print(f"Port {wish.port} is taken; the demo's broker uses {port} instead.")
    broker = EmbeddedBroker(port)
    try:
        broker.start()
    except RenogyError as error:
        print(f"The demo cannot start: {error}", file=sys.stderr)
        return EXIT_PROBLEM
    try:
        with tempfile.TemporaryDirectory(prefix="renogybt-demo-") as folder:
            return _run(demo_settings(port, folder, wish.poll), wish)
    finally:
        broker.stop()


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="renogybt demo", description="Shows the bridge at work on simulated devices. Needs no hardware; Ctrl-C ends it."
    )
    parser.add_argument(
        "--port", type=int, default=USUAL_PORT, help="port of the built-in MQTT broker (default %(default)s)"
    )
    parser.add_argument("--cycles", type=int, default=0, metavar="N", help="end when every device was read N times")
    parser.add_argument("--seconds", type=float, default=0, metavar="N", help="end after N seconds")
    parser.add_argument(
        "--speed", type=float, default=DEMO_SPEED, metavar="N", help="simulated seconds per second (default %(default)g)"
    )
    parser.add_argument(
        "--poll", type=float, default=2.0, metavar="N", help="seconds between readings (default %(default)g)"
    )
    parser.add_argument("--seed", type=int, default=DEMO_SEED, metavar="N", help="another number, another weather")
    return parser


def _run(settings: Settings, wish: argparse.Namespace) -> int:
    plant = Plant(wish.seed, DEMO_START)
    radio = SimulatedRadio(plant, settings, faster(plant.start, wish.speed))
    notes = Notes()
    screen = Screen(_heading(settings, wish.speed), plant, notes)
    expected = sum(len(device.device_id) for device in settings.devices)

    def take(reading: Reading) -> None:
        screen.take(reading)
        if wish.cycles and screen.board.rounds(expected) >= wish.cycles:
            bridge.stop()

    bridge = Bridge(settings, radio=radio, on_reading=take)
    alarm = threading.Timer(wish.seconds, bridge.stop)
    alarm.daemon = True
    with notes.listening(), screen.shown(), _ended_by_signal(bridge):
        if wish.seconds:
            alarm.start()
        code = bridge.run()
    alarm.cancel()
    print(f"Ended after {screen.board.readings} readings.")
    return code


def _heading(settings: Settings, speed: float) -> list[str]:
    mqtt = settings.mqtt
    base = mqtt.topic.split("/")[0]
    return [
        f"Simulated devices, {speed:g} times as fast as life. MQTT broker: {HOST}:{mqtt.port}",
        f"Look in from another terminal: mosquitto_sub -h {HOST} -p {mqtt.port} -v -t '{base}/#'",
    ]


@contextmanager
def _ended_by_signal(bridge: Bridge) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the bridge in good order; a second one ends the program at once."""
    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def end(number: int, frame: object) -> None:
        bridge.stop()
        signal.signal(number, before[number])

    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Notes(logging.Handler):
    """The last warnings of the bridge, for the foot of the screen: printed at once they would tear the table."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: deque[str] = deque(maxlen=3)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname.lower()}: {record.getMessage()}")

    @contextmanager
    def listening(self) -> Iterator[None]:
        root = logging.getLogger()
        root.addHandler(self)
        try:
            yield
        finally:
            root.removeHandler(self)


class Screen:
    """Draws the table: in place on a terminal, as a block every few seconds elsewhere."""

    def __init__(self, heading: list[str], plant: Plant, notes: Notes) -> None:
        self.board = Board()
        self._heading, self._plant, self._notes = heading, plant, notes
        self._live = sys.stdout.isatty()
        self._drawn = time.monotonic() - REPRINT + 1.0

    def take(self, reading: Reading) -> None:
        self.board.take(reading)
        now = time.monotonic()
        if now - self._drawn >= (REDRAW if self._live else REPRINT):
            self.draw(now)

    def draw(self, now: float) -> None:
        self._drawn = now
        hour, minute = divmod(int(self._plant.time) % 86400 // 60, 60)
        sky = f"In the simulation it is {hour:02d}:{minute:02d}, the sun gives {100 * self._plant.flows.sun:.0f} %."
        head = [*self._heading, sky, ""]
        if not self._live:
            print("\n".join([*head[2:3], *self.board.lines(now, PAGE), *self._notes.lines, ""]), flush=True)
            return
        width, height = shutil.get_terminal_size()
        room = max(1, height - len(head) - len(self._notes.lines) - 1)
        lines = [*head, *self.board.lines(now, width, room), *self._notes.lines]
        picture = "".join(f"{line[:width]}{REST_OF_LINE}\n" for line in lines)
        sys.stdout.write(HOME + picture + REST_OF_SCREEN)
        sys.stdout.flush()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """From clearing the screen to giving it back."""
        print(f"{CLEAR}{HOME}{HIDE_CURSOR}" if self._live else "\n".join(self._heading), flush=True)
        try:
            yield
        finally:
            self.draw(time.monotonic())
            if self._live:
                print(SHOW_CURSOR, end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
