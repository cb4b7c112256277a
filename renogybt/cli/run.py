"""`python example.py config.ini`: read the configured devices and deliver, once or for ever."""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import TYPE_CHECKING, NoReturn

from msgspec.structs import replace

from renogybt.errors import ConfigError, UserError
from renogybt.reading import Reading
from renogybt.settings import Settings
from renogybt.version import __version__

if TYPE_CHECKING:
    from renogybt.service.bridge import Bridge
    from renogybt.service.systemd import Notifier

log = logging.getLogger("renogybt")
EXIT_CONFIG, EXIT_TAKEN = 2, 75
NOTHING: Mapping[str, str] = MappingProxyType({})
ESPHOME: Mapping[str, str] = MappingProxyType(
    {"RENOGYBT_HOME_ASSISTANT_PROXY__ENABLED": "true", "RENOGYBT_DATA__ENABLE_POLLING": "true"}
)
"""Makes a program for Home Assistant of any configuration; put in before that is checked."""
HARD_LIMIT = 17.0
"""Seconds from the first signal after which the process ends, whatever hangs, with exit code 1."""
COMMANDS = {"release": "ask", "resume": "ask", "status": "ask", "free": "free", "esphome-key": "esphome_key"}
"""First words of the command line that are no configuration file, and the file here that understands them."""
EPILOG = """\
commands, each with a --help of its own:
  release DEVICE   let the phone app have a module for some minutes
  resume DEVICE    read it again at once
  status           how the running program does
  free             disconnect modules that a killed program has left connected
  esphome-key      make a key for the connection to Home Assistant without a broker

Exit code: 0 all went well, 1 a device could not be read or a reading not delivered, 2 wrong configuration,
75 this configuration is in use by another process.
"""


def main(argv: list[str] | None = None, beside: str = "", esphome: bool = False) -> int:
    """Returns 0 when all went well, 1 when a device or a receiver failed, 2 when the configuration cannot be used, 75 when
    another process is using it.

    `beside`: a file name given without a path is looked for in the current folder, then in this one. `esphome`: be an
    ESPHome device for Home Assistant, whatever the configuration says.
    """
    words = sys.argv[1:] if argv is None else argv
    if is_command(words):
        command: int = import_module(f"renogybt.cli.{COMMANDS[words[0]]}").main(words, beside)
        return command
    arguments = parse(words)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        settings = settings_of(arguments.config, beside, ESPHOME if esphome else NOTHING)
    except ConfigError as error:
        count = len(error.problems)
        print(f"{arguments.config} cannot be used ({count} problem{'s' if count > 1 else ''}):", file=sys.stderr)
        for problem in error.problems:
            print(f"  - {problem}", file=sys.stderr)
        return EXIT_CONFIG
    set_log_level(arguments.log_level or settings.data.log_level)
    if arguments.check:
        from renogybt.config import describe

        print(describe(settings))
        return 0
    forget("renogybt.config")
    try:
        return run(settings, esphome)
    except UserError as error:
        print(f"{arguments.config} cannot be used: {error}", file=sys.stderr)
        return EXIT_CONFIG


def is_command(words: list[str]) -> bool:
    """A configuration file may be called `status`; then the file is meant."""
    return bool(words) and words[0] in COMMANDS and not Path(words[0]).is_file()


def forget(room: str) -> None:
    """Free a room that is not needed again; what is loaded next takes its place (a third of a megabyte)."""
    for name in [name for name in sys.modules if name == room or name.startswith(f"{room}.")]:
        del sys.modules[name]
    parent, _, child = room.rpartition(".")
    delattr(sys.modules[parent], child)
    gc.collect()


@dataclass(slots=True)
class Arguments:
    """The words of the command line."""

    config: str = "config.ini"
    check: bool = False
    log_level: str | None = None


def parse(argv: list[str]) -> Arguments:
    if len(argv) <= 1 and not any(word.startswith("-") for word in argv):
        return Arguments(argv[0]) if argv else Arguments()
    import argparse  # the daemon is started without options and need not carry this for years

    parser = argparse.ArgumentParser(
        description="Read Renogy devices over Bluetooth and deliver the readings (MQTT, Home Assistant and more).",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", nargs="?", default="config.ini", help="configuration file (default: config.ini)")
    parser.add_argument("--check", action="store_true", help="only check the configuration and show what is in force")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), help="overrides log_level")
    parser.add_argument("--version", action="version", version=f"renogybt {__version__}")
    return parser.parse_args(argv, Arguments())


def settings_of(config: str, beside: str, forced: Mapping[str, str] = NOTHING) -> Settings:
    """`forced` is stronger than file and environment. Raises `ConfigError`."""
    from renogybt.config import load

    path = locate(config, beside)
    return replace(load(path, {**os.environ, **forced}), file=path.name)


def locate(config: str, beside: str) -> Path:
    """cron starts programs in the home folder: what is not there may lie beside the program."""
    path = Path(config)
    if beside and not path.exists() and not path.is_absolute() and (Path(beside) / path).exists():
        return Path(beside) / path
    return path


