"""What the optimizations are worth, measured on this machine.

    python test_optimizations.py        prints every figure, with what is promised for it and how it was measured
    make test                           asserts the same figures, with room for a slow or busy machine

What is measured, and why, stands in OPTIMIZATIONS.md; the measuring itself in benchmarks/.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

from benchmarks.outlets import GROUPS
from benchmarks.peers import equipped
from benchmarks.report import Figure, machine

PAGE = Path(__file__).with_name("OPTIMIZATIONS.md")
CLOCKED = ("s", "ms", "1/s")
WIDTH = 48
SLACK = 20
"""How many times slower a machine under test may be than promised: time is the only thing it may be worse at."""


def pytest_generate_tests(metafunc: Any) -> None:
    """One test per group. (pytest itself is not imported: whoever runs this file directly need not have it.)"""
    metafunc.parametrize("title", GROUPS)


def test_promises_are_kept(title: str) -> None:
    assert equipped(), "mosquitto and openssl are needed: sudo apt install mosquitto openssl"
    figures = list(GROUPS[title]())
    assert any(figure.limit is not None for figure in figures)
    assert not [figure.line(0) for figure in figures if not kept(figure)]
    assert [figure.name for figure in figures if not explained(figure)] == [], (
        "OPTIMIZATIONS.md: run make bench ARGS=--table"
    )


def explained(figure: Figure) -> bool:
    """Whether OPTIMIZATIONS.md has it, with the same promise."""
    rows = [line.split(" | ") for line in PAGE.read_text("utf-8").splitlines() if line.startswith(f"| {figure.name} | ")]
    return len(rows) == 1 and rows[0][2] == (figure.promise if figure.limit is not None else "")


def kept(figure: Figure) -> bool:
    """As promised, or nearly so where a clock was used."""
    if figure.unit not in CLOCKED or figure.limit is None:
        return figure.kept
    return figure.value * SLACK >= figure.limit if figure.least else figure.value <= figure.limit * SLACK


def main() -> int:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    logging.basicConfig(level=logging.ERROR)
    print(f"Measured on {machine()}\n")
    good = True
    for number, (title, group) in enumerate(GROUPS.items(), 1):
        print(f"{number}. {title}\n")
        for figure in group():
            print(figure.line(WIDTH))
            good = good and figure.kept
        print()
    print("Every promise is kept." if good else "Not every promise is kept: see the lines marked OVER.")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
