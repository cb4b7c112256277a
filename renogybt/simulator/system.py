"""The simulated system as a configuration: what a person with these devices would have in config.ini."""

from __future__ import annotations

import time
from collections.abc import Callable

from renogybt.settings import Data, Device, Mqtt, Settings
from renogybt.simulator.weather import DAY, HOUR

DEMO_SEED, DEMO_START = 10, 20_001 * DAY + 10 * HOUR
"""A morning with clouds, a kettle and a drive before noon: whatever the clock says, something moves."""
DEMO_SPEED = 60.0
"""Seconds of the plant per second: a day passes in 24 minutes."""


def demo_settings(
    mqtt_port: int, folder: str = ".", poll_interval: float = 2.0, topic: str = "solar/state", mqtt_server: str = "127.0.0.1"
) -> Settings:
    """Controller, hub with four batteries, DC-DC charger, inverter and shunt, published to a broker on this machine.

    `folder` takes the energy totals.
    """
    return Settings(
        devices=(
            _device(1, "roof", "RNG_CTRL"),
            _device(2, "bank", "RNG_BATT", (48, 49, 50, 51)),
            _device(3, "van", "RNG_DCC"),
            _device(4, "inverter", "RNG_INVT", (32,)),
            _device(5, "shunt", "RNG_SHNT"),
        ),
        data=Data(enable_polling=True, poll_interval=poll_interval),
        mqtt=Mqtt(enabled=True, server=mqtt_server, port=mqtt_port, topic=topic, homeassistant_discovery=True),
        folder=folder,
    )


def faster(start: float, speed: float, clock: Callable[[], float] = time.monotonic) -> Callable[[], float]:
    """A clock for the plant: `start` now, and from now on `speed` times as fast as `clock`."""
    begun = clock()
    return lambda: start + (clock() - begun) * speed


def _device(number: int, alias: str, kind: str, units: tuple[int, ...] = (255,)) -> Device:
    """`number` makes a locally administered address, which no real module has."""
    return Device(
        section=f"device.{alias}",
        mac_addr=f"02:00:00:00:00:{number:02X}",
        alias=alias,
        type=kind,  # type: ignore[arg-type]
        device_id=units,
    )