def set_log_level(level: str) -> None:
    logging.getLogger().setLevel(level.upper())
    for noisy in ("bleak", "dbus_fast", "urllib3", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
    logging.getLogger("dbus_fast.message_bus").addFilter(Rarely())


class Rarely(logging.Filter):
    """Lets the same words pass once in `PAUSE` seconds: of a device that BlueZ shows half, bleak complains at each of its
    advertisements, with a traceback, and an SD card should not have to keep that."""

    PAUSE, MOST = 600.0, 50

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        words, at = record.getMessage(), record.created
        if abs(at - self._said.get(words, float("-inf"))) < self.PAUSE:
            return False
        if len(self._said) >= self.MOST:
            self._said.clear()
        self._said[words] = at
        return True


def run(settings: Settings, esphome: bool = False) -> int:
    """Run the bridge until it is done, or until SIGTERM, SIGHUP or Ctrl-C. No configuration is run twice at the same time.

    `esphome`: without the part for Home Assistant the rest would be of no use. Raises `UserError`.
    """
    from renogybt.service.lock import Claims, Lock, place

    path = place(settings)
    lock = Lock(path) if path else None
    if lock and not lock.take():
        print(
            f"{settings.file} is in use by process {lock.holder}, which has locked {lock.path}: a module has one partner "
            "at a time. End that program first (if systemd runs it: sudo systemctl stop renogybt).",
            file=sys.stderr,
        )
        return EXIT_TAKEN
    claims = Claims(device.module for device in settings.devices)
    claims.warn()
    try:
        return bridged(settings, esphome)
    finally:
        claims.release()
        if lock:
            lock.release()


def bridged(settings: Settings, esphome: bool) -> int:
    import faulthandler

    from renogybt.service.bridge import Bridge
    from renogybt.service.tidy import Tidy, one_heap

    one_heap()
    faulthandler.enable(2)  # systemd ends a program without a sign of life by SIGABRT: the log then shows where it hung
    proxy = settings.home_assistant_proxy
    if proxy.enabled and not proxy.with_renogy_client:
        settings = replace(settings, devices=())
    if proxy.enabled and not settings.data.enable_polling:
        log.warning("[home_assistant_proxy] needs a program that runs for ever: set enable_polling = true in [data]")
    told, to_systemd = settings, notifier()
    try:
        bridge = Bridge(settings, on_reading=lambda reading: show(reading, told), notifier=to_systemd, tidy=Tidy())
    except UserError as error:
        if esphome or not proxy.enabled:
            raise
        log.error("%s. All the rest goes on without it", error)  # files of the predecessor may have it switched on
        told = replace(settings, home_assistant_proxy=replace(proxy, enabled=False))
        bridge = Bridge(told, on_reading=lambda reading: show(reading, told), notifier=to_systemd, tidy=Tidy())
    ending = Ending(bridge)
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):  # the last when its terminal is closed, unless nohup keeps it running
        number = getattr(signal, name, None)
        if number is not None and (name != "SIGHUP" or signal.getsignal(number) is not signal.SIG_IGN):
            signal.signal(number, ending)
    return bridge.run()


def notifier() -> Notifier:
    """To systemd, if that started this process. Taken out of the environment, so that nobody else speaks in its name."""
    from renogybt.service.systemd import Notifier

    address, limit, pid = (os.environ.pop(name, "") for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"))
    return Notifier(address, limit if pid in ("", str(os.getpid())) else "")


class Ending:
    """What SIGTERM, SIGHUP and Ctrl-C do: the first asks the bridge to end, a second one ends the process at once.

    From the first on the time runs: after `HARD_LIMIT` the process is ended from outside the interpreter, whatever hangs.
    That also covers what Python itself does at its end, so the time runs on when the bridge has ended.
    """

    def __init__(self, bridge: Bridge) -> None:
        self._bridge, self._asked = bridge, 0

    def __call__(self, number: int, _: FrameType | None) -> None:
        import faulthandler

        if self._asked and number == getattr(signal, "SIGHUP", None):
            return  # a terminal that closes may say so twice
        self._asked += 1
        if self._asked > 1:
            self._at_once(number)
        faulthandler.dump_traceback_later(HARD_LIMIT, exit=True, file=2)
        self._bridge.stop()

    def _at_once(self, number: int) -> NoReturn:
        """Only the energy totals are saved; nothing else cannot be had again. A third signal does not wait even for that."""
        try:
            if self._asked == 2:
                self._bridge.last_resort()
        finally:
            os._exit(128 + number)


def show(reading: Reading, settings: Settings) -> None:
    """Print a reading where somebody may look for it: in one-shot runs, and when nothing else is switched on."""
    outlets = (settings.mqtt, settings.remote_logging, settings.influxdb, settings.history, settings.home_assistant_proxy)
    busy = any(outlet.enabled for outlet in outlets) or any(system.enabled for system in settings.pvoutput)
    if settings.data.enable_polling and busy:
        return
    from renogybt.sinks.document import document

    data = document(reading, settings.data.temperature_unit, settings.data.fields)
    print(f"{reading.identity.label} => {json.dumps(data, ensure_ascii=False)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
