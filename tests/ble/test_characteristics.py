"""Where a module is written to and listened to: among decoys, without what is needed, and for devices of different care."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from renogybt.ble.characteristics import NOTIFY, READ, WRITE, WRITE_BLIND, Bare, choose, ends, most, uuid
from renogybt.devices.module import INVERTER_MODULE, MODULE, SHUNT_MODULE


def can(item: Any, what: str) -> bool:
    return what in item.properties


def service(short: int, *items: tuple[int, str, tuple[str, ...]]) -> SimpleNamespace:
    there = [SimpleNamespace(uuid=uuid(number), label=label, properties=able) for number, label, able in items]
    return SimpleNamespace(uuid=uuid(short), characteristics=there)


DECOYS = service(0xFFE0, (0xFFD1, "decoy", (WRITE_BLIND,)), (0xFFF1, "decoy", (NOTIFY,)))
WRITES = service(0xFFD0, (0xFFD1, "mute", (READ,)), (0xFFD1, "slow", (WRITE,)), (0xFFD1, "blind", (WRITE_BLIND,)))
TELLS = service(0xFFF0, (0xFFF1, "tells", (NOTIFY,)))


def test_service_and_property_decide_the_earlier_one_the_better() -> None:
    assert choose([DECOYS, WRITES], 0xFFD0, 0xFFD1, (WRITE_BLIND, WRITE), can).label == "blind"
    assert choose([DECOYS, WRITES], 0xFFD0, 0xFFD1, (WRITE, WRITE_BLIND), can).label == "slow"
    assert choose([DECOYS, WRITES], 0xFFD0, 0xFFD1, (NOTIFY,), can) is None


def test_the_ends_of_a_module() -> None:
    notify, write = ends([DECOYS, WRITES, TELLS], MODULE, can, "rover")
    assert (notify.label, write.label) == ("tells", "blind")


def test_nothing_is_looked_for_where_nothing_is_written() -> None:
    shunt = service(0xC011, (0xC411, "tells", (NOTIFY,)))
    notify, write = ends([shunt], SHUNT_MODULE, can, "shunt")
    assert (notify.label, write) == ("tells", None)


@pytest.mark.parametrize(
    ("there", "lack"), [([DECOYS, WRITES], "fff1 that notifies"), ([TELLS, DECOYS], "ffd1 to write to")]
)
def test_a_module_without_them_is_bare(there: list[Any], lack: str) -> None:
    with pytest.raises(Bare, match=f"rover has no characteristic {lack}; is it a Renogy module?"):
        ends(there, MODULE, can, "rover")


def test_the_most_that_one_asked_for_holds_as_long_as_the_characteristics_are_the_same() -> None:
    assert most(None, MODULE) is MODULE
    assert most(MODULE, INVERTER_MODULE) is INVERTER_MODULE
    assert most(INVERTER_MODULE, MODULE) is INVERTER_MODULE
    assert most(INVERTER_MODULE, SHUNT_MODULE) is SHUNT_MODULE
