"""`python example.py release roof`: asks something of the program that is running, through its socket."""

from __future__ import annotations

import argparse
import json
import logging
import socket
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Any

from renogybt.cli.failing import failed, unusable
from renogybt.cli.run import settings_of
from renogybt.command import RELEASE_MINUTES
from renogybt.errors import ConfigError
from renogybt.service.door import place, reachable
from renogybt.settings import Settings

EXIT_OK, EXIT_FAILED, EXIT_NOBODY = 0, 1, 69
ANSWER_LIMIT = 50.0
"""Seconds to wait for an answer: longer than the program itself lets anybody wait."""
MOST_INCIDENTS = 10
KNOWN = ("ok", "text", "state", "started", "now", "devices", "incidents")
EPILOG = """\
Exit code: 0 done, 1 refused or failed, 2 wrong configuration or command line, 69 no program is running with this
configuration.
"""


def main(argv: list[str], beside: str = "") -> int:
    """Returns the exit code that `--help` explains."""
    logging.basicConfig(level=logging.ERROR, format="%(message)s", stream=sys.stderr)
    wish = parser().parse_args(argv)
    try:
        settings = settings_of(wish.config, beside)
    except ConfigError as error:
        return unusable(wish.config, error)
    path = place(settings)
    assert path
    request = {name: value for name, value in vars(wish).items() if name in ("do", "device", "minutes")}
    try:
        answer = ask(path, request)
    except (FileNotFoundError, ConnectionRefusedError):
        return failed(nobody(path, settings, wish.config), EXIT_NOBODY)
    except PermissionError:
        return failed(f"{path}: this user may not use it. Put in front of the command:  sudo -u {owner(path)}", EXIT_FAILED)
    except TimeoutError:
        return failed(f"no answer within {ANSWER_LIMIT:g} s; the log of the program may say why", EXIT_FAILED)
    except (OSError, ValueError) as error:
        return failed(f"{path}: {getattr(error, 'strerror', None) or error}", EXIT_FAILED)
    if not answer.get("ok"):
        return failed(plain(answer.get("text") or "refused"), EXIT_FAILED)
    if wish.do != "status":
        print(plain(answer.get("text") or "done"))
    elif wish.json:
        print(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        print("\n".join(page(answer)))
    return EXIT_OK


def parser() -> argparse.ArgumentParser:
    form = argparse.ArgumentParser(
        description="Ask something of the program that is running.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = form.add_subparsers(dest="do", required=True, metavar="COMMAND")
    name = "section, alias, alias_id or address of the device; not needed when there is only one module"
    release = commands.add_parser(
        "release",
        help="let the phone app have a module for some minutes",
        description="Disconnect a Bluetooth module, so that the phone app can have it. The program takes it back by itself.",
        epilog=EPILOG,
    )
    release.add_argument("device", nargs="?", default="", metavar="DEVICE", help=name)
    release.add_argument(
        "--minutes", type=minutes, default=RELEASE_MINUTES, metavar="N", help="for how long (default %(default)g)"
    )
    resume = commands.add_parser(
        "resume", help="read it again at once", description="Take a released module back before its time.", epilog=EPILOG
    )
    resume.add_argument("device", nargs="?", default="", metavar="DEVICE", help=name)
    status = commands.add_parser(
        "status",
        help="how the running program does",
        description="Show how each device was last read, and what happened lately.",
        epilog=EPILOG,
    )
    status.add_argument("--json", action="store_true", help="everything, as JSON")
    for command in (release, resume, status):
        command.add_argument(
            "--config", default="config.ini", metavar="FILE", help="the program's configuration (default: %(default)s)"
        )
    return form


def minutes(text: str) -> float:
    """JSON has no word for what is not finite. Raises `ValueError`."""
    found = float(text)
    if not isfinite(found):
        raise ValueError(text)
    return found


def ask(path: Path, request: Mapping[str, Any], timeout: float = ANSWER_LIMIT) -> dict[str, Any]:
    """Send one line, return the answer. Raises `OSError`, or `ValueError` when the other side breaks off."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(timeout)
        with reachable(path) as address:
            line.connect(address)
        line.sendall(json.dumps(request).encode() + b"\n")
        said = bytearray()
        while not said.endswith(b"\n"):
            piece = line.recv(65536)
            if not piece:
                raise ValueError("the program ended before it answered")
            said += piece
    answer = json.loads(said)
    if not isinstance(answer, dict):
        raise ValueError("this is not the socket of such a program")
    return answer


def nobody(path: Path, settings: Settings, config: str) -> str:
    if not settings.data.enable_polling:
        return f"With enable_polling = false in {config} no program stays running, and modules are free between readings."
    return (
        f"No program is running with {config} (nobody answers at {path}). Start it:  sudo systemctl start renogybt\n"
        "If it runs with another file, name that with --config; if it runs with this one, its log says why it has no socket."
    )


def owner(path: Path) -> str:
    """The user whose socket it is, as well as that can be told."""
    import pwd

    try:
        return pwd.getpwuid(path.stat().st_uid).pw_name
    except (OSError, KeyError):
        return "renogybt"


def page(answer: Mapping[str, Any]) -> Iterator[str]:
    """The state of the program for people. What is missing in the answer is left out, what is new is shown as it is."""
    now = moment(answer.get("now"))
    started = moment(answer.get("started"))
    since = f", running for {span((now - started).total_seconds())}" if now and started else ""
    yield plain(f"State: {answer.get('state', 'unknown')}{since}")
    devices = answer.get("devices") or {}
    width = max((len(plain(label)) for label in devices), default=0)
    for label, device in devices.items():
        yield f"  {plain(label):{width}}  {', '.join(facts(device, now))}"
    for name, value in answer.items():
        if name not in KNOWN and value not in (None, {}, [], ""):
            yield plain(f"{name.replace('_', ' ').capitalize()}: {words(value)}")
    incidents = list(answer.get("incidents") or [])[-MOST_INCIDENTS:]
    if incidents:
        yield "What happened lately:"
    for incident in incidents:
        at = moment(incident.get("at"))
        when = f"{at.astimezone():%Y-%m-%d %H:%M:%S}" if at else incident.get("at", "")
        yield plain(f"  {when}  {incident.get('kind', '')}: {incident.get('text', '')}")


def facts(device: Mapping[str, Any], now: datetime | None) -> Iterator[str]:
    yield plain(device.get("state", "unknown"))
    read = moment(device.get("last_read"))
    if read and now:
        yield f"read {span((now - read).total_seconds())} ago"
    link = device.get("link") or {}
    for name, form in (("success_rate", "{:g} % of the last readings succeeded"), ("rssi", "signal {} dBm")):
        if isinstance(link.get(name), int | float):
            yield form.format(link[name])
    if device.get("missing"):
        yield plain(f"in part, without {words(device['missing'])}")
    if device.get("error"):
        yield plain(device["error"])


def words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {words(each)}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(words(each) for each in value)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def moment(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else None


def span(seconds: float) -> str:
    """A duration in its two largest units."""
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{max(0.0, seconds):.0f} s"
    if minutes < 120:
        return f"{minutes:.0f} min"
    return f"{hours:.0f} h {minutes % 60:.0f} min" if hours < 48 else f"{days:.0f} d {hours % 24:.0f} h"


def plain(text: Any) -> str:
    """Fit for a terminal: names of devices come from the air."""
    return "".join(char if char.isprintable() else "?" for char in str(text))
