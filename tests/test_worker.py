"""A worker thread wakes, stops, and survives its own failures."""

import threading
import time

import pytest

from renogybt.worker import Worker


class Counter(Worker):
    crash_pause = 0.01

    def __init__(self, fail_at: int = 0, **more: object) -> None:
        super().__init__("counter", **more)  # type: ignore[arg-type]
        self.rounds, self.fail_at, self.closed = 0, fail_at, False
        self.reached = threading.Event()

    def step(self) -> float:
        self.rounds += 1
        if self.rounds == self.fail_at:
            raise RuntimeError("a bug")
        if self.rounds >= 3:
            self.reached.set()
        return 0.001 if self.rounds < 3 else 60

    def close(self) -> None:
        self.closed = True


def test_stop_ends_a_long_wait_at_once_and_twice_is_harmless() -> None:
    worker = Counter()
    worker.start()
    assert worker.reached.wait(5)
    began = time.monotonic()
    assert worker.stop(5)
    assert worker.stop(5)
    assert time.monotonic() - began < 4
    assert worker.closed


def test_a_failing_round_is_reported_and_the_thread_goes_on() -> None:
    crashes: list[str] = []
    worker = Counter(fail_at=2, on_crash=lambda name, error: crashes.append(f"{name}: {error}"))
    worker.start()
    assert worker.reached.wait(5)
    worker.stop()
    assert crashes == ["counter: a bug"]


def test_wake_ends_the_wait() -> None:
    worker = Counter()
    worker.start()
    assert worker.reached.wait(5)
    before = worker.rounds
    worker.wake()
    for _ in range(500):
        if worker.rounds > before:
            break
        time.sleep(0.01)
    assert worker.rounds > before
    worker.stop()


class Mortal(Worker):
    """Ends its thread once, in the way nothing in a thread can catch."""

    def __init__(self) -> None:
        super().__init__("mortal")
        self.rounds = 0
        self.reached = threading.Event()

    def step(self) -> float:
        self.rounds += 1
        if self.rounds == 2:
            raise SystemExit
        if self.rounds == 3:
            self.reached.set()
        return 0.001 if self.rounds < 3 else 60


def ended(worker: Worker) -> None:
    for _ in range(500):
        if not worker.alive:
            return
        time.sleep(0.01)
    raise AssertionError("the thread did not end")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_thread_is_revived_and_goes_on() -> None:
    worker = Mortal()
    worker.start()
    ended(worker)
    assert worker.revive()
    assert worker.reached.wait(5)
    assert worker.alive
    assert not worker.revive()
    assert worker.stop(5)


def test_neither_a_stopped_nor_an_unborn_thread_is_revived() -> None:
    worker = Counter()
    assert not worker.revive()
    worker.start()
    assert worker.stop(5)
    assert not worker.revive()
    assert not worker.alive


def test_the_heartbeat_is_that_of_the_last_round() -> None:
    worker = Counter()
    before = worker.heartbeat
    time.sleep(0.02)
    worker.start()
    assert worker.reached.wait(5)
    worker.stop()
    assert before < worker.heartbeat <= time.monotonic()
