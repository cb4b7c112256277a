"""`make bench`: measures what the bridge promises, and prints each figure with its limit, the machine and the method."""

from __future__ import annotations

import argparse
import logging
import sys

from benchmarks import esphome, history, hub, outlets, recovery
from benchmarks.report import TABLE, Figure, machine

YEARS, HUB, RECOVERY = "Years of history", "Four batteries behind a hub", "Recovery after faults"
ESPHOME = "Home Assistant without a broker"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=130, help="length of the long run (default %(default)g)")
    parser.add_argument("--table", action="store_true", help="print tables, as in OPTIMIZATIONS.md")
    wish = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    print(machine())
    groups = {title: list(group()) for title, group in outlets.GROUPS.items()}
    groups[YEARS] = list(history.measure())
    groups[HUB] = list(hub.measure(wish.seconds))
    groups[ESPHOME] = list(esphome.figures())
    groups[RECOVERY] = list(recovery.figures())
    figures = [figure for group in groups.values() for figure in group]
    width = max(len(figure.name) for figure in figures)
    for title, group in groups.items():
        print(f"\n{title}\n")
        lines: list[str] = [*TABLE, *map(Figure.row, group)] if wish.table else [figure.line(width) for figure in group]
        print("\n".join(lines))
    return 0 if all(figure.kept for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
