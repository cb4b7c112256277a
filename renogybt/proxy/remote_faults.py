"""The ways in which an ESPHome proxy fails, in our words."""

from __future__ import annotations

from types import MappingProxyType

from aioesphomeapi.core import APIConnectionError

from renogybt.errors import ConnectFailed, LinkError, NoAdapter

TRANSIENT = (APIConnectionError, TimeoutError, OSError)
"""What the client raises for trouble on the way to the proxy, or between the proxy and the module."""

REMEDIES = MappingProxyType(
    {
        "InvalidEncryptionKeyAPIError": "it has another key: put the one under api: encryption: in its YAML into via",
        "RequiresEncryptionAPIError": "it wants encryption: add ?key= to via, with the key under api: in its YAML",
        "EncryptionPlaintextAPIError": "it does not encrypt: take ?key= out of via, or give it a key under api: encryption:",
        "EncryptionHelloAPIError": "it hung up on an encrypted greeting; if it has no key, take ?key= out of via",
        "InvalidAuthAPIError": "it wants another password: via ends in ?password=..., or better, give it an encryption key",
        "ConnectionNotEstablishedAPIError": "it hung up on our greeting; if it has a password, via must name it",
        "ResolveAPIError": "nobody knows this name in the network; is it written rightly? Its IP address always works",
        "HandshakeAPIError": "it does not agree with us on encryption; is that an ESPHome device with api: in its YAML?",
        "ProtocolAPIError": "what it says is not ESPHome's language; is that an ESPHome device with api: in its YAML?",
        "SocketAPIError": "is it switched on, with api: in its YAML, and are host and port in via right?",
        "TimeoutAPIError": "it does not answer; is it switched on, and are host and port in via right?",
    }
)
"""By class of the error, the more special first where one is derived from another."""

CODES = MappingProxyType(
    {
        0x08: "the link timed out; the signal is weak or the module went away",
        0x13: "the module hung up; is the phone app connected to it?",
        0x16: "the proxy hung up",
        0x22: "the module does not react; the signal is weak",
        0x3E: "the link could not be set up; the signal is weak or somebody else has the module",
        0x85: "the proxy could not set the link up; the signal is weak or the module is not there",
        0x100: "the attempt was broken off",
    }
)
"""Why a link ended, as ESP32 and BlueZ number it."""
BRIEF = frozenset({0x08, 0x13, 0x16, 0x22, 0x3E, 0x85, 0x100})
"""Those that may be over in a moment."""


class Broken(ConnectFailed):
    """The link to the module did not come about, or ended at once; `code` says why, 0 when nobody knows."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


class NoSlot(ConnectFailed):
    """The proxy holds as many connections as it can."""


def unreachable(error: BaseException, what: str) -> NoAdapter:
    """For trouble with the proxy itself."""
    remedy = next((REMEDIES[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in REMEDIES), "")
    if not remedy and isinstance(error, TimeoutError):
        remedy = REMEDIES["TimeoutAPIError"]
    return NoAdapter(f"{what}: {remedy or text_of(error)}")


def translate(error: BaseException, what: str) -> LinkError:
    """The `LinkError` for something the client raised while doing `what` with a module."""
    return error if isinstance(error, LinkError) else ConnectFailed(f"{what}: {text_of(error)}")


def broken(what: str, code: int) -> Broken:
    reason = CODES.get(code, "")
    return Broken(f"{what}: {reason or 'the proxy gives no reason'}{f' (code {code})' if code else ''}", code)


def text_of(error: BaseException) -> str:
    return str(error) or type(error).__name__
