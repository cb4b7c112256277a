"""What refers to itself is freed early; threads share one heap."""

from __future__ import annotations

import gc
import platform
import subprocess
import sys
import weakref
from collections.abc import Iterator

import pytest

from renogybt.service.tidy import OFTEN, SETTLED, Tidy

START = 1000.0


class Knot:
    """Refers to itself, as bleak's clients do."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def unaided() -> Iterator[None]:
    """Python frees no knots by itself meanwhile, and everything is as before afterwards."""
    gc.disable()
    yield
    gc.unfreeze()
    gc.enable()


def test_nothing_happens_before_everything_is_loaded() -> None:
    tidy, knot = Tidy(), weakref.ref(Knot())
    tidy.tick(START)
    tidy.tick(START + SETTLED - 0.1)
    assert knot() is not None
    assert gc.get_freeze_count() == 0


def test_what_is_there_when_it_has_settled_is_not_looked_at_again() -> None:
    tidy, knot = Tidy(), weakref.ref(Knot())
    loaded = len(gc.get_objects())
    tidy.tick(START)
    tidy.tick(START + SETTLED)
    assert knot() is None
    assert gc.get_freeze_count() > loaded / 2
    assert len(gc.get_objects()) < loaded / 10
    frozen = gc.get_freeze_count()
    tidy.tick(START + SETTLED + 2 * OFTEN)
    assert gc.get_freeze_count() <= frozen  # what came since can still be freed


def test_later_knots_are_untied_within_seconds() -> None:
    tidy = Tidy()
    tidy.tick(START)
    tidy.tick(START + SETTLED)
    for n in range(1, 20):
        now = START + SETTLED + n * OFTEN
        knot = weakref.ref(Knot())
        tidy.tick(now - 0.1)
        assert knot() is not None
        tidy.tick(now)
        assert knot() is None


THREADS = """
import sys, threading
from renogybt.service.tidy import one_heap

if sys.argv[1] == "one":
    one_heap()
held, all_there = [], threading.Barrier(4)
def work():
    all_there.wait(20)
    held.append([bytearray(3000) for _ in range(100)])
    all_there.wait(20)
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
size = 1 << 26
starts = [line.split() for line in open("/proc/self/maps")]
print(sum(len(words) == 5 and int(words[0].split("-")[0], 16) % size == 0 for words in starts))
"""
"""Prints how many heaps besides the first there are: glibc begins each at a multiple of 64 MB (on 64-bit machines)."""


def heaps(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", THREADS, how], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_threads_share_one_heap() -> None:
    if platform.libc_ver()[0] == "glibc" and sys.maxsize > 2**32:
        assert heaps("each") >= 2
    assert heaps("one") == 0
