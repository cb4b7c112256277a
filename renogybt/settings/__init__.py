"""What the user wants, typed. Each option's type, default, range and explanation stand here and nowhere else.

`config/` fills these structures from an ini file and the environment, `docs/config.md` and the comments of `config.ini` are
made from them. `secret` marks what must never be shown; it may also be given as `<option>_file`.
"""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from renogybt.settings.outlets import History, HomeAssistantProxy, Influxdb, Mqtt, Outbox, Pvoutput, RemoteLogging
from renogybt.settings.reading import Availability, Bluetooth, Data, Device, DeviceType, Variant, Watchdog
from renogybt.settings.section import Section, about, meta, secrets, shown

__all__ = [
    "Availability",
    "Bluetooth",
    "Data",
    "Device",
    "DeviceType",
    "History",
    "HomeAssistantProxy",
    "Influxdb",
    "Mqtt",
    "Outbox",
    "Pvoutput",
    "RemoteLogging",
    "Section",
    "Settings",
    "Variant",
    "Watchdog",
    "about",
    "meta",
    "secrets",
    "shown",
]


class Settings(Struct, frozen=True, kw_only=True):
    """The whole configuration. `file` is the name of its file, `folder` where that lies: relative paths start there."""

    devices: tuple[Device, ...] = ()
    data: Data = Data()
    remote_logging: RemoteLogging = RemoteLogging()
    mqtt: Mqtt = Mqtt()
    pvoutput: tuple[Pvoutput, ...] = ()
    influxdb: Influxdb = Influxdb()
    outbox: Outbox = Outbox()
    history: History = History()
    home_assistant_proxy: HomeAssistantProxy = HomeAssistantProxy()
    bluetooth: Bluetooth = Bluetooth()
    availability: Availability = Availability()
    watchdog: Watchdog = Watchdog()
    folder: str = "."
    file: str = ""

    def period(self, device: Device) -> float:
        """Seconds between two readings of `device`."""
        proxy = self.home_assistant_proxy
        scheduled = proxy.enabled and proxy.renogy_poll_mode == "scheduled" and proxy.renogy_read_interval
        return device.poll_interval or scheduled or self.data.poll_interval

    def path(self, name: str) -> Path:
        """Where a file named in the configuration lies: `~` is the home folder, a relative name starts at `folder`."""
        return Path(self.folder) / os.path.expanduser(name)
