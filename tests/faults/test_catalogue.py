"""The fault suite is whole: every entry of the catalogue is proven, or a reason says why not."""

from __future__ import annotations

import re

import pytest

from tests.faults.catalogue import HEADING, PAGE, exists, proofs, rows
from tests.faults.entries import ELSEWHERE, ENTRIES, REASONS

LEAST = 60


def test_the_catalogue_counts_from_1_to_87() -> None:
    assert list(ENTRIES) == [f"F{number:02}" for number in range(1, 88)]


def test_enough_entries_are_injected() -> None:
    assert len(proofs()) >= LEAST


def test_an_entry_is_proven_or_has_a_reason() -> None:
    proven = set(proofs())
    assert proven | set(REASONS) == set(ENTRIES), f"neither nor: {sorted(set(ENTRIES) - proven - set(REASONS))}"
    assert not proven & set(REASONS)


def test_every_proof_is_a_test_that_exists() -> None:
    missing = [proof.test for there in proofs().values() for proof in there if not exists(proof.test)]
    assert not missing


@pytest.mark.parametrize("number", sorted(ELSEWHERE))
def test_proofs_in_other_rooms_are_for_known_entries(number: str) -> None:
    places, _ = ELSEWHERE[number]
    assert number in ENTRIES
    assert places
    assert not any(place.startswith("tests/faults/") for place in places)


def test_the_page_holds_each_entry_once_and_is_up_to_date() -> None:
    """`python -m tests.faults.catalogue` writes the table anew."""
    text = PAGE.read_text("utf-8")
    assert re.findall(r"^\| (F\d\d) \|", text, re.M) == list(ENTRIES)
    table = text.split(HEADING)[1]
    assert [line for line in table.splitlines() if line.startswith("|")] == rows()
