"""Which ways to fail there are, which test injects each of them, and why some have none.

`python -m tests.faults.catalogue` writes the table at the end of docs/resilience.md anew; a test fails when it is stale.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TypeVar

import pytest

from tests.faults.entries import ELSEWHERE, ENTRIES, REASONS

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = ROOT / "docs/resilience.md"
HEADING = "## The catalogue"
VIRTUAL = 0.0
"""As `within`: the time is an argument there, so nothing is waited for."""
Test = TypeVar("Test", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Proof:
    """A test that injects a fault, and the seconds within which the true readings are back."""

    test: str
    within: float


_PROOFS: dict[str, list[Proof]] = {}


def fault(*numbers: str, within: float) -> Callable[[Test], Test]:
    """Marks the test of these entries. `within`: seconds from the end of the injection to the next true readings."""
    unknown = set(numbers) - set(ENTRIES)
    assert numbers, "which entry?"
    assert not unknown, f"the catalogue has no {unknown}"

    def mark(test: Test) -> Test:
        place = f"tests/faults/{test.__module__.rsplit('.', 1)[-1]}.py::{test.__name__}"
        for number in numbers:
            _PROOFS.setdefault(number, []).append(Proof(place, within))
        marked: Test = pytest.mark.fault(*numbers, within=within)(test)
        return marked

    return mark


def proofs() -> dict[str, list[Proof]]:
    """Entry -> the tests of it, those in other rooms included."""
    for path in sorted(HERE.glob("test_*.py")):
        import_module(f"tests.faults.{path.stem}")
    found = {number: list(there) for number, there in _PROOFS.items()}
    for number, (places, within) in ELSEWHERE.items():
        found.setdefault(number, []).extend(Proof(place, within) for place in places)
    return found


def exists(place: str) -> bool:
    """Whether there is a test function `path::name`."""
    file, _, name = place.partition("::")
    path = ROOT / file
    if not path.exists():
        return False
    tree = ast.parse(path.read_text("utf-8"))
    return any(isinstance(node, ast.FunctionDef) and node.name == name for node in ast.walk(tree))


def rows() -> list[str]:
    """The table, a line per entry."""
    known = proofs()
    lines = ["| No. | What goes wrong | Proven by a test |", "| --- | --- | --- |"]
    for number, name in ENTRIES.items():
        lines.append(f"| {number} | {name} | {_verdict(number, known)} |")
    return lines


def _verdict(number: str, known: dict[str, list[Proof]]) -> str:
    if number not in known:
        return f"no: {REASONS.get(number, 'not yet')}"
    longest = max(proof.within for proof in known[number])
    return f"yes; over within {longest:g} s" if longest else "yes"


def main() -> int:
    before = PAGE.read_text("utf-8").split(HEADING)[0]
    intro = PAGE.read_text("utf-8").split(HEADING)[1].split("| No. |")[0]
    PAGE.write_text(f"{before}{HEADING}{intro}" + "\n".join(rows()) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    from tests.faults import catalogue  # the test modules register with this one, not with __main__

    sys.exit(catalogue.main())
