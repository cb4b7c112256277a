"""The grammar of the file: what a line means, and what is said about a line that means nothing."""

from __future__ import annotations

import configparser

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from renogybt.config.ini import decode, parse, quoted, value_of
from renogybt.config.report import Report
from tests.config.given import DEVICE, Folder


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("plain", "plain"),
        ("255 # hub mode", "255"),
        ("# nothing but a comment", ""),
        ("#", ""),
        ("a#b", "a#b"),
        ("a\t#b", "a"),
        ("50%off%", "50%off%"),
        ("%(user)s", "%(user)s"),
        ("a ; b", "a ; b"),
        ('"a # b"', "a # b"),
        ("'a # b' # said twice", "a # b"),
        ('"#1"', "#1"),
        ('" spaces "', " spaces "),
        ('""', ""),
        ('"', '"'),
        ('"half # open', '"half'),
        ('"it\'s" # so', "it's"),
        ('"a"b"', 'a"b'),
        ('"a"b', '"a"b'),
        ("'say \"hi\"'", 'say "hi"'),
    ],
)
def test_a_value(written: str, meant: str) -> None:
    assert value_of(written) == meant


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\n")))
def test_what_is_written_is_read_back(value: str) -> None:
    try:
        written = quoted(value)
    except ValueError:
        assume(False)
    assert value_of(written) == value
    report = Report()
    (section,) = parse(f"[s]\nkey = {written}\nnext = 1\n", report)
    assert not report.problems
    assert section.entries["key"].value == value


@pytest.mark.parametrize("value", ["", "a", " a", "a #b", "#", "'", '"', "'#'", '"a" #b', "'a' #b", "ü°", "a=b", "[x]", ";"])
def test_common_values_can_be_written(value: str) -> None:
    assert value_of(quoted(value)) == value


LINES = st.lists(
    st.sampled_from(
        [
            "[device]",
            "[mqtt] # the broker",
            "alias = x # y",
            "TYPE: RNG_BATT",
            "device_id = 48,",
            "  49,50 # more",
            "fields =",
            "    a, b",
            "password = 50%",
            "topic = a:b=c",
            "# a comment",
            "   ; another",
            "",
            "url = http://x/#y",
            "  indented = 1",
            "words alone",
            "alias = again",
            "user =   ",
        ]
    ),
    max_size=12,
    unique=True,
).map(lambda lines: ["[pvoutput]", *lines])


@given(LINES)
def test_reads_what_the_predecessors_parser_reads(lines: list[str]) -> None:
    text = "\n".join(lines)
    theirs = configparser.ConfigParser(inline_comment_prefixes=("#",), interpolation=None)
    refused = False
    try:
        theirs.read_string(text)
    except configparser.Error:
        refused = True
    report = Report()
    ours = {section.name: {key: entry.value for key, entry in section.entries.items()} for section in parse(text, report)}
    assert bool(report.problems) == refused
    if not refused:
        assert ours == {name: {k: without_gaps(v) for k, v in theirs[name].items()} for name in theirs.sections()}


def without_gaps(value: str) -> str:
    """Their reader keeps blank lines inside a value; no option of ours has a use for one."""
    return "\n".join(line for line in value.split("\n") if line)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (DEVICE + "just words\n", 3, "option = value"),
        (DEVICE + "= value\n", 3, "option = value"),
        (DEVICE + "alias # = x\n", 3, "option = value"),
        (DEVICE + "[mqtt\nenabled = true\n", 3, "brackets"),
        (DEVICE + "[mqtt] enabled = true\n", 3, "brackets"),
        (DEVICE + "[]\n", 3, "brackets"),
        ("alias = x\n" + DEVICE, 1, "before the first [section]"),
        (DEVICE + "alias = x\nAlias = y\n", 4, "first in line 3"),
        (DEVICE + "[mqtt]\nport = 1\n[MQTT]\nport = 2\n", 5, "first in line 3"),
    ],
)
def test_a_fault_tells_its_line(folder: Folder, text: str, line: int, words: str) -> None:
    problem = folder.problem(text)
    assert problem.startswith(f"config.ini, line {line}: ")
    assert words in problem


def test_no_fault_hides_the_next(folder: Folder) -> None:
    problems = folder.problems("oops\n[mqtt]\nport = x\nport = 1\nwords\n[data]\npoll_interval = -1\n[mqtt]\n[what")
    lines = [problem.partition(":")[0] for problem in problems]
    assert lines == [f"config.ini, line {number}" for number in (1, 3, 4, 5, 7, 8, 9)] + ["config.ini"]
    assert "[device]" in problems[-1]


def test_an_indented_option_is_pointed_out(folder: Folder) -> None:
    problem = folder.problem(DEVICE + "alias = roof\n  type = RNG_BATT\n")
    assert "line 3: [device] alias" in problem
    assert "remove the spaces" in problem


def test_a_file_may_be_indented_throughout(folder: Folder) -> None:
    settings = folder.load("  [device]\n    alias = roof\n    # a comment\n    type = RNG_BATT\n  [mqtt]\n    port = 1\n")
    assert (settings.devices[0].alias, settings.devices[0].type, settings.mqtt.port) == ("roof", "RNG_BATT", 1)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_any_editor_will_do(folder: Folder, newline: str, codec: str) -> None:
    settings = folder.load((DEVICE + "alias = Dachträger\n").replace("\n", newline).encode(codec))
    assert settings.devices[0].alias == "Dachträger"
    assert bool(folder.warnings) == (codec == "latin-1")


def test_lines_end_only_where_editors_end_them() -> None:
    report = Report()
    (section,) = parse("[s]\na = 1\x85b = 2\x0cc = 3\u2028d = 4", report)
    assert list(section.entries) == ["a"]


@given(st.binary())
def test_any_bytes_are_some_text(data: bytes) -> None:
    assert isinstance(decode(data, Report()), str)
