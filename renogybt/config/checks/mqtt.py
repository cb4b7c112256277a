"""What the broker needs."""

from __future__ import annotations

import re

from renogybt.config.checks.judge import Judge, is_ip


def check_mqtt(judge: Judge) -> None:
    mqtt = judge.settings.mqtt
    if not mqtt.enabled:
        return
    why = "MQTT is enabled"
    if judge.required("mqtt", "server", mqtt.server, why) and (fault := host_fault(mqtt.server)):
        judge.fault("mqtt", "server", fault)
    judge.required("mqtt", "topic", mqtt.topic, why)
    names = ["topic"]
    if mqtt.homeassistant_discovery and mqtt.discovery != "none":
        judge.required("mqtt", "discovery_prefix", mqtt.discovery_prefix, "homeassistant_discovery is true")
        names += ["discovery_prefix", "birth_topic"]
    if mqtt.replay:
        names.append("replay_topic")
    for name in names:
        _topic(judge, name, getattr(mqtt, name))
    if mqtt.replay and mqtt.replay_topic == mqtt.topic:
        judge.fault("mqtt", "replay_topic", "must differ from topic, or old readings would pass for new ones")
    if mqtt.password and not mqtt.user:
        judge.warn("mqtt", "password", "a password without a user is not sent to the broker")
    _tls(judge)


def _topic(judge: Judge, key: str, topic: str) -> None:
    if re.search(r"[+#]", topic):
        judge.fault("mqtt", key, "must be without + and #, which mean many topics at once")
    elif topic.startswith("$"):
        judge.fault("mqtt", key, "must not begin with $: such topics belong to the broker")
    elif topic.startswith("/") or topic.endswith("/"):
        judge.warn("mqtt", key, "a / at the start or end makes a topic level without a name")


def _tls(judge: Judge) -> None:
    mqtt = judge.settings.mqtt
    for key, other in (("tls_cert", "tls_key"), ("tls_key", "tls_cert")):
        if getattr(mqtt, key) and not getattr(mqtt, other):
            judge.fault("mqtt", other, f"is needed as well, because {key} is given")
    for key in ("tls_ca", "tls_cert", "tls_key"):
        name = getattr(mqtt, key)
        if name and not mqtt.tls:
            judge.warn("mqtt", key, "is not used, because tls is false: the connection is not encrypted")
        elif name:
            judge.readable("mqtt", key, name)


def host_fault(host: str) -> str:
    """Why `host` is no host name or address; "" when it is one."""
    if "://" in host or "/" in host:
        return "must be only the name or address of the broker, like 192.168.1.10, without mqtt:// before it"
    if re.fullmatch(r"[^:]*:[0-9]+", host):
        return "must be only the name or address of the broker; the number after : goes to port"
    if is_ip(host):
        return ""
    parts = host.removesuffix(".").split(".")
    if re.search(r"[\s:@,;]", host) or not all(0 < len(part) < 64 for part in parts):
        return "must be a host name or an address, like 192.168.1.10 or broker.local"
    return ""
