"""A small file that is whole or not there: written beside, synced and renamed, the previous one kept as `.bak`."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

log = logging.getLogger(__name__)
T = TypeVar("T")


def read(path: Path, parse: Callable[[str], T]) -> T | None:
    """What `parse` makes of the file, or of its backup when that is missing or torn. None when neither is of use.

    `parse` raises `ValueError` for a text that is no such file; that file is then kept aside as `.broken`.
    """
    torn = False
    for place in (path, backup_of(path)):
        try:
            content = parse(place.read_text("utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError, RecursionError) as error:
            log.error("energy totals in %s cannot be read (%s)", place, error)
            torn = True
            keep_aside(place)
            continue
        if place != path:
            log.warning("energy totals are taken from the backup %s", place)
        return content
    if torn:
        log.error("energy totals begin at zero, because neither %s nor its backup can be read", path)
    return None


def write(path: Path, text: str) -> None:
    """Replace the file by `text`. Raises `OSError`; the file is then what it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh, backup = path.with_name(path.name + ".new"), backup_of(path)
    try:
        with open(fresh, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        keep_previous(path, backup)
        os.replace(fresh, path)
    except OSError:
        fresh.unlink(missing_ok=True)  # half a file would only take room that a full disk needs
        raise
    sync_folder(path.parent)


def backup_of(path: Path) -> Path:
    return path.with_name(path.name + ".bak")


def keep_previous(path: Path, backup: Path) -> None:
    """Give the present file its second name without ever taking away the first; where there are no links, rename it."""
    if not path.exists():
        return
    second = backup.with_name(backup.name + ".new")
    try:
        second.unlink(missing_ok=True)
        os.link(path, second)
        os.replace(second, backup)
    except OSError:
        os.replace(path, backup)


def keep_aside(path: Path) -> None:
    """Rename a file that cannot be read, so that nothing in it is lost."""
    try:
        os.replace(path, path.with_name(path.name + ".broken"))
    except OSError as error:
        log.debug("keeping %s aside: %s", path, error)


def sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
