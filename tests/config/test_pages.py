"""settings.py, config.ini and docs/config.md say the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from renogybt.config import as_ini, load
from renogybt.config.ini import parse
from renogybt.config.options import SECTIONS, options
from renogybt.config.pages import MORE_DEVICES, PAGES, WIDTH
from renogybt.config.predecessors import IGNORED
from renogybt.config.report import Report
from renogybt.settings import Settings
from tests.config.given import Folder

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = (ROOT / "config.ini").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "config.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_fresh(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == PAGES[name](), "run: python -m renogybt.config.pages"


@pytest.mark.parametrize("section", SECTIONS)
def test_every_option_stands_in_the_shipped_file_with_a_comment(section: str) -> None:
    lines = SHIPPED.split("\n")
    (raw,) = [found for found in parse(SHIPPED, Report()) if found.name == section]
    assert list(raw.entries) == list(options(section))
    for key, entry in raw.entries.items():
        above = "\n".join(lines[max(0, entry.line - 5) : entry.line - 1])
        assert lines[entry.line - 2].startswith("# "), key
        assert options(section)[key].text.split()[0] in above
        assert f"- **`{key}`**: " in PAGE[PAGE.index(f"## `[{section}]") :]


def test_no_long_lines() -> None:
    assert not [line for line in (SHIPPED + PAGE).split("\n") if len(line) > WIDTH]


def test_the_page_names_what_is_ignored() -> None:
    assert all(f"| `[{section}] {key}` |" in PAGE for section, key in IGNORED)


def test_the_untouched_file_asks_for_the_address(folder: Folder) -> None:
    problem = folder.problem(SHIPPED)
    assert "[device] mac_addr = 80:6F:B0:0F:XX:XX: is only a placeholder: put in the address" in problem


def test_with_the_address_it_holds_the_defaults(folder: Folder) -> None:
    shipped = folder.load(SHIPPED.replace("XX:XX", "12:34"))
    assert not folder.warnings
    assert shipped.data.enable_polling
    assert as_ini(folder.load("[device]\nmac_addr = 80:6F:B0:0F:12:34\n")) == (
        as_ini(shipped)
        .replace("enable_polling = true", "enable_polling = false")
        .replace("url = https://example.com/post.php", "url =")
    )


def test_the_example_of_a_further_device(folder: Folder) -> None:
    text = SHIPPED.replace("\nmac_addr = 80:6F:B0:0F:XX:XX", "\nmac_addr = 80:6F:B0:0F:12:34")
    for start in ("[device.roof]", *(f"{key} = " for key, _ in MORE_DEVICES)):
        text = text.replace(f"\n#{start}", f"\n{start}")
    assert "[device.roof] mac_addr = 80:6F:B0:0F:XX:XX: is only a placeholder" in folder.problem(text)
    roof = folder.load(text.replace("XX:XX", "12:35")).devices[1]
    assert (roof.alias, roof.type, roof.device_id, roof.poll_interval) == ("roof", "RNG_BATT", (48, 49), 30)


def test_every_number_has_its_limits() -> None:
    for section in SECTIONS:
        for option in options(section).values():
            if option.kind in (int, float) or option.item is int:
                assert option.least is not None, option.key
                assert option.most is not None, option.key
            assert option.text.endswith((".", ")")), option.key


def test_defaults_are_inside_their_limits(tmp_path: Path) -> None:
    file = tmp_path / "config.ini"
    device = SECTIONS["device"](alias="x")
    file.write_text(as_ini(Settings(devices=(device,), folder=str(tmp_path))))  # type: ignore[arg-type]
    assert load(file) == Settings(devices=(device,), folder=str(tmp_path))  # type: ignore[arg-type]
