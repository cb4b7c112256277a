"""Fans each reading out to every outlet that is switched on."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from renogybt import devices
from renogybt.reading import Failure, Identity, LinkFigures, Reading
from renogybt.settings import Settings
from renogybt.sinks.document import celsius, cleaned, unknown_fields
from renogybt.sinks.mqtt import MqttSink
from renogybt.sinks.sink import Sink
from renogybt.sinks.topics import form_of

if TYPE_CHECKING:
    from configparser import RawConfigParser

    from renogybt.sinks.http import HttpSink

log = logging.getLogger(__name__)


class DataLogger:
    """Gives readings to the sinks; nothing here waits for a network.

    `config` is the configuration, typed or as the predecessors' `ConfigParser`. `identities` are all configured devices,
    None when they are not known. `daemon` false means a single run; left out, `enable_polling` decides. `more` are sinks
    besides those the configuration switches on. The `log_...(json_data)` methods are the predecessors', for programs that
    read devices themselves; they start what they need.
    """

    def __init__(
        self,
        config: Settings | RawConfigParser,
        identities: Iterable[Identity] | None = None,
        *,
        daemon: bool | None = None,
        instance: str = "",
        more: Iterable[Sink] = (),
    ) -> None:
        self.settings = config if isinstance(config, Settings) else _converted(config)
        self._identities = None if identities is None else list(identities)
        self._daemon, self._instance = daemon, instance
        self._lock = threading.Lock()
        self._started: set[int] = set()
        self._mqtt: MqttSink | None = None
        self._http: HttpSink | None = None
        self.sinks: list[Sink] = list(more)
        if self.settings.mqtt.enabled:
            self._add_mqtt()
        if self.settings.remote_logging.enabled or self.settings.pvoutput.enabled:
            self._add_http()
        self._unknown = list(self.settings.data.fields)
        self._awaited = {identity.uid for identity in self._identities or ()}

    def _add_mqtt(self) -> MqttSink:
        if self._mqtt is None:
            self._mqtt = MqttSink(self.settings, self._identities, daemon=self._daemon, instance=self._instance)
            self.sinks.append(self._mqtt)
        return self._mqtt

    def _add_http(self) -> HttpSink:
        if self._http is None:
            from renogybt.sinks.http import HttpSink  # only what is switched on is loaded

            self._http = HttpSink(self.settings)
            self.sinks.append(self._http)
        return self._http

    def start(self) -> None:
        for sink in list(self.sinks):
            self._start(sink)

    def _start(self, sink: Sink) -> None:
        with self._lock:
            if id(sink) not in self._started:
                self._started.add(id(sink))
                sink.start()

    def log(self, reading: Reading) -> None:
        if self._unknown:
            self._check_fields(reading)
        for sink in self.sinks:
            sink.offer(reading)

    def log_failure(self, failure: Failure) -> None:
        for sink in self.sinks:
            sink.failed(failure)

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
        """Wait until everything logged is delivered. "" when it is, else the reasons why not."""
        end = time.monotonic() + timeout
        reasons = [sink.flush(max(0.0, end - time.monotonic())) for sink in self.sinks]
        return "; ".join(reason for reason in reasons if reason)

    def stop(self, timeout: float = 5.0, last_words: bool = True) -> bool:
        """Stop every sink within `timeout` seconds altogether; True when all went well. Calling again is harmless."""
        end = time.monotonic() + timeout
        left = [sink for sink in reversed(self.sinks) if id(sink) in self._started]
        outcomes = []
        for index, sink in enumerate(left):
            share = max(0.2, (end - time.monotonic()) / (len(left) - index))
            outcomes.append(sink.stop(share, last_words))
        return all(outcomes)

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
        sink = self._add_http()
        self._start(sink)
        sink.post_remote(json_data)

    def log_pvoutput(self, json_data: Mapping[str, Any]) -> None:
        """Send a controller's dictionary to PVOutput, which counts in °C whatever `temperature_unit` says."""
        sink, values = self._add_http(), dict(json_data)
        if self.settings.data.temperature_unit == "F":
            values["controller_temperature"] = celsius(values.get("controller_temperature"))
        self._start(sink)
        sink.post_pvoutput(values, time.time())


def _json(content: Any) -> str:
    return json.dumps(cleaned(content), ensure_ascii=False, allow_nan=False)


def _converted(parser: RawConfigParser) -> Settings:
    from renogybt.config import load_parser

    return load_parser(parser)
