"""What the user wants, typed. Each option's type, default, range and explanation stand here and nowhere else.

`config/` fills these structures from an ini file and the environment, `docs/config.md` and the comments of `config.ini` are
made from them. `secret` marks what must never be shown; it may also be given as `<option>_file`.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin

from msgspec import Meta, Struct
from msgspec.structs import fields


def about(text: str, *, secret: bool = False, ge: float | None = None, le: float | None = None, example: str = "") -> Meta:
    """The explanation of an option, and the smallest (`ge`) and largest (`le`) number it takes.

    `example` stands in the shipped config.ini where the default would not do.
    """
    return Meta(description=text, extra={"secret": secret, "ge": ge, "le": le, "example": example})


def meta(annotation: Any) -> dict[str, Any]:
    """What `about` was told about an option; empty for a field that is no option."""
    extra = annotation.__metadata__[0].extra if get_origin(annotation) is Annotated else None
    return dict(extra) if extra else {}


@cache
def secrets(kind: type[Struct]) -> frozenset[str]:
    """The names of those options of a section that must never be shown."""
    return frozenset(item.name for item in fields(kind) if meta(item.type).get("secret"))


def shown(value: str) -> str:
    """`value` fit for a log: without the user name, password and query that an address may carry, and printable."""
    value = "".join(char if char.isprintable() else "?" for char in value)
    scheme, mark, rest = value.partition("://")
    if mark:
        _, at, rest = rest.rpartition("@")
        host, query, _ = rest.partition("?")
        return f"{scheme}://{'***@' if at else ''}{host}{'?***' if query else ''}"
    user, _, host = value.rpartition("@")
    return f"***@{host}" if ":" in user else value


class Section(Struct, frozen=True, kw_only=True):
    """A section of the file. Its text form shows no secret."""

    def __repr__(self) -> str:
        hidden = secrets(type(self))
        parts = []
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name in hidden and value:
                value = "***"
            parts.append(f"{item.name}={(shown(value) if isinstance(value, str) else value)!r}")
        return f"{type(self).__name__}({', '.join(parts)})"


DeviceType = Literal["RNG_CTRL", "RNG_CTRL_HIST", "RNG_BATT", "RNG_INVT", "RNG_INVT_HF", "RNG_DCC", "RNG_SHNT"]
Variant = Literal["auto", "legacy", "rngrbp", "rngc", "rngpro", "g6", "generic", "riv4835"]


class Device(Section, frozen=True, kw_only=True):
    """One Bluetooth module, and the device or devices behind it. Further ones have sections [device.NAME]."""

    section: str = "device"
    mac_addr: Annotated[
        str,
        about(
            "Bluetooth address of the module, like 80:6F:B0:0F:12:34. Left empty, the module is found by its alias.",
            example="80:6F:B0:0F:XX:XX",
        ),
    ] = ""
    alias: Annotated[
        str,
        about(
            "Name of the module as it advertises itself (BT-TH-...). Also the name in topics and in Home Assistant. "
            "Left empty: made from mac_addr; in [device.NAME] it is NAME."
        ),
    ] = ""
    type: Annotated[
        DeviceType,
        about(
            "What hangs on the module: RNG_CTRL charge controller, RNG_CTRL_HIST its daily history, RNG_BATT battery, "
            "RNG_INVT inverter, RNG_INVT_HF inverter RIV1230PCH with its own labels, RNG_DCC DC-DC charger, "
            "RNG_SHNT Smart Shunt."
        ),
    ] = "RNG_CTRL"
    device_id: Annotated[
        tuple[int, ...],
        about(
            "Bus address, or several separated by commas behind a hub (48,49,50,51). 255 = whoever is there.", ge=1, le=255
        ),
    ] = (255,)
    variant: Annotated[
        Variant,
        about(
            "Model variant. auto recognises it by advertised name and model text; force it when that fails: "
            "batteries legacy, rngrbp, rngc, rngpro; DC-DC chargers generic, g6; inverters generic, riv4835."
        ),
    ] = "auto"
    adapter: Annotated[
        str, about("Bluetooth adapter of this machine, like hci0. Empty: the first one that is switched on.")
    ] = ""
    poll_interval: Annotated[
        float, about("Seconds between readings of this device. 0: as poll_interval in [data].", ge=0, le=86400)
    ] = 0
    connection: Annotated[
        Literal["keep", "per_read"],
        about("keep holds the Bluetooth link; per_read frees it after each reading, so that the phone app can have it."),
    ] = "keep"


class Data(Section, frozen=True, kw_only=True):
    """What is read, how often, and in which form it goes out."""

    enable_polling: Annotated[
        bool,
        about(
            "true: run for ever and read every poll_interval. false: read once, deliver, exit (for cron).", example="true"
        ),
    ] = False
    poll_interval: Annotated[float, about("Seconds between readings.", ge=1, le=86400)] = 60
    temperature_unit: Annotated[Literal["C", "F"], about("Unit of temperatures in MQTT and HTTP messages: C or F.")] = "C"
    fields: Annotated[
        tuple[str, ...],
        about("Publish only these values: names separated by commas, * for any letters (cell_voltage_*). Empty: all."),
    ] = ()
    energy_file: Annotated[
        str, about("File with the energy totals. A relative path starts at the folder of the configuration file.")
    ] = "energy_totals.json"
    max_gap: Annotated[
        float, about("Energy is not counted across a pause longer than this many poll intervals.", ge=1, le=100)
    ] = 3
    timezone: Annotated[str, about("Time zone in which days turn, like Europe/Amsterdam. Empty: that of this machine.")] = ""
    reset_hour: Annotated[int, about("Hour of the day at which a new day begins for daily energy.", ge=0, le=23)] = 0
    log_level: Annotated[Literal["debug", "info", "warning", "error"], about("How much the log says.")] = "info"


class RemoteLogging(Section, frozen=True, kw_only=True):
    """JSON by HTTP POST to a server of yours."""

    enabled: Annotated[bool, about("Send each reading to url.")] = False
    url: Annotated[str, about("Where to send.", example="https://example.com/post.php")] = ""
    auth_header: Annotated[
        str, about('Sent as "Authorization: Bearer <auth_header>". Empty: no such header.', secret=True)
    ] = ""
    ca: Annotated[str, about("File with the certificate authority of the server. Empty: those this machine trusts.")] = ""


class Mqtt(Section, frozen=True, kw_only=True):
    """An MQTT broker, and Home Assistant through it."""

    enabled: Annotated[bool, about("Publish readings to a broker.")] = False
    server: Annotated[str, about("Host name or address of the broker.")] = "localhost"
    port: Annotated[int, about("Port of the broker; usually 1883, with tls 8883.", ge=1, le=65535)] = 1883
    topic: Annotated[
        str,
        about(
            "Topic of the readings. With one device, one device_id and no discovery exactly this topic; otherwise "
            "<topic>/<alias>_<device_id>."
        ),
    ] = "solar/state"
    user: Annotated[str, about("User name at the broker.")] = ""
    password: Annotated[str, about("Password at the broker.", secret=True)] = ""
    homeassistant_discovery: Annotated[
        bool, about("Announce every value to Home Assistant, which then shows it by itself.")
    ] = False
    discovery: Annotated[
        Literal["device", "entity", "none"],
        about(
            "Form of the announcement: device = one message per device (Home Assistant 2024.11 and later), entity = one per "
            "value (older Home Assistant, openHAB), none = no announcement."
        ),
    ] = "device"
    discovery_prefix: Annotated[str, about("Topic prefix under which Home Assistant looks for announcements.")] = (
        "homeassistant"
    )
    birth_topic: Annotated[
        str, about("Topic on which Home Assistant says that it has started. Empty: <discovery_prefix>/status.")
    ] = ""
    client_id: Annotated[
        str, about("Name of this connection at the broker. Empty: made from this machine, one per instance.")
    ] = ""
    keepalive: Annotated[int, about("Seconds between signs of life to the broker.", ge=5, le=3600)] = 30
    qos: Annotated[int, about("Delivery of readings: 0 at most once, 1 at least once.", ge=0, le=1)] = 0
    retain: Annotated[
        Literal["auto", "true", "false"],
        about("Whether the broker keeps the latest reading for newcomers. auto: yes with discovery, no without."),
    ] = "auto"
    tls: Annotated[bool, about("Encrypt the connection to the broker.")] = False
    tls_ca: Annotated[str, about("File with the certificate authority of the broker. Empty: those this machine trusts.")] = (
        ""
    )
    tls_cert: Annotated[str, about("File with this client's certificate, if the broker asks for one.")] = ""
    tls_key: Annotated[str, about("File with the key to tls_cert.")] = ""
    tls_insecure: Annotated[bool, about("Accept a certificate that names another host. Encrypted, but not safe.")] = False
    replay: Annotated[
        bool, about("Readings that could not be published are sent later to replay_topic, with their original time.")
    ] = False
    replay_topic: Annotated[str, about("Topic for those. Empty: <topic>/replay.")] = ""


class Pvoutput(Section, frozen=True, kw_only=True):
    """A system at pvoutput.org. Further ones have sections [pvoutput.NAME]. An account may send 60 requests per hour."""

    section: str = "pvoutput"
    enabled: Annotated[bool, about("Send readings to PVOutput.")] = False
    api_key: Annotated[str, about("API key of your PVOutput account.", secret=True)] = ""
    system_id: Annotated[str, about("Number of your system at PVOutput.")] = ""
    device: Annotated[
        str, about("Whose readings go there: alias, or alias_id, of a device. Empty: those of the first charge controller.")
    ] = ""
    url: Annotated[str, about("Address of the service; change it only for a proxy of yours.")] = (
        "https://pvoutput.org/service/r2/"
    )
    status_interval: Annotated[
        int, about("Minutes between two statuses, as set for your system at PVOutput.", ge=1, le=60)
    ] = 5
    requests_per_hour: Annotated[
        int,
        about(
            "Requests your account may send per hour (60, with a donation 300). What PVOutput itself says wins.",
            ge=1,
            le=1000,
        ),
    ] = 60
    batch_size: Annotated[
        int, about("Statuses in one request when catching up (30, with a donation 100).", ge=1, le=100)
    ] = 30
    max_age_days: Annotated[int, about("Days back that PVOutput accepts (14, with a donation 90).", ge=1, le=90)] = 14
    v1: Annotated[
        str, about("Name of the value sent as v1 (energy generated today, Wh). Empty: the usual one of the device's kind.")
    ] = ""
    v2: Annotated[str, about("The same for v2 (power generated, W).")] = ""
    v3: Annotated[str, about("The same for v3 (energy consumed today, Wh).")] = ""
    v4: Annotated[str, about("The same for v4 (power consumed, W).")] = ""
    v5: Annotated[str, about("The same for v5 (temperature, always sent in °C).")] = ""
    v6: Annotated[str, about("The same for v6 (voltage, V).")] = ""
    v7: Annotated[str, about("Name of the value sent as v7 (v7 to v12 are for accounts with a donation).")] = ""
    v8: Annotated[str, about("The same for v8.")] = ""
    v9: Annotated[str, about("The same for v9.")] = ""
    v10: Annotated[str, about("The same for v10.")] = ""
    v11: Annotated[str, about("The same for v11.")] = ""
    v12: Annotated[str, about("The same for v12.")] = ""


class Influxdb(Section, frozen=True, kw_only=True):
    """An InfluxDB server, by its line protocol over HTTP."""

    enabled: Annotated[bool, about("Write readings to InfluxDB.")] = False
    url: Annotated[str, about("Address of the server, like http://localhost:8086.")] = "http://localhost:8086"
    version: Annotated[Literal["1", "2"], about("1: database, user and password. 2: org, bucket and token.")] = "2"
    database: Annotated[str, about("Database (version 1).")] = "solar"
    user: Annotated[str, about("User name (version 1).")] = ""
    password: Annotated[str, about("Password (version 1).", secret=True)] = ""
    org: Annotated[str, about("Organisation (version 2).")] = ""
    bucket: Annotated[str, about("Bucket (version 2).")] = "solar"
    token: Annotated[str, about("API token (version 2).", secret=True)] = ""
    measurement: Annotated[str, about("Name of the measurement that all readings go into.")] = "renogy"
    ca: Annotated[str, about("File with the certificate authority of the server. Empty: those this machine trusts.")] = ""


class Outbox(Section, frozen=True, kw_only=True):
    """What cannot be delivered at once waits here, on disk, with its original time."""

    file: Annotated[str, about("File that keeps what is not delivered yet.")] = "outbox.sqlite"
    max_age_days: Annotated[float, about("Older records are given up.", ge=0.1, le=366)] = 30
    max_size_mb: Annotated[
        float, about("Size of the file, in MB, beyond which the oldest records are given up.", ge=1, le=4096)
    ] = 64
    flush_seconds: Annotated[
        float,
        about("Seconds a record may wait in memory before it is written; fewer writes spare the SD card.", ge=1, le=3600),
    ] = 60


class History(Section, frozen=True, kw_only=True):
    """A database of readings on this machine, for charts and export."""

    enabled: Annotated[bool, about("Keep a history.")] = False
    file: Annotated[str, about("File of the history.")] = "history.sqlite"
    full_days: Annotated[float, about("Days that every single reading is kept.", ge=0, le=366)] = 7
    five_minute_days: Annotated[float, about("Days that means of five minutes are kept.", ge=1, le=36600)] = 730
    hourly_days: Annotated[float, about("Days that means of an hour are kept.", ge=1, le=36600)] = 7300
    flush_seconds: Annotated[float, about("Seconds between two writes to the file.", ge=1, le=3600)] = 60
    controller_history: Annotated[
        bool, about("Once a day also fetch the daily records that charge controllers keep themselves.")
    ] = True


class HomeAssistantProxy(Section, frozen=True, kw_only=True):
    """Home Assistant without a broker, by the ESPHome native API (read by ha_proxy_example.py)."""

    enabled: Annotated[bool, about("Run the ESPHome native API.")] = False
    use_native_api: Annotated[bool, about("The native API; the only way there is.")] = True
    native_api_port: Annotated[int, about("Port of the native API.", ge=1, le=65535)] = 6053
    device_name: Annotated[str, about("Name under which Home Assistant finds this machine.")] = "renogy-bridge"
    mdns_ip: Annotated[str, about("Address to announce. Empty: those of this machine.")] = ""
    esphome_sensors: Annotated[bool, about("Offer the readings as entities.")] = True
    with_renogy_client: Annotated[bool, about("Read the devices of this file as well as being a Bluetooth proxy.")] = True
    renogy_poll_mode: Annotated[
        Literal["continuous", "scheduled"], about("continuous: by poll_interval; scheduled: by renogy_read_interval.")
    ] = "continuous"
    renogy_read_interval: Annotated[float, about("Seconds between readings in scheduled mode.", ge=0, le=86400)] = 60
    max_connections: Annotated[
        int, about("Bluetooth connections that Home Assistant may open at the same time.", ge=0, le=7)
    ] = 3
    scan_mode: Annotated[
        Literal["active", "passive"], about("active asks devices for their names; passive only listens.")
    ] = "active"
    scan_active_seconds: Annotated[float, about("Seconds of scanning before a pause. 0: no pauses.", ge=0, le=3600)] = 0
    scan_idle_seconds: Annotated[float, about("Seconds of pause between scans.", ge=0, le=3600)] = 0
    pause_during_renogy: Annotated[bool, about("Pause scanning while reading Renogy devices.")] = False
    adapter: Annotated[str, about("Bluetooth adapter of the proxy. Empty: that of the devices.")] = ""


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
    folder: str = "."
    file: str = ""

    def period(self, device: Device) -> float:
        """Seconds between two readings of `device`."""
        return device.poll_interval or self.data.poll_interval

    def path(self, name: str) -> Path:
        """Where a file named in the configuration lies: `~` is the home folder, a relative name starts at `folder`."""
        return Path(self.folder) / os.path.expanduser(name)
