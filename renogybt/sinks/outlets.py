"""All outlets of one configuration that go through the upload thread. Only what is used is loaded."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from renogybt import devices
from renogybt.settings import Settings
from renogybt.sinks.document import celsius
from renogybt.sinks.upload import Uploader

if TYPE_CHECKING:
    from renogybt.sinks.pvoutput import PvoutputOutlet
    from renogybt.sinks.remote import RemoteOutlet
    from renogybt.sinks.replay import Replay

log = logging.getLogger(__name__)
CONTROLLER = "controller"


class Outlets:
    """The upload thread and its outlets: those the configuration switches on, and what else is asked for."""

    def __init__(self, settings: Settings, on_crash: Callable[[str, Exception], None] | None = None) -> None:
        self._settings = settings
        self.uploader = Uploader(settings, on_crash=on_crash)
        self._remote: RemoteOutlet | None = None
        self._systems: list[PvoutputOutlet] | None = None
        if settings.remote_logging.enabled:
            self._to_remote(readings=True)
        if any(system.enabled for system in settings.pvoutput):
            self._to_pvoutput(readings=True)
        if settings.influxdb.enabled:
            from renogybt.sinks.influx import InfluxOutlet

            self.uploader.add(InfluxOutlet(settings))

    def replay(self) -> Replay:
        """Where the MQTT sink leaves what it could not publish."""
        from renogybt.sinks.replay import Replay

        replay = Replay(self._settings.mqtt)
        replay.attach(lambda taken_at, body: self.uploader.give(replay.name, lambda: [(taken_at, body)]), self.uploader.wake)
        self.uploader.add(replay, replay, readings=False)
        return replay

    def give_remote(self, content: Mapping[str, Any]) -> None:
        """A dictionary of a library user's, to [remote_logging] whether that is switched on or not."""
        outlet, now = self._to_remote(readings=False), time.time()
        body = outlet.body(content, now)
        self.uploader.give(outlet.name, lambda: [(now, body)])

    def give_pvoutput(self, values: Mapping[str, Any]) -> None:
        """A controller's dictionary to PVOutput, which counts in °C whatever `temperature_unit` says."""
        content, now = dict(values), time.time()
        if self._settings.data.temperature_unit == "F":
            content["controller_temperature"] = celsius(content.get("controller_temperature"))
        systems = self._to_pvoutput(readings=False)
        if not systems:
            log.error("nothing is sent to PVOutput: [pvoutput] with api_key and system_id is missing")
        for system in systems:
            self.uploader.give(system.name, partial(system.status, content, devices.family(CONTROLLER), now))

    def _to_remote(self, *, readings: bool) -> RemoteOutlet:
        if self._remote is None:
            from renogybt.sinks.remote import RemoteOutlet

            self._remote = RemoteOutlet(self._settings)
            self.uploader.add(self._remote, readings=readings)
        return self._remote

    def _to_pvoutput(self, *, readings: bool) -> list[PvoutputOutlet]:
        """The systems that are switched on; if none is, the first one, for a library user who feeds it himself."""
        if self._systems is None:
            from renogybt.sinks.pvoutput import PvoutputOutlet, outlets

            self._systems = outlets(self._settings) or [
                PvoutputOutlet(system, self._settings) for system in self._settings.pvoutput[:1]
            ]
            for system in self._systems:
                self.uploader.add(system, readings=readings)
        return self._systems
