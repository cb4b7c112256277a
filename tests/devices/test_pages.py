"""The register pages are those of the tables."""

from pathlib import Path

import pytest

from renogybt.devices.pages import pages, write
from renogybt.protocol.codec import U16
from renogybt.protocol.docs import codec_text

PAGES = dict(pages())
FOLDER = Path(__file__).parents[2] / "docs" / "registers"


@pytest.mark.parametrize("name", PAGES)
def test_page_is_fresh(name):
    assert (FOLDER / name).read_text("utf-8") == PAGES[name], "stale: run `make docs`"


def test_no_page_is_left_over():
    assert {path.name for path in FOLDER.glob("*.md")} == set(PAGES)


def test_writing_removes_what_is_gone(tmp_path):
    (tmp_path / "gone.md").write_text("old")
    write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(PAGES)
    assert (tmp_path / "controller.md").read_text("utf-8") == PAGES["controller.md"]


def test_a_page_names_address_key_unit_range_and_codec():
    rows = [line for line in PAGES["controller.md"].splitlines() if "`battery_voltage`" in line]
    assert rows == ["| 257 | 0x0101 | `battery_voltage` | Battery voltage | u16 / 10 | V | 6 to 80 |  |"]
    assert "| live | 256 | 35 | each cycle | 256 × 34, 256 × 32 |  |" in PAGES["controller.md"]


def test_a_variant_page_shows_only_what_differs():
    assert "`current`" in PAGES["battery_rngrbp.md"]
    assert "s16 / 10 " in PAGES["battery_rngrbp.md"]
    assert "`capacity`" not in PAGES["battery_rngrbp.md"]


def test_every_codec_in_use_has_words():
    assert codec_text(U16) == "u16"
    with pytest.raises(TypeError, match="no words"):
        codec_text(object())
