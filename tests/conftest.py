"""Peers that every test may ask for."""

from tests.peers.fixtures import fake_bluez

__all__ = ["fake_bluez"]
