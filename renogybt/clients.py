"""The predecessors' library interface: `RoverClient(config, on_data, on_error).start()` and its siblings.

`config` is a `configparser.ConfigParser` (or `Settings`). `on_data(client, data)` gets one dictionary per device and cycle,
`on_error(client, error)` an exception; both are called in the thread that called `start()`, so they may take their time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from configparser import ConfigParser
from typing import Any

from msgspec.structs import replace

from renogybt.config import load_parser
from renogybt.errors import LinkError, RenogyError
from renogybt.reading import Failure, Identity, LinkFigures, Reading, Standing
from renogybt.service.bridge import Bridge
from renogybt.settings import Device, Settings
from renogybt.sinks.document import document
from renogybt.sources.load_switch import switch_load

log = logging.getLogger(__name__)
OnData = Callable[[Any, dict[str, Any]], None]
OnError = Callable[[Any, Exception], None]


class NoOutlets:
    """Stands in for the DataLogger: a library user delivers for himself."""

    def start(self) -> None: ...

    def log(self, reading: Reading) -> None: ...

    def log_failure(self, failure: Failure) -> None: ...

    def log_standing(self, standing: Standing) -> None: ...

    def log_figures(self, identity: Identity, figures: LinkFigures) -> None: ...

    def log_past(self, reading: Reading) -> None: ...

    def supervise(self) -> list[str]:
        return []

    def health(self) -> dict[str, dict[str, Any]]:
        return {}

    def flush(self, timeout: float) -> str:
        return ""

    def stop(self, timeout: float, last_words: bool = True) -> bool:
        return True


class Named:
    """What scripts written for the predecessors look at: `client.ble_manager.device.name`, `client.device.alias()`."""

    def __init__(self, device: Device) -> None:
        self.name = device.alias
        self.address = device.mac_addr

    @property
    def device(self) -> Named:
        return self

    def alias(self) -> str:
        return self.name


class BaseClient:
    """Reads the device of the `[device]` section. Not used directly."""

    type = ""

    def __init__(
        self,
        config: ConfigParser | Settings,
        on_data_callback: OnData | None = None,
        on_error_callback: OnError | None = None,
        radio: Any = None,
    ) -> None:
        """Raises `ConfigError` when the configuration cannot be used. `radio` replaces Bluetooth (the simulator)."""
        self.config = config
        self.on_data_callback, self.on_error_callback = on_data_callback, on_error_callback
        settings = config if isinstance(config, Settings) else load_parser(config)
        device = replace(settings.devices[0], type=self.type) if self.type else settings.devices[0]
        self.settings = replace(settings, devices=(device,))
        self.device_ids = list(device.device_id)
        self.device_id = device.device_id[0]
        self.data: dict[str, Any] = {}
        self.ble_manager = self.device = Named(device)
        self._bridge = Bridge(
            self.settings,
            radio=radio,
            on_reading=self._read,
            on_failure=self._failed,
            logger=NoOutlets(),
            count_energy=False,
        )

    def start(self) -> None:
        """Read once (`enable_polling = false`) or until `stop()`; returns when that is over and the module is released."""
        try:
            self._bridge.run()
        except KeyboardInterrupt:
            log.info("stopped by Ctrl-C")

    def stop(self) -> None:
        """End `start()`. May be called from a callback or from another thread."""
        self._bridge.stop()

    connect = start
    disconnect = stop

    def _read(self, reading: Reading) -> None:
        if reading.identity.unit is None:
            return
        if reading.name:
            self.device.name = reading.name
        self.data = document(reading, self.settings.data.temperature_unit, ())
        self._call(self.on_data_callback, self.data)

    def _failed(self, failure: Failure) -> None:
        self._call(self.on_error_callback, LinkError(f"{failure.identity.label}: {failure.error}"))

    def _call(self, callback: Callable[[Any, Any], None] | None, argument: Any) -> None:
        if callback is not None:
            callback(self, argument)


class RoverClient(BaseClient):
    """Charge controllers: Rover, Wanderer, Adventurer, Rover Elite and their SRNE relatives."""

    type = "RNG_CTRL"

    def set_load(self, value: int = 0) -> None:
        """Switch the load output on (1) or off (0), read the state back, and report it to `on_data`.

        Works while `start()` runs, and only when the controller's load mode is manual (15).
        """
        device = self.settings.devices[0]

        def report(outcome: dict[str, Any] | RenogyError) -> None:
            if isinstance(outcome, RenogyError):
                self._call(self.on_error_callback, outcome)
            else:
                self._call(self.on_data_callback, outcome)

        self._bridge.submit(lambda radio: switch_load(radio, device, bool(value)), report)


class RoverHistoryClient(BaseClient):
    """The last seven days of a charge controller."""

    type = "RNG_CTRL_HIST"


class BatteryClient(BaseClient):
    """Smart batteries, alone or several behind a hub."""

    type = "RNG_BATT"


class InverterClient(BaseClient):
    """Inverters and inverter-chargers."""

    type = "RNG_INVT"


class HFInverterClient(BaseClient):
    """Inverters of the RIV1230PCH series, with their own labels."""

    type = "RNG_INVT_HF"


class DCChargerClient(BaseClient):
    """DC-DC chargers."""

    type = "RNG_DCC"


class ShuntClient(BaseClient):
    """Smart Shunt 300."""

    type = "RNG_SHNT"
