"""The files that the program writes: each its own, in a folder that is there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from renogybt.config.checks.judge import Judge
from renogybt.settings import Settings


def check_files(judge: Judge) -> None:
    taken: dict[str, str] = {}
    for section, key, name in written(judge.settings):
        if not name:
            judge.fault(section, key, "must name a file")
        if not name or not judge.sound(section, key):
            continue
        path = judge.settings.path(name)
        _place(judge, section, key, path)
        own = f"{key} in [{section}]"
        owner = taken.setdefault(os.path.realpath(path), own)
        if owner != own:
            judge.fault(section, key, f"is the same file as {owner}; give each a name of its own")


def written(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """(section, option, file name) of every file in use."""
    yield "data", "energy_file", settings.data.energy_file
    if uses_outbox(settings):
        yield "outbox", "file", settings.outbox.file
    if settings.history.enabled:
        yield "history", "file", settings.history.file
    if settings.home_assistant_proxy.enabled:
        yield "home_assistant_proxy", "state_file", settings.home_assistant_proxy.state_file


def uses_outbox(settings: Settings) -> bool:
    """Whether anything is switched on whose messages are kept until they are delivered."""
    web = settings.remote_logging.enabled or settings.influxdb.enabled or any(one.enabled for one in settings.pvoutput)
    return web or (settings.mqtt.enabled and settings.mqtt.replay)


def _place(judge: Judge, section: str, key: str, path: Path) -> None:
    if os.path.isdir(path):
        judge.fault(section, key, f"{path} is a folder; put the name of a file behind it")
    elif not os.path.isdir(path.parent):
        judge.fault(section, key, f"the folder {path.parent} is not there; create it, or name a file elsewhere")
