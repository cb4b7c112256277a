"""Where the Bluetooth modules take requests and give answers."""

from dataclasses import replace

from renogybt.protocol.table import Gatt

MODULE = Gatt(write_service=0xFFD0, write=0xFFD1, notify_service=0xFFF0, notify=0xFFF1)
"""BT-1, BT-2 and the modules inside batteries. Pro batteries carry the same characteristics more than once, so the service
counts too."""

INVERTER_MODULE = replace(MODULE, wake=0xFFD4, settle=1.0)
"""Inverters with a module of their own say nothing before the wake characteristic was read (tested on RIV1230PU)."""

SHUNT_MODULE = Gatt(write_service=0, write=0, notify_service=0xC011, notify=0xC411)
"""The shunt only talks. Nothing is ever written to it."""

NAMES = ("BT-TH-", "RNG", "BTRIC", "RTMShunt300")
"""What the names begin with that the modules advertise."""
