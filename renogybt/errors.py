"""What can go wrong, sorted by whose fault it is.

`UserError` is mended in the configuration, `LinkError` by the radio or the distance, `DeviceError` by the device's
owner or maker, `OutletError` by the receiving side (broker, web service, disk). Each text names fault, place and remedy.
"""

from types import MappingProxyType


class RenogyError(Exception):
    """Root of every error this package raises on purpose."""


class UserError(RenogyError):
    """The user can mend it."""


class ConfigError(UserError):
    """The configuration cannot be used; `problems` holds every fault found, one text each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class LinkError(RenogyError):
    """The way to the device failed; the device itself said nothing wrong."""


class NoAdapter(LinkError):
    """This machine has no usable Bluetooth adapter, or Bluetooth is not running."""


class NotFound(LinkError):
    """The device was not seen while scanning."""


class ConnectFailed(LinkError):
    """The device was seen, but no connection came about."""


class NoTime(ConnectFailed):
    """The cycle was over before this could be tried. Nobody's failure."""


class Held(LinkError):
    """Somebody else has the module: the phone app, or another program. It takes one connection only."""


class Released(LinkError):
    """The module is lent to somebody else on purpose until `until` (monotonic seconds); the bridge comes back by itself."""

    def __init__(self, text: str, until: float) -> None:
        super().__init__(text)
        self.until = until


class LinkLost(LinkError):
    """The connection broke while it was in use."""


class LinkSpent(LinkError):
    """The link timed out earlier. A late answer could pass for the next one, so it must be renewed first."""


class NoAnswer(LinkError):
    """Nothing that answers the request came in time; `received` holds what came instead."""

    def __init__(self, text: str, received: bytes = b"") -> None:
        super().__init__(text)
        self.received = received


class Wedged(LinkError):
    """An operation neither ended nor let itself be cancelled; only a new event loop helps."""


class BadFrame(LinkError):
    """Bytes that are no answer to the request. `reason`: crc, address, function, length or short."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class DeviceError(RenogyError):
    """The device answered, and the answer is no."""


class Refused(DeviceError):
    """A Modbus exception reply; `code` as in the Modbus specification (2 = register not there)."""

    MEANINGS = MappingProxyType(
        {
            1: "function not supported",
            2: "register not there, or the block runs past the readable range",
            3: "too many words asked for",
            4: "the device could not carry it out",
            5: "the device saw a wrong checksum in the request",
        }
    )

    def __init__(self, unit: int, function: int, code: int) -> None:
        meaning = self.MEANINGS.get(code, "unknown reason")
        super().__init__(f"device {unit} refused function {function}: {meaning} (code {code})")
        self.unit, self.function, self.code = unit, function, code


class OutletError(RenogyError):
    """A reading could not be delivered."""
