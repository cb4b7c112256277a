"""settings, config.ini and docs/config.md say the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from renogybt.config import as_ini, load
from renogybt.config.ini import parse
from renogybt.config.options import REPEATED, SECTIONS, options
from renogybt.config.pages import FURTHER, PAGES, WIDTH
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
        part = PAGE[PAGE.index(f"## `[{section}]") :]
        assert f"- **`{key}`**: " in part[: part.index("\n## ")]


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
    assert as_ini(folder.load("[device]\nmac_addr = 80:6F:B0:0F:12:34\n[pvoutput]\n")) == (
        as_ini(shipped)
        .replace("enable_polling = true", "enable_polling = false")
        .replace("url = https://example.com/post.php", "url =")
    )


def test_the_example_of_a_further_device(folder: Folder) -> None:
    text = SHIPPED.replace("\nmac_addr = 80:6F:B0:0F:XX:XX", "\nmac_addr = 80:6F:B0:0F:12:34")
    text = taken_up(text, "device")
    assert "[device.roof] mac_addr = 80:6F:B0:0F:XX:XX: is only a placeholder" in folder.problem(text)
    roof = folder.load(text.replace("XX:XX", "12:35")).devices[1]
    assert (roof.alias, roof.type, roof.device_id, roof.poll_interval) == ("roof", "RNG_BATT", (48, 49), 30)


def test_the_example_of_a_further_system(folder: Folder) -> None:
    text = taken_up(taken_up(SHIPPED.replace("XX:XX", "12:34", 1).replace("XX:XX", "12:35"), "device"), "pvoutput")
    assert [problem.partition(": is needed when")[0].partition("[")[2] for problem in folder.problems(text)] == [
        "pvoutput.roof] api_key = ***",
        "pvoutput.roof] system_id = (empty)",
    ]
    start = text.index("[pvoutput.roof]")
    filled = text[start:].replace("api_key =", "api_key = x", 1).replace("system_id =", "system_id = 7", 1)
    roof = folder.load(text[:start] + filled).pvoutput[1]
    assert (roof.section, roof.enabled, roof.system_id, roof.device) == ("pvoutput.roof", True, "7", "roof")


def taken_up(text: str, section: str) -> str:
    """The shipped file with the # off the example of a further such section."""
    example = FURTHER[section]
    head, found, rest = text.partition(f"\n#[{example.section}]\n")
    assert found
    lines = rest.split("\n", len(example.lines))
    assert all(line.startswith("#") for line in lines[:-1])
    return "\n".join([head, f"[{example.section}]", *(line[1:] for line in lines[:-1]), lines[-1]])


def test_what_may_be_repeated_has_an_example() -> None:
    assert list(FURTHER) == list(REPEATED)
    assert all(f"`[{name}]` and `[{name}.NAME]`" in PAGE for name in REPEATED)


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
    system = SECTIONS["pvoutput"]()
    wanted = Settings(devices=(device,), pvoutput=(system,), folder=str(tmp_path))  # type: ignore[arg-type]
    file.write_text(as_ini(wanted))
    assert load(file) == wanted
