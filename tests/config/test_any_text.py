"""Whatever the file holds, the answer is settings or a `ConfigError`; and settings survive being written down."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from renogybt.config import as_ini, describe, load
from renogybt.config.environment import variable
from renogybt.config.ini import quoted
from renogybt.config.options import REPEATED, SECTIONS, Option, options
from renogybt.config.pages import config_ini
from renogybt.errors import ConfigError
from renogybt.settings import Device, Settings

SHIPPED = config_ini()
NAMES = sorted({key for section in SECTIONS for key in options(section)})


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    logging.getLogger("renogybt.config").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("renogybt.config").setLevel(logging.NOTSET)


@pytest.fixture(scope="module")
def file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "config.ini"


def survives(file: Path, data: bytes, environ: dict[str, str] | None = None) -> None:
    file.write_bytes(data)
    problems = None
    try:
        found = load(file, environ or {})
    except ConfigError as error:
        problems = error.problems
    if problems is None:
        assert found.devices or found.home_assistant_proxy.enabled
        assert describe(found)
        assert repr(found)
    else:
        assert problems
        assert all(isinstance(problem, str) and problem for problem in problems)


@given(st.binary(max_size=300))
def test_any_bytes(file: Path, data: bytes) -> None:
    survives(file, data)


WORDS = st.one_of(
    st.sampled_from(
        [
            *NAMES,
            *(f"[{section}]" for section in SECTIONS),
            "[device.x]",
            "[pvoutput.x]",
            "=",
            ":",
            "#",
            ";",
            "\n",
            " ",
            "'",
            '"',
        ]
    ),
    st.sampled_from(["true", "255", "48,49", "RNG_BATT", "80:6F:B0:0F:EA:2B", "http://a/", "%", "***", "[", "]", "\r"]),
    st.text(max_size=6),
)


@given(st.lists(WORDS, max_size=40))
def test_any_words(file: Path, words: list[str]) -> None:
    survives(file, "".join(words).encode("utf-8", "surrogatepass"))


@given(st.integers(0, len(SHIPPED)), st.integers(0, 60), st.text(max_size=12))
def test_any_damage(file: Path, at: int, gone: int, put: str) -> None:
    text = SHIPPED.replace("XX:XX", "12:34")
    survives(file, (text[:at] + put + text[at + gone :]).encode("utf-8", "surrogatepass"))


ALL_OPTIONS = [(section, key) for section in SECTIONS for key in options(section)]


@given(st.dictionaries(st.sampled_from(ALL_OPTIONS), st.text(max_size=20), max_size=6))
def test_any_environment(file: Path, given: dict[tuple[str, str], str]) -> None:
    environ = {variable(section, key): value for (section, key), value in given.items()}
    survives(file, b"[device]\nalias = x\n[mqtt]\nenabled = yes\n[home_assistant_proxy]\nenabled = yes\n", environ)


def writable(text: str) -> bool:
    try:
        quoted(text)
    except ValueError:
        return False
    return True


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20).filter(writable)
OUTLETS = [name for name in SECTIONS if "enabled" in options(name)]
SOUND: dict[str, list[str]] = {
    "timezone": ["", "UTC", "Europe/Amsterdam", "America/Argentina/Buenos_Aires"],
    "energy_file": ["energy_totals.json", "#1 totals", "../totals", "~/totals"],
}
"""Options that are looked at even where no outlet is on."""


def values(option: Option) -> st.SearchStrategy[Any]:
    """Any value the option takes on its own."""
    least, most = option.least, option.most
    if option.key in SOUND:
        return st.sampled_from(SOUND[option.key])
    if option.kind is int:
        return st.integers(int(least or 0), int(most or 0))
    if option.kind is float:
        return st.floats(least, most)
    if option.kind is tuple:
        return st.lists(st.from_regex(r"[a-z_*0-9]+", fullmatch=True), max_size=4).map(tuple)
    if option.kind is Literal:
        return st.sampled_from(option.choices)
    return st.booleans() if option.kind is bool else TEXT


def sections(name: str) -> st.SearchStrategy[Any]:
    """A section of any values; outlets stay off, because a random one would lack what it needs."""
    fixed = {"enabled": st.just(False)} if name in OUTLETS else {}
    return st.builds(SECTIONS[name], **{key: values(option) for key, option in options(name).items()} | fixed)


@st.composite
def systems(draw: st.DrawFn) -> tuple[Any, ...]:
    """Any systems at PVOutput, none to three of them. A section's own spaces count nowhere, so `device` has none."""
    names = draw(st.lists(st.sampled_from(["pvoutput", "pvoutput.a", "pvoutput.b c"]), unique=True))
    found = [draw(sections("pvoutput")) for _ in names]
    return tuple(replace(one, section=name, device=one.device.strip()) for one, name in zip(found, names, strict=True))


HEX = st.text("0123456789ABCDEF", min_size=2, max_size=2)


@st.composite
def device(draw: st.DrawFn, number: int) -> Device:
    kind: Any = draw(st.sampled_from([c for c in options("device")["type"].choices if c != "RNG_SHNT"]))
    fitting = {"RNG_BATT": ["legacy", "rngc"], "RNG_DCC": ["g6"], "RNG_INVT": ["generic"]}.get(kind, [])
    return Device(
        section=f"device.{number}" if number else "device",
        mac_addr=":".join([f"{number:02X}", *draw(st.lists(HEX, min_size=5, max_size=5))]),
        alias=f"{number}" + draw(TEXT.filter(lambda text: not set(text) & set("+#/xX") and text == text.strip())),
        type=kind,
        device_id=tuple(draw(st.one_of(st.just([255]), st.lists(st.integers(1, 254), min_size=1, max_size=5, unique=True)))),
        variant=draw(st.sampled_from(["auto", *fitting])),
        adapter=draw(TEXT),
        poll_interval=draw(values(options("device")["poll_interval"])),
        connection=draw(values(options("device")["connection"])),
    )


@given(st.data())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_what_is_written_is_loaded(file: Path, data: st.DataObject) -> None:
    devices = tuple(data.draw(device(number)) for number in range(data.draw(st.integers(1, 3))))
    rest = {name: data.draw(sections(name)) for name in SECTIONS if name not in REPEATED}
    wanted = Settings(devices=devices, pvoutput=data.draw(systems()), folder=str(file.parent), **rest)
    file.write_text(as_ini(wanted), encoding="utf-8", newline="")
    assert load(file) == wanted
