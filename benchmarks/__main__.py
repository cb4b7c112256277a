"""`make bench`: measures what the bridge promises, and prints each figure with its limit, the machine and the method."""

from __future__ import annotations

import argparse
import sys

from benchmarks import hub
from benchmarks.report import Figure, machine


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=130, help="length of the long run (default %(default)g)")
    wish = parser.parse_args()
    print(machine())
    figures: list[Figure] = [*hub.measure(wish.seconds)]
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        print(figure.line(width))
    return 0 if all(figure.kept for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
