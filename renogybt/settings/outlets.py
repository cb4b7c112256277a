"""Where readings go."""

from __future__ import annotations

from binascii import a2b_base64
from typing import Annotated, Literal

from renogybt.settings.section import Section, about

KEY_SIZE = 32
NO_KEY = "must be 32 random bytes in base64 (44 characters); renogybt esphome-key makes such a key"


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
    encryption_key: Annotated[
        str,
        about(
            "Key that Home Assistant must have, too; renogybt esphome-key makes one. Empty: not encrypted, so everybody in "
            "your network can read along and connect.",
            secret=True,
        ),
    ] = ""
    mdns_ip: Annotated[str, about("Address to announce. Empty: those of this machine.")] = ""
    esphome_sensors: Annotated[bool, about("Offer the readings as entities.")] = True
    esphome_subdevices: Annotated[
        bool,
        about(
            "Each Renogy device is a device of its own in Home Assistant (2025.7 and later). false: all values belong to "
            "one device, with the alias before their names."
        ),
    ] = True
    state_file: Annotated[
        str, about("File that remembers which entities there are, so that none is missing after a restart.")
    ] = "esphome.json"
    with_renogy_client: Annotated[bool, about("Read the devices of this file as well as being a Bluetooth proxy.")] = True
    renogy_poll_mode: Annotated[
        Literal["continuous", "scheduled"], about("continuous: by poll_interval; scheduled: by renogy_read_interval.")
    ] = "continuous"
    renogy_read_interval: Annotated[float, about("Seconds between readings in scheduled mode.", ge=0, le=86400)] = 60
    bluetooth_proxy: Annotated[bool, about("Lend this machine's Bluetooth to Home Assistant.")] = True
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

    def key(self) -> bytes:
        """The 32 bytes of `encryption_key`, b"" when there is none. Raises `ValueError` when it is no key."""
        text = self.encryption_key
        try:
            found = a2b_base64(text, strict_mode=True)
        except ValueError:  # no base64
            found = b"?"
        if found and (len(found) != KEY_SIZE or len(set(found)) == 1):  # all zeros and the like are known to everybody
            raise ValueError(NO_KEY)
        return found
