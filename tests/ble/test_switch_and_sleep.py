"""The kernel's radio switch, and clocks that tell of sleep."""

from pathlib import Path

from renogybt.ble.rfkill import unblock
from renogybt.ble.suspend import JUMP, Suspend, boottime


def test_the_event_that_unblocks_all_bluetooth_radios(tmp_path: Path) -> None:
    switch = tmp_path / "rfkill"
    switch.touch()
    assert unblock(str(switch)) == ""
    assert switch.read_bytes() == bytes((0, 0, 0, 0, 2, 3, 0, 0))


def test_why_it_cannot_be_done(tmp_path: Path) -> None:
    assert unblock(str(tmp_path / "none")) == f"{tmp_path}/none: No such file or directory"
    assert unblock("/dev/full") == "/dev/full: No space left on device"
    assert "[watchdog]" in unblock("")


class Clocks:
    def __init__(self) -> None:
        self.asleep, self.awake = 100.0, 0.0

    def counted(self) -> float:
        return self.awake + self.asleep


def test_sleep_is_told_once() -> None:
    clocks = Clocks()
    suspend = Suspend(clocks.counted, lambda: clocks.awake)
    assert suspend.slept() == 0
    clocks.awake += 7200
    assert suspend.slept() == 0
    clocks.asleep += 3600
    clocks.awake += 10
    assert suspend.slept() == 3600
    clocks.awake += 10
    assert suspend.slept() == 0


def test_clocks_that_drift_apart_slowly_tell_nothing() -> None:
    clocks = Clocks()
    suspend = Suspend(clocks.counted, lambda: clocks.awake)
    for _ in range(100):
        clocks.awake += 60
        clocks.asleep += JUMP / 2
        assert suspend.slept() == 0


def test_the_real_clock_counts_on() -> None:
    first = boottime()
    assert 0 < first <= boottime()
    assert Suspend().slept() == 0
