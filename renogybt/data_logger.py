"""Fans each reading out to every outlet that is switched on."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from renogybt import devices
from renogybt.command import Command
from renogybt.reading import Failure, Identity, LinkFigures, Reading, Standing
from renogybt.settings import Settings
from renogybt.sinks.document import cleaned, unknown_fields
from renogybt.sinks.mqtt import MqttSink
from renogybt.sinks.sink import Health, Shows, Sink, Supervised, Watched
from renogybt.sinks.topics import form_of

if TYPE_CHECKING:
    from configparser import RawConfigParser

    from renogybt.history.writer import HistorySink
    from renogybt.sinks.outlets import Outlets

log = logging.getLogger(__name__)
LEAST = 1.0
"""Seconds that each sink gets at least when several are flushed one after the other."""


class DataLogger:
    """Gives readings to the sinks; nothing here waits for a network.

    `config` is the configuration, typed or as the predecessors' `ConfigParser`. `identities` are all configured devices,
    None when they are not known. `daemon` false means a single run; left out, `enable_polling` decides. `more` are sinks
    besides those the configuration switches on. `on_command` gets what somebody asks for by MQTT, `on_crash` the name of a
    thread and the error that ended its round; both are called in the sinks' threads and must not wait. The
    `log_...(json_data)` methods are the predecessors', for programs that read devices themselves; they start what they need.
    """

    def __init__(
        self,
        config: Settings | RawConfigParser,
        identities: Iterable[Identity] | None = None,
        *,
        daemon: bool | None = None,
        instance: str = "",
        more: Iterable[Sink] = (),
        on_command: Callable[[Command], None] | None = None,
        on_crash: Callable[[str, Exception], None] | None = None,
    ) -> None:
        self.settings = config if isinstance(config, Settings) else _converted(config)
        self._identities = None if identities is None else list(identities)
        self._daemon, self._instance = daemon, instance
        self._on_command, self._on_crash = on_command, on_crash
        self._lock = threading.Lock()
        self._started: set[int] = set()
        self._supervised: list[Supervised] = []
        self._mqtt: MqttSink | None = None
        self._outlets: Outlets | None = None
        self._history: HistorySink | None = None
        self.sinks: list[Sink] = list(more)
        self._add_configured()
        self._unknown = list(self.settings.data.fields)
        self._awaited = {identity.uid for identity in self._identities or ()}

    def _add_configured(self) -> None:
        settings = self.settings
        uploads = settings.remote_logging.enabled or settings.influxdb.enabled
        if uploads or any(system.enabled for system in settings.pvoutput):
            self._add_outlets()  # only what is switched on is loaded
        if settings.mqtt.enabled:
            self._add_mqtt()
        if settings.history.enabled:
            self._add_history()

    def _add_mqtt(self) -> MqttSink:
        if self._mqtt is None:
            replay = self._add_outlets().replay() if self.settings.mqtt.replay else None
            self._mqtt = MqttSink(
                self.settings,
                self._identities,
                daemon=self._daemon,
                instance=self._instance,
                on_crash=self._on_crash,
                replay=replay,
                on_command=self._on_command,
            )
            self.sinks.append(self._mqtt)
        return self._mqtt

    def _add_outlets(self) -> Outlets:
        """The upload thread comes first: sinks are stopped from the last to the first, and may leave it something."""
        if self._outlets is None:
            from renogybt.sinks.outlets import Outlets

            self._outlets = Outlets(self.settings, self._on_crash)
            self.sinks.insert(0, self._outlets.uploader)
        return self._outlets

    def _add_history(self) -> None:
        from renogybt.energy.days import Days
        from renogybt.history.writer import HistorySink

        data = self.settings.data
        self._history = HistorySink(self.settings, Days(data.timezone, data.reset_hour).at, on_crash=self._on_crash)
        self.sinks.append(self._history)

    def start(self) -> None:
        for sink in list(self.sinks):
            self._start(sink)

    def _start(self, sink: Sink) -> None:
        with self._lock:
            if id(sink) not in self._started:
                self._started.add(id(sink))
                sink.start()
                if isinstance(sink, Supervised):  # asked here, because the answer takes long and `supervise` comes often
                    self._supervised.append(sink)

    def log(self, reading: Reading) -> None:
        if self._unknown:
            self._check_fields(reading)
        for sink in self.sinks:
            sink.offer(reading)

    def log_past(self, reading: Reading) -> None:
        """Days that a device has recorded itself: for the history only."""
        if self._history is not None:
            self._history.offer(reading)

    def log_failure(self, failure: Failure) -> None:
        for sink in self.sinks:
            sink.failed(failure)

    def log_standing(self, standing: Standing) -> None:
        """How it stands with a device that is not read, for those sinks that show the present."""
        for sink in self.sinks:
            if isinstance(sink, Shows):
                sink.standing(standing)

    def log_figures(self, identity: Identity, figures: LinkFigures) -> None:
        for sink in self.sinks:
            sink.figures(identity, figures)

    def _check_fields(self, reading: Reading) -> None:
        """Once every device was read, say which names in `fields` none of them knows."""
        self._unknown = unknown_fields(self._unknown, devices.family(reading.family))
        self._awaited.discard(reading.identity.uid)
        if self._unknown and not self._awaited:
            log.warning("fields in [data]: no device has %s; see docs/registers for the names", ", ".join(self._unknown))
            self._unknown = []

    def flush(self, timeout: float) -> str:
        """Wait until everything logged is delivered, or kept on the disk for later. "" when it is, else why not."""
        end = time.monotonic() + timeout
        reasons = [sink.flush(max(LEAST, end - time.monotonic())) for sink in reversed(self.sinks)]
        return "; ".join(reason for reason in reasons if reason)

    def supervise(self) -> list[str]:
        """Start anew the threads of sinks that have died without being stopped; their names. Never waits."""
        return [sink.name for sink in self._supervised if sink.revive()]

    def stop(self, timeout: float = 5.0, last_words: bool = True) -> bool:
        """Stop every sink within `timeout` seconds altogether; True when all went well. Calling again is harmless."""
        end = time.monotonic() + timeout
        left = [sink for sink in reversed(self.sinks) if id(sink) in self._started]
        outcomes = []
        for index, sink in enumerate(left):
            share = max(0.2, (end - time.monotonic()) / (len(left) - index))
            outcomes.append(sink.stop(share, last_words))
        return all(outcomes)

    def health(self) -> dict[str, dict[str, Any]]:
        """How each way out does: `state`, `waiting`, `delivered`, `dropped`, `trouble`, by its name. For any thread."""
        watched = [sink for sink in list(self.sinks) if isinstance(sink, Watched)]
        found = {name: asdict(health) for sink in watched for name, health in sink.health().items()}
        if (kept := self._history) is not None:
            state = "memory" if kept.trouble else "disk"
            found[kept.name] = asdict(Health(state, kept.waiting, kept.delivered, kept.dropped, kept.trouble))
        return found

    def cleanup(self) -> None:
        """The predecessors' name for `stop`."""
        self.stop()

    def log_mqtt(self, json_data: Mapping[str, Any]) -> None:
        """Publish a dictionary as the predecessors did: to `topic`; with discovery or several ids to a topic per device."""
        sink, mqtt = self._add_mqtt(), self.settings.mqtt
        device = self.settings.devices[0] if self.settings.devices else None
        alias, unit = (device.alias, device.device_id[0]) if device else ("renogy", 255)
        retain = form_of(self.settings) != "none" if mqtt.retain == "auto" else mqtt.retain == "true"
        self._start(sink)
        sink.publish(sink.topics.state_of(json_data, alias, unit), _json(json_data), retain)

    def log_mqtt_bytopic(self, topic: str, payload: Any) -> None:
        """Publish anything to any topic; what is no text goes out as JSON."""
        sink = self._add_mqtt()
        self._start(sink)
        sink.publish(topic, payload if isinstance(payload, str) else _json(payload))

    def log_remote(self, json_data: Mapping[str, Any]) -> None:
        """Send a dictionary to [remote_logging]."""
        outlets = self._add_outlets()
        self._start(outlets.uploader)
        outlets.give_remote(json_data)

    def log_pvoutput(self, json_data: Mapping[str, Any]) -> None:
        """Send a controller's dictionary to PVOutput, which counts in °C whatever `temperature_unit` says."""
        outlets = self._add_outlets()
        self._start(outlets.uploader)
        outlets.give_pvoutput(json_data)


def _json(content: Any) -> str:
    return json.dumps(cleaned(content), ensure_ascii=False, allow_nan=False)


def _converted(parser: RawConfigParser) -> Settings:
    from renogybt.config import load_parser

    return load_parser(parser)
