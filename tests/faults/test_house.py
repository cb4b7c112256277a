"""The judges of this suite notice what they are there for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.faults.house import ROVER as CONTROLLER
from tests.faults.house import House
from tests.faults.truth import Told, lies, pack, rover
from tests.peers.bluez import scenarios as scene
from tests.peers.mosquitto import Heard


class Registers:
    """Takes what is written, like the fake."""

    def registers(self, *_: Any) -> None: ...


def heard(at: float, **said: Any) -> Heard:
    return Heard("", json.dumps({"connection_status": "online", "data_age": 0} | said), False, at)


def stamped(told: Told, *moments: float) -> list[float]:
    return [told.stamp(Registers(), moment) for moment in moments]  # type: ignore[arg-type]


def test_a_wrong_value_is_a_lie_and_none_is_not() -> None:
    told = pack(48)
    assert not lies(told, heard(0, current=3.26, voltage=None))
    assert lies(told, heard(0, current=3.27))
    assert lies(pack(49), heard(0, current=3.26))


def test_an_old_value_is_true_only_with_its_age() -> None:
    told = rover()
    first, second = stamped(told, 100.0, 200.0)
    assert not lies(told, heard(150, battery_voltage=first))
    assert not lies(told, heard(250, battery_voltage=second))
    assert lies(told, heard(250, battery_voltage=first))
    assert not lies(told, heard(250, battery_voltage=first, connection_status="offline", data_age=60))
    assert lies(told, heard(250, battery_voltage=first, connection_status="offline", data_age=10))
    assert lies(told, heard(150, battery_voltage=second))


def test_values_that_do_not_say_how_old_they_are_must_not_be_there() -> None:
    assert lies(pack(48), heard(0, voltage=13.3, connection_status="offline", data_age=None))
    assert not lies(pack(48), heard(0, voltage=None, connection_status="offline", data_age=None))


def test_silence_lies_leaks_and_ends_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with House(tmp_path, CONTROLLER, sabotage=True) as house:
        house.fake.quirk(scene.CONTROLLER, None, "silent")
        with pytest.raises(AssertionError, match="not read again within 1 s: rover_255"):
            house.recovers(1)
        house.settled()

        house.inside("import os, builtins; builtins.leak = [os.dup(1) for _ in range(3)]")
        with monkeypatch.context() as patience:
            patience.setattr("tests.faults.house.QUIET", 1.0)
            with pytest.raises(AssertionError, match="held now"):
                house.no_leak()
        house.inside("import os, builtins; [os.close(one) for one in builtins.leak]")
        house.no_leak()

        house.told[0].values = {**house.told[0].values, "pv_power": 4711}
        house.recovers(3)
        with pytest.raises(AssertionError, match="pv_power"):
            house.truthful()
        house.told = [rover()]
        house.recovers(3)

        house.inside("import logging; logging.getLogger('x').warning('Traceback (most recent call last)')")
        house.says("Traceback")
        with pytest.raises(AssertionError, match="Traceback"):
            house.calm()

        house.program.end()
        with pytest.raises(AssertionError):
            house.check()
        house.start()
        house.settled()
