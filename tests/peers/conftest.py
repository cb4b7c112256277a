"""The peers' own tests use the same fixtures as everybody else's."""

from tests.peers.fixtures import fake_bluez

__all__ = ["fake_bluez"]
