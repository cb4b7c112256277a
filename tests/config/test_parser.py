"""A ConfigParser that a library user hands over, as for upstream's clients."""

from __future__ import annotations

import configparser

import pytest

from renogybt.config import load_parser
from renogybt.errors import ConfigError
from tests.config.given import DEVICE, Folder
from tests.config.test_predecessors import CYRILS, JORIK41

UPSTREAM = CYRILS.format(mac="80:6f:b0:0f:ea:2b", alias="BT-TH-B00FEA2B").replace("100%sure#1", "100%%sure#1")


def upstream_parser(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(inline_comment_prefixes=("#",))
    parser.read_string(text)
    return parser


def test_as_upstream_reads_it(folder: Folder) -> None:
    settings = load_parser(upstream_parser(UPSTREAM), folder.path)
    assert settings.devices[0].mac_addr == "80:6F:B0:0F:EA:2B"
    assert (settings.mqtt.password, settings.data.temperature_unit) == ("100%sure#1", "F")
    assert settings.folder == str(folder.path)
    assert settings == folder.load(UPSTREAM.replace("%%", "%"))


def test_without_interpolation_and_without_comments(folder: Folder) -> None:
    parser = configparser.RawConfigParser()
    parser.read_string(JORIK41)
    assert load_parser(parser, folder.path) == folder.load(JORIK41)


def test_percent_signs_its_own_rules_do_not_fit() -> None:
    text = DEVICE + "[mqtt]\nuser = me\npassword = 50%off\n"
    assert load_parser(upstream_parser(text)).mqtt.password == "50%off"


def test_filled_by_program() -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser["device"] = {"alias": "BT-TH-1", "type": "RNG_BATT", "device_id": "48"}
    parser["mqtt"] = {"password": "a #b", "user": '"c #d" # e', "topic": "x # y"}
    settings = load_parser(parser)
    assert settings.devices[0].device_id == (48,)
    assert (settings.mqtt.password, settings.mqtt.user, settings.mqtt.topic) == ("a #b", "c #d", "x")


def test_what_is_the_users_own_is_let_be(folder: Folder) -> None:
    parser = upstream_parser("[DEFAULT]\nwhere = attic\ntype = RNG_BATT\n" + DEVICE + "colour = geheim\n[mqt]\nx = geheim\n")
    assert load_parser(parser).devices[0].type == "RNG_BATT"
    assert [warning.partition("; ignored")[0] for warning in folder.warnings] == [
        "[device] colour = ***: there is no such option",
        "[mqt]: there is no such section",
    ]


def test_all_problems_and_the_environment() -> None:
    parser = upstream_parser("[device]\ntype = x\n[data]\npoll_interval = y\n")
    with pytest.raises(ConfigError) as caught:
        load_parser(parser, environ={"RENOGYBT_MQTT__PORT": "z"})
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "[device] type = x",
        "[data] poll_interval = y",
        "environment variable RENOGYBT_MQTT__PORT",
        "[device] mac_addr",
    ]


def test_values_without_an_equals_sign() -> None:
    parser = configparser.ConfigParser(allow_no_value=True)
    parser.read_string(DEVICE + "[mqtt]\nuser\n")
    assert load_parser(parser).mqtt.user == ""
