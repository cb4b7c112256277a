"""`make soak MINUTES=30 SEED=1`: hidden faults come out when a program runs long enough among many of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.soak.faults import KINDS
from tests.soak.plan import plan
from tests.soak.run import soak
from tests.soak.verdict import Sample


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="how long (default %(default)g)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same faults (default %(default)s)")
    parser.add_argument(
        "--every", type=float, default=30, help="seconds from fault to fault on average (default %(default)g)"
    )
    parser.add_argument("--plan", action="store_true", help="only print which faults would come")
    parser.add_argument("--samples", type=Path, help="write memory, files, threads of each second to this CSV file")
    wish = parser.parse_args(words)
    if wish.plan:
        print("\n".join(map(str, plan(wish.seed, wish.minutes * 60, KINDS, wish.every))))
        return 0
    print(f"seed {wish.seed}, {wish.minutes:g} min, a fault each {wish.every:g} s on average\n", flush=True)
    outcome = soak(wish.minutes, wish.seed, wish.every, lambda line: print(line, flush=True))
    print(f"\n{outcome}")
    if wish.samples:
        wish.samples.write_text(
            "\n".join(",".join(map(str, row)) for row in [Sample._fields, *outcome.record.samples]) + "\n"
        )
    return 0 if outcome.passed else 1


if __name__ == "__main__":
    sys.exit(main())
