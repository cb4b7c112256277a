"""`python -m renogybt.cli.export config.ini --device NAME --from DAY`: the history as CSV or JSON Lines."""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn, Protocol
from zoneinfo import ZoneInfo

import msgspec

from renogybt.cli.failing import failed, unusable
from renogybt.config import load
from renogybt.errors import ConfigError, UserError
from renogybt.history import FIVE_MINUTES, HOUR, Day, History, Known, Stat

EXIT_OK, EXIT_FAILED = 0, 1
RESOLUTIONS = ("full", "5min", "hour", "day")
SPANS = {"5min": FIVE_MINUTES, "hour": HOUR}
MONTH = 30
STATISTICS = ("mean", "min", "max", "last")
EPILOG = """\
A day without a time of day means the whole day, also with --to. Times without a zone are of the time zone in [data].
Temperatures are in °C, and flags in means are the share of the time that they were on. full: single readings; 5min and
hour: mean, lowest, highest and last value; day: the same of each day, with what the charge controller itself recorded.
Exit code: 0 all went well, 1 nothing could be exported, 2 wrong configuration or command line.
"""
Item = tuple[str, dict[str, Any]]
"""The time as text, and the values by column; in means a value is a `Stat`."""


class Out(Protocol):
    def write(self, text: str, /) -> object: ...


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code that `--help` explains."""
    wish = parser().parse_args(sys.argv[1:] if argv is None else argv)
    try:
        settings = load(Path(wish.config), os.environ)
        zone = ZoneInfo(settings.data.timezone) if settings.data.timezone else None
        start, end = period(wish.start, wish.end, zone, time.time())
        with ExitStack() as stack:
            history = stack.enter_context(History(settings.path(settings.history.file)))
            device = chosen(history.devices(), wish.device)
            out = stack.enter_context(open(wish.output, "w", encoding="utf-8", newline="")) if wish.output else sys.stdout
            count = export(history, device, start, end, zone, wish.resolution, wish.format, out)
            out.flush()
    except ConfigError as error:
        return unusable(wish.config, error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read this has seen enough
        return EXIT_OK
    except (UserError, OSError) as error:
        return failed(str(error), EXIT_FAILED)
    if not count:
        return failed(f"the history holds nothing of {device.label} in that time at this resolution", EXIT_FAILED)
    return EXIT_OK


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="python -m renogybt.cli.export",
        description="Write the history of a device as CSV or JSON Lines.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("config", nargs="?", default="config.ini", help="configuration file (default: %(default)s)")
    found.add_argument("--device", default="", metavar="NAME", help="which one, as in topics (needed if there are several)")
    found.add_argument("--from", dest="start", default="", metavar="TIME", help="like 2026-01-31 (default: 30 days ago)")
    found.add_argument("--to", dest="end", default="", metavar="TIME", help="like 2026-02-28T18:00 (default: now)")
    found.add_argument("--format", choices=("csv", "jsonl"), default="csv", help="default: %(default)s")
    found.add_argument("--resolution", choices=RESOLUTIONS, default="5min", help="default: %(default)s")
    found.add_argument("-o", "--output", default="", metavar="FILE", help="where to (default: the terminal)")
    return found


def period(start: str, end: str, zone: ZoneInfo | None, now: float) -> tuple[float, float]:
    """Begin and end in seconds since 1970 of what the command line asks for. Raises `UserError`."""
    last = moment(end, zone, whole_day=True) if end else now
    first = moment(start, zone) if start else last - MONTH * 86400
    if first >= last:
        raise UserError(f"--from {start} lies behind --to {end or 'now'}; nothing can be in between")
    return first, last


def moment(text: str, zone: ZoneInfo | None, whole_day: bool = False) -> float:
    """The time `text` names, in seconds since 1970; with `whole_day`, the end of a day without a time of day."""
    try:
        found = datetime.fromisoformat(text)
        if whole_day and len(text) <= len("2026-01-31"):
            found += timedelta(days=1)
        return (found if found.tzinfo else found.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError, OSError):
        raise UserError(f"{text} is no time; write it like 2026-01-31 or 2026-01-31T18:00") from None


def chosen(devices: list[Known], name: str) -> Known:
    """The device with that label, or uid, or alias if only one has it. Raises `UserError`."""
    fits: list[Callable[[Known], bool]] = [
        lambda device: name in (device.label, device.uid),
        lambda device: device.label.rpartition("_")[0] == name,
        lambda device: not name,
    ]
    for fit in fits:
        found = [device for device in devices if fit(device)]
        if len(found) == 1:
            return found[0]
    known = ", ".join(device.label for device in devices) or "no device yet"
    doubt = f"no device, or more than one, is called {name}" if name else "which device? Say it with --device"
    raise UserError(f"{doubt}; the history has {known}")


def export(
    history: History,
    device: Known,
    start: float,
    end: float,
    zone: ZoneInfo | None,
    resolution: str,
    form: str,
    out: Out,
) -> int:
    """Write everything in [start, end), row by row; how many rows it were."""

    def iso(at: float) -> str:
        local = datetime.fromtimestamp(at, zone) if zone else datetime.fromtimestamp(at).astimezone()
        return local.isoformat(timespec="milliseconds" if resolution == "full" else "seconds")

    keys = history.keys(device.uid)
    if resolution == "full":
        single = [key.name for key in keys]
        items: Iterator[Item] = ((iso(at), values) for at, values in history.readings(device.uid, start, end))
        return write(items, single, [], form, out)
    counted = [key.name for key in keys if key.counted]
    if resolution == "day":
        first, last = (datetime.fromtimestamp(at, zone).date() for at in (start, end - 1))
        return write(days(history, device.uid, first, last), *columns_of_days(counted), form, out)
    means = history.means(device.uid, SPANS[resolution], start, end)
    return write(((iso(item.start), dict(item.stats)) for item in means), [], counted, form, out)


RECORDED = (
    *("day_min_voltage", "day_max_voltage", "day_max_charge_current", "day_max_discharge_current"),
    *("day_max_charge_power", "day_max_discharge_power", "day_charge_ah", "day_discharge_ah"),
    *("day_generation", "day_consumption"),
)


def columns_of_days(counted: list[str]) -> tuple[list[str], list[str]]:
    return ["generation", "consumption", *RECORDED], counted


def days(history: History, uid: str, first: date, last: date) -> Iterator[Item]:
    """Year by year, so that little is in memory at once."""
    while first <= last:
        until = min(last, date(first.year, 12, 31))
        for day in history.days(uid, first, until):
            yield day.date, whole(day)
        first = until + timedelta(days=1)


def whole(day: Day) -> dict[str, Any]:
    return {"generation": day.generation, "consumption": day.consumption, **day.controller, **day.values}


def write(items: Iterable[Item], single: list[str], counted: list[str], form: str, out: Out) -> int:
    """`single` are columns of one value, `counted` those of mean, lowest, highest and last."""
    return (write_csv if form == "csv" else write_lines)(items, single, counted, out)


def write_csv(items: Iterable[Item], single: list[str], counted: list[str], out: Out) -> int:
    table = csv.writer(out, lineterminator="\n")
    count = 0
    for at, values in items:
        count += 1
        if count == 1:
            table.writerow(["time", *single, *(f"{key}_{name}" for key in counted for name in STATISTICS)])
        row: list[Any] = [at]
        row += [cell(values.get(key)) for key in single]
        for key in counted:
            row += values[key][: len(STATISTICS)] if key in values else [""] * len(STATISTICS)
        table.writerow(row)
    return count


def cell(value: Any) -> Any:
    """Nothing for what was not read; lists separated by blanks; no text that a spreadsheet would take for a formula."""
    if isinstance(value, list):
        value = " ".join(map(str, value))
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@"):
        return "'" + value
    return "" if value is None else value


def write_lines(items: Iterable[Item], single: list[str], counted: list[str], out: Out) -> int:
    count = 0
    for at, values in items:
        count += 1
        line = {"time": at, **{key: named(value) for key, value in values.items()}}
        out.write(msgspec.json.encode(line).decode() + "\n")
    return count


def named(value: Any) -> Any:
    return dict(zip(STATISTICS, value, strict=False)) if isinstance(value, Stat) else value


def run() -> NoReturn:
    sys.exit(main())


if __name__ == "__main__":
    run()
