"""What is read, by which radio, and what holds while it cannot be read."""

from __future__ import annotations

from typing import Annotated, Literal

from renogybt.settings.section import Section, about

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
    via: Annotated[
        str,
        about(
            "Read it through an ESPHome Bluetooth proxy (an ESP32) elsewhere in the house instead of this machine's radio: "
            "esphome://host:6053?key=..., with the encryption key of the proxy. Empty: this machine's radio."
        ),
    ] = ""
    poll_interval: Annotated[
        float, about("Seconds between readings of this device. 0: as poll_interval in [data].", ge=0, le=86400)
    ] = 0
    connection: Annotated[
        Literal["keep", "per_read"],
        about("keep holds the Bluetooth link; per_read frees it after each reading, so that the phone app can have it."),
    ] = "keep"

    @property
    def module(self) -> str:
        """What its Bluetooth module is known by: sections that read through the same one have it in common."""
        return self.mac_addr or self.alias


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
    control_socket: Annotated[
        str,
        about(
            "Socket by which commands such as `renogybt release` reach the running program. Empty: this file with "
            ".sock at its end, beside it."
        ),
    ] = ""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], about("How much the log says.")] = "info"


class Bluetooth(Section, frozen=True, kw_only=True):
    """How modules are looked for and connected to, and when one that fails is tried again."""

    discovery_timeout: Annotated[float, about("Seconds that one attempt to find a module scans.", ge=0.5, le=30)] = 5
    discovery_retries: Annotated[
        int, about("Attempts to find a module before it counts as absent this time.", ge=1, le=10)
    ] = 3
    discovery_delay: Annotated[float, about("Seconds between two of these attempts.", ge=0, le=30)] = 1
    connection_timeout: Annotated[
        float,
        about(
            "Seconds a connection may take to come about. 0: 25, after failures more, up to 45; 25 after a success.",
            ge=0,
            le=120,
        ),
    ] = 0
    battery_retry_seconds: Annotated[
        float,
        about(
            "Seconds until a device that could not be read is tried again; twice as many after each further failure, up to "
            "six times as many. One good reading starts over.",
            ge=0.5,
            le=3600,
        ),
    ] = 5
    max_connections: Annotated[
        int,
        about(
            "Bluetooth connections held at the same time; the one idle for longest gives way. A Pi can hold seven.",
            ge=1,
            le=16,
        ),
    ] = 5


class Watchdog(Section, frozen=True, kw_only=True):
    """What watches over Bluetooth on this machine (Linux), and what it may do when that fails."""

    enabled: Annotated[bool, about("Watch over the adapter and bluetoothd, and mend them.")] = True
    interval: Annotated[
        float, about("Seconds between two checks; what BlueZ tells by itself is noticed at once.", ge=1, le=3600)
    ] = 60
    stuck_seconds: Annotated[
        float,
        about(
            "Seconds that the adapter may say it is scanning, while readings fail, before it is switched off and on. What "
            "interrupts nothing is tried a little earlier.",
            ge=1,
            le=3600,
        ),
    ] = 100
    resets_per_hour: Annotated[int, about("How often at most the adapter is reset within any hour.", ge=0, le=60)] = 10
    foreign_discovery: Annotated[
        Literal["ignore", "reset"],
        about("About a scan of another program that does not end: ignore it while readings succeed, or reset all the same."),
    ] = "ignore"
    restart_bluetooth: Annotated[
        bool, about("When nothing else helps, restart bluetooth.service (needs a permission, see docs/resilience.md).")
    ] = False
    leave_for_systemd: Annotated[
        bool, about("When even that does not help, end with exit code 75, so that systemd starts the program anew.")
    ] = False
    rfkill: Annotated[str, about("Where the kernel takes the word to unblock the radio. Empty: never unblock it.")] = (
        "/dev/rfkill"
    )


class Availability(Section, frozen=True, kw_only=True):
    """What Home Assistant sees while a device cannot be read. Measured from its last good reading."""

    stale_seconds: Annotated[
        float, about("So long its last values stay, marked with connection_status offline and their age.", ge=0, le=86400)
    ] = 300
    offline_seconds: Annotated[
        float,
        about("From then on its values are unknown; after this many seconds the device is unavailable.", ge=0, le=86400),
    ] = 600
