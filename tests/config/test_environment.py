"""Options from the environment, and secrets from files; no secret may be seen anywhere."""

from __future__ import annotations

import pytest

from renogybt.config import describe
from renogybt.config.environment import variable
from renogybt.config.options import SECTIONS, options
from tests.config.given import DEVICE, Folder, part

MQTT = DEVICE + "[mqtt]\nuser = me\n"
SECRETS = [(section, key) for section in SECTIONS for key, option in options(section).items() if option.secret]


def test_overrides_the_file(folder: Folder) -> None:
    settings = folder.load(
        DEVICE + "[device.roof-2]\nalias = x\n[mqtt]\nport = nonsense\n",
        {
            "RENOGYBT_MQTT__PORT": " 8883 ",
            "RENOGYBT_MQTT__PASSWORD": '"a # b" # c',
            "RENOGYBT_MQTT__USER": "me",
            "RENOGYBT_DEVICE__MAC_ADDR": "80:6f:b0:0f:00:01",
            "RENOGYBT_DEVICE_ROOF_2__POLL_INTERVAL": "7",
            "RENOGYBT_PVOUTPUT__SYSTEM_ID": "9",
            "HOME": "/root",
        },
    )
    assert (settings.mqtt.port, settings.mqtt.password) == (8883, '"a # b" # c')
    assert settings.devices[0].mac_addr == "80:6F:B0:0F:00:01"
    assert settings.devices[1].poll_interval == 7
    assert [system.system_id for system in settings.pvoutput] == ["9"]


def test_further_systems_at_pvoutput(folder: Folder) -> None:
    environ = {"RENOGYBT_PVOUTPUT_SHED_2__SYSTEM_ID": "9", "RENOGYBT_PVOUTPUT_SHED_2__API_KEY": "geheim"}
    settings = folder.load(DEVICE + "[PVOutput.Shed-2]\nsystem_id = 8\n[pvoutput]\n", environ)
    assert [(one.section, one.system_id, one.api_key) for one in settings.pvoutput] == [
        ("pvoutput.Shed-2", "9", "geheim"),
        ("pvoutput", "", ""),
    ]
    problems = folder.problems(DEVICE, environ)
    assert [problem.partition(":")[0] for problem in problems] == [
        f"environment variable {name}" for name in sorted(environ)
    ]


def test_may_bring_the_device(folder: Folder) -> None:
    assert folder.load("", {"RENOGYBT_DEVICE__ALIAS": "BT-TH-1"}).devices[0].alias == "BT-TH-1"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("RENOGYBT_MQTT_PASSWORD", "did you mean RENOGYBT_MQTT__PASSWORD?"),
        ("RENOGYBT_DEVICE_ROFF__ALIAS", "did you mean RENOGYBT_DEVICE_ROOF__ALIAS?"),
        ("RENOGYBT_", "there is no such option"),
        ("RENOGYBT_MQTT__SERVER_FILE", "there is no such option"),
    ],
)
def test_unknown_variables(folder: Folder, name: str, words: str) -> None:
    problem = folder.problem(DEVICE + "[device.roof]\nalias = x\n", {name: "geheim"})
    assert problem.startswith(f"environment variable {name}: ")
    assert words in problem
    assert "geheim" not in problem


def test_a_wrong_value(folder: Folder) -> None:
    problem = folder.problem(DEVICE, {"RENOGYBT_MQTT__PORT": "1883 # usual"})
    start = "environment variable RENOGYBT_MQTT__PORT: [mqtt] port = 1883 # usual: must be a whole number"
    assert problem.startswith(start)


def test_bytes_that_are_no_text(folder: Folder) -> None:
    assert "cannot be printed" in folder.problem(DEVICE, {"RENOGYBT_MQTT__TOPIC": "a\udcff"})


def test_sections_that_differ_in_punctuation_only(folder: Folder) -> None:
    text = "[device.a-b]\nalias = x\n[device.a_b]\nalias = y\n"
    folder.load(text)
    assert "fits [device.a-b] and [device.a_b] alike" in folder.problem(text, {"RENOGYBT_DEVICE_A_B__TYPE": "RNG_BATT"})


