"""InfluxDB: the line protocol, and what is made of its answers."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as gives
from hypothesis import strategies as st

from renogybt.settings import Data, Influxdb, Settings
from renogybt.sinks import upload
from renogybt.sinks.influx import MOST, InfluxOutlet, line, told
from renogybt.sinks.upload import Uploader
from tests.peers.mosquitto import until
from tests.peers.web import Turn, Web
from tests.sinks.given import HOUSE_48, ROVER, battery, reading


@pytest.fixture
def uploader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(upload, "RETRY", 0.05)
    with ExitStack() as stack:

        def started(web: Web, start: bool = True, **options: Any) -> Uploader:
            base = web.url.removesuffix("/log")
            settings = Settings(
                folder=str(tmp_path),
                influxdb=Influxdb(enabled=True, url=base, **{"org": "my home", "token": "tok", **options}),
            )
            made = Uploader(settings, [InfluxOutlet(settings)])
            stack.callback(made.stop, 2.0)
            if start:
                made.start()
            return made

        yield started


def offer(sender: Uploader, number: int, first: int = 0) -> None:
    for n in range(first, first + number):
        sender.offer(replace(reading(pv_power=n), taken_at=1_750_000_000.0 + n))


def lines(web: Web) -> list[list[str]]:
    """The lines of each request."""
    return [asked.body.split("\n") for asked in web.asked]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12, "12.0"),
        (-0.5, "-0.5"),
        (True, "true"),
        (False, "false"),
        ("on", '"on"'),
        ('say "\\o/"\nnow', '"say \\"\\\\o/\\" now"'),
        ("", '""'),
        (["a", "b"], '"a,b"'),
        ([], '""'),
        (1e22, "1e+22"),
    ],
)
def test_values(value: Any, text: str) -> None:
    assert line("m", {}, {"x": value}, 1.9) == f"m x={text} 1"


@pytest.mark.parametrize("value", [None, math.nan, math.inf, {"a": 1}])
def test_what_is_no_value_is_left_out(value: Any) -> None:
    assert line("m", {}, {"x": value}, 1) == ""
    assert line("m", {}, {"x": value, "y": 1}, 1) == "m y=1.0 1"


def test_names_are_escaped() -> None:
    found = line("my, house=1", {"alias": "a b,c=d\\e\nf", "empty": ""}, {"k y=,": 1}, 1)
    assert found == "my\\,\\ house=1,alias=a\\ b\\,c\\=d/e\\ f k\\ y\\=\\,=1.0 1"


@gives(st.text(), st.text(), st.floats())
def test_any_text_stays_one_line_of_three_parts(alias: str, value: str, number: float) -> None:
    found = line("m", {"alias": alias}, {"text": value, "number": number}, 5)
    assert "\n" not in found
    assert "\r" not in found
    parts = re.fullmatch(r'm(,alias=(?:[^ ,=\\]|\\[ ,=])+)? text="((?:[^"\\]|\\.)*)"(,number=[-+.e0-9]+)? 5', found)
    assert parts, found


def test_version_2_of_the_interface(uploader: Any) -> None:
    with Web(204) as web:
        sender = uploader(web)
        sender.offer(replace(reading(), taken_at=1_750_000_000.9))
        assert sender.flush(60) == ""
    (asked,) = web.asked
    assert asked.path == "/api/v2/write?org=my+home&bucket=solar&precision=s"
    assert asked.headers["Authorization"] == "Token tok"
    head, fields = asked.body.split(" ", 1)
    assert head == "renogy,device=8428d7ff0001,alias=BT-TH-1234"
    assert fields.endswith(" 1750000000")
    assert "pv_power=34.0" in fields
    assert 'charging_status="mppt"' in fields
    assert "problem=false" in fields
    assert "__" not in fields
    assert "None" not in fields


def test_version_1_of_the_interface(uploader: Any) -> None:
    with Web(204) as web:
        sender = uploader(web, version="1", database="db 1", user="me", password="pass", measurement="sun")
        sender.offer(battery(HOUSE_48))
        assert sender.flush(60) == ""
    (asked,) = web.asked
    assert asked.path == "/write?db=db+1&precision=s"
    assert asked.headers["Authorization"] == "Basic bWU6cGFzcw=="
    assert asked.body.startswith("sun,device=806fb00f1234_48,alias=House ")
    assert 'protections="cell_overvoltage"' in asked.body


def test_fields_and_unit_as_in_data() -> None:
    data = Data(fields=("controller_temperature",), temperature_unit="F")
    ((taken_at, text),) = InfluxOutlet(Settings(data=data)).records(reading(ROVER))
    assert text == f"renogy,device=8428d7ff0001,alias=BT-TH-1234 controller_temperature=77.0 {int(taken_at)}"
    assert InfluxOutlet(Settings(data=Data(fields=("nothing",)))).records(reading()) == []


def test_many_readings_in_one_request(uploader: Any) -> None:
    with Web() as web:
        sender = uploader(web, start=False)
        offer(sender, MOST + 200)
        sender.start()
        assert sender.flush(60) == ""
    assert sum(map(len, lines(web))) == MOST + 200
    assert max(map(len, lines(web))) <= MOST
    assert len(web.asked) < 10
    values = [re.search(r"pv_power=(\d+)", text) for found in lines(web) for text in found]
    assert [int(found[1]) for found in values if found] == list(range(MOST + 200))


def test_of_a_partial_write_the_rest_is_given_up(uploader: Any, caplog: pytest.LogCaptureFixture) -> None:
    said = json.dumps({"error": 'partial write: field type conflict: input field "x" on measurement dropped=1'})
    with Web(Turn(400, text=said)) as web:
        sender = uploader(web)
        offer(sender, 1)
        assert sender.flush(60) == ""
        assert sender.health()["influxdb"].dropped == 1
        assert sender.health()["influxdb"].state == "closed"
    assert len(web.asked) == 1
    assert "field type conflict" in caplog.text


def test_one_bad_line_does_not_take_the_good_ones_along(uploader: Any, caplog: pytest.LogCaptureFixture) -> None:
    class Picky(Web):
        """Refuses a request that holds the value 7."""

        def take(self, path: str, headers: Any, body: str, client_port: int) -> Turn:
            self.answers = [Turn(400, text='{"code":"invalid","message":"unable to parse"}') if "=7.0" in body else 204]
            return super().take(path, headers, body, client_port)

    with Picky() as web:
        sender = uploader(web, start=False)
        offer(sender, 20)
        sender.start()
        assert sender.flush(60) == ""
        health = sender.health()["influxdb"]
        assert (health.delivered, health.dropped, health.waiting) == (19, 1, 0)
        good = {text for asked in web.asked if asked.status == 204 for text in asked.body.split("\n")}
        assert len(good) == 19
        sender.offer(reading(pv_power=99))
        sender.offer(reading(pv_power=98))
        assert sender.flush(60) == ""
    assert "unable to parse" in caplog.text


@pytest.mark.parametrize(
    ("version", "code", "words"),
    [
        ("2", 401, "check token"),
        ("1", 401, "check user and password"),
        ("2", 403, "rights on org and bucket"),
        ("1", 404, "does not know the database"),
        ("2", 404, "does not know the org and bucket"),
        ("2", 500, "fault of its own"),
    ],
)
def test_what_can_be_mended_is_kept(version: str, code: int, words: str, uploader: Any) -> None:
    with Web(chance=lambda number: Turn(code)) as web:
        sender = uploader(web, version=version)
        offer(sender, 3)
        until(lambda: sender.health()["influxdb"].state == "open")
        assert len(web.asked) == 5
        health = sender.health()["influxdb"]
        assert (health.waiting, health.dropped) == (3, 0)
        assert words in health.trouble


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"message": "a  b\\nc"}', "a b c"),
        ('{"error": "x"}', "x"),
        ("<html>", "<html>"),
        ("", "no reason given"),
        ("[1]", "[1]"),
    ],
)
def test_what_it_says(text: str, found: str) -> None:
    assert told(text) == found
