"""`python example.py config.ini`: read the configured devices and deliver, once or for ever."""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from msgspec.structs import replace

from renogybt.errors import ConfigError
from renogybt.reading import Reading
from renogybt.settings import Settings
from renogybt.version import __version__

log = logging.getLogger("renogybt")
EXIT_CONFIG = 2


def main(argv: list[str] | None = None, beside: str = "") -> int:
    """Returns 0 when all went well, 1 when a device or a receiver failed, 2 when the configuration cannot be used.

    `beside`: a file name given without a path is looked for in the current folder, then in this one.
    """
    arguments = parse(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    from renogybt.config import describe, load

    try:
        path = locate(arguments.config, beside)
        settings = replace(load(path, os.environ), file=path.name)
    except ConfigError as error:
        count = len(error.problems)
        print(f"{arguments.config} cannot be used ({count} problem{'s' if count > 1 else ''}):", file=sys.stderr)
        for problem in error.problems:
            print(f"  - {problem}", file=sys.stderr)
        return EXIT_CONFIG
    set_log_level(arguments.log_level or settings.data.log_level)
    if arguments.check:
        print(describe(settings))
        return 0
    del describe, load
    forget("renogybt.config")
    return run(settings)


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
        epilog="Exit code: 0 all went well, 1 a device could not be read or a reading not delivered, 2 wrong configuration.",
    )
    parser.add_argument("config", nargs="?", default="config.ini", help="configuration file (default: config.ini)")
    parser.add_argument("--check", action="store_true", help="only check the configuration and show what is in force")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), help="overrides log_level")
    parser.add_argument("--version", action="version", version=f"renogybt {__version__}")
    return parser.parse_args(argv, Arguments())


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


def run(settings: Settings) -> int:
    """Run the bridge until it is done, or until SIGTERM or Ctrl-C."""
    from renogybt.service.bridge import Bridge

    if settings.home_assistant_proxy.enabled:
        log.warning("[home_assistant_proxy] has no effect in this release; Home Assistant is reached through [mqtt]")
    bridge = Bridge(settings, on_reading=lambda reading: show(reading, settings))

    def stop(number: int, _: FrameType | None) -> None:
        bridge.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return bridge.run()


def show(reading: Reading, settings: Settings) -> None:
    """Print a reading where somebody may look for it: in one-shot runs, and when nothing else is switched on."""
    outlets = (settings.mqtt, settings.remote_logging, settings.influxdb, settings.history)
    busy = any(outlet.enabled for outlet in outlets) or any(system.enabled for system in settings.pvoutput)
    if settings.data.enable_polling and busy:
        return
    from renogybt.sinks.document import document

    data = document(reading, settings.data.temperature_unit, settings.data.fields)
    print(f"{reading.identity.label} => {json.dumps(data, ensure_ascii=False)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