@pytest.mark.parametrize(("section", "key"), SECRETS)
@pytest.mark.parametrize("content", [" geheim ", " geheim \n", " geheim \r\n"])
def test_secret_in_a_file(folder: Folder, section: str, key: str, content: str) -> None:
    (folder.path / "secret").write_text(content, newline="")
    by_file = folder.load(f"{DEVICE}[{section}]\n{key} =\n{key}_file = secret\n")
    by_variable = folder.load(DEVICE, {f"{variable(section, key)}_FILE": str(folder.path / "secret")})
    for settings in (by_file, by_variable):
        assert getattr(part(settings, section), key) == " geheim "


def test_the_environment_wins_over_either_form(folder: Folder) -> None:
    (folder.path / "secret").write_text("filed")
    filed, plain = MQTT + "password_file = secret\n", MQTT + "password = plain\n"
    assert folder.load(filed, {"RENOGYBT_MQTT__PASSWORD": "given"}).mqtt.password == "given"
    assert folder.load(plain, {"RENOGYBT_MQTT__PASSWORD_FILE": "secret"}).mqtt.password == "filed"


def test_both_forms_at_once(folder: Folder) -> None:
    (folder.path / "secret").write_text("filed")
    problem = folder.problem(MQTT + "password = geheim\npassword_file = secret\n")
    assert "line 6: [mqtt] password_file = ***: password is given as well; delete one of them" in problem
    folder.problem(MQTT, {"RENOGYBT_MQTT__PASSWORD": "geheim", "RENOGYBT_MQTT__PASSWORD_FILE": "secret"})


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("nowhere", b"", "No such file or directory"),
        (".", b"", "this is not a file"),
        ("geheim\x00", b"", "not a file name"),
        ("geheim", b"\xff\xfe\xfd", "not text in UTF-8"),
        ("geheim", b"x" * 70000, "too large"),
        ("~nobody-of-this-name/x", b"", "No such file or directory"),
    ],
    ids=["missing", "folder", "no name", "no text", "large", "no home"],
)
def test_no_readable_secret(folder: Folder, name: str, content: bytes, words: str) -> None:
    (folder.path / "geheim").write_bytes(content)
    for problem in (
        folder.problem(f"{MQTT}password_file = {name}\n"),
        folder.problem(MQTT, {"RENOGYBT_MQTT__PASSWORD_FILE": name}),
    ):
        assert "[mqtt] password_file = ***: " in problem
        assert words in problem
        assert "geheim" not in problem
        assert "nobody" not in problem


def test_a_secret_of_several_lines(folder: Folder) -> None:
    (folder.path / "secret").write_text("geheim\nzwei\n")
    problem = folder.problem(MQTT + "password_file = secret\n")
    assert "[mqtt] password = ***: runs over several lines" in problem


@pytest.mark.parametrize(("section", "key"), SECRETS)
def test_no_secret_is_seen(folder: Folder, section: str, key: str) -> None:
    text = f"{DEVICE}[{section}]\n{key} = geheim%%\n"
    settings = folder.load(text)
    assert getattr(part(settings, section), key) == "geheim%%"
    seen = [repr(settings), str(settings), describe(settings), *folder.warnings, *folder.remarks]
    wrong = (
        f"{text}{key} = geheim\n{key}x = geheim\ngeheim\n[data]\n{key} = geheim\n[home_assistant_proxy]\n{key} = geheim\n"
    )
    seen += folder.problems(wrong, {variable(section, key): "geheim\x00", f"{variable(section, key)}X": "geheim"})
    seen += folder.warnings + folder.remarks
    assert not [text for text in seen if "geheim" in text]
    assert "***" in repr(settings)
    assert f"{key} = ***" in describe(settings)


def test_no_password_inside_an_address_is_seen(folder: Folder) -> None:
    url = "http://bob:geheim@example.com/post?token=geheim"
    settings = folder.load(f"{DEVICE}[remote_logging]\nenabled = true\nurl = {url}\n")
    assert settings.remote_logging.url == url
    seen = [repr(settings), describe(settings)]
    seen += folder.problems(f"{DEVICE}[remote_logging]\nenabled = true\nurl = {url.replace('http', 'htp')}\n")
    seen += folder.problems(f"{DEVICE}[mqtt]\nenabled = true\nserver = bob:geheim@broker\n")
    assert not [text for text in seen if "geheim" in text]
    assert "url = http://***@example.com/post?***" in describe(settings)
