"""What the outlets by HTTP need once they are switched on, PVOutput apart."""

from __future__ import annotations

import pytest

from tests.config.given import DEVICE, Folder

INFLUX = DEVICE + "[influxdb]\nenabled = true\n"
TWO = INFLUX + "org = home\ntoken = geheim\n"
REMOTE = DEVICE + "[remote_logging]\nenabled = true\nurl = https://example.com/post.php\n"


@pytest.mark.parametrize(
    "url", ["", "example.com/x", "ftp://example.com", "http://", "http://[x", "http://a:99999/", "http://a b/"]
)
def test_remote_logging(folder: Folder, url: str) -> None:
    problem = folder.problem(f"{DEVICE}[remote_logging]\nenabled = true\nurl = {url}\n")
    assert "line 5: [remote_logging] url = " in problem
    folder.load(f"{DEVICE}[remote_logging]\nenabled = true\nurl = https://example.com:8443/post.php?id=1\n")


def test_a_faulty_address_is_not_called_missing_too(folder: Folder) -> None:
    assert "cannot be printed" in folder.problem(f"{DEVICE}[remote_logging]\nenabled = true\nurl = http://a\tb/\n")


def test_own_authority(folder: Folder) -> None:
    (folder.path / "ca.pem").write_text("x")
    assert folder.load(REMOTE + "ca = ca.pem\n").remote_logging.ca == "ca.pem"
    assert folder.load(f"{TWO}url = https://influx.local\nca = ca.pem\n").influxdb.ca == "ca.pem"
    assert not folder.warnings
    for text in (REMOTE, f"{TWO}url = https://influx.local\n"):
        problem = folder.problem(text + "ca = no-such.pem\n")
        assert f"ca = no-such.pem: the file {folder.path}/no-such.pem cannot be read (No such file or directory)" in problem
        folder.load(text.replace("enabled = true", "enabled = false") + "ca = no-such.pem\n")


def test_authority_without_encryption(folder: Folder) -> None:
    (folder.path / "ca.pem").write_text("x")
    for text in (REMOTE.replace("https:", "http:"), TWO):
        folder.load(text + "ca = ca.pem\n")
        (warning,) = folder.warnings
        assert "ca = ca.pem: is not used, because url begins with http:" in warning


@pytest.mark.parametrize(
    ("lines", "missing"),
    [
        ("", ["org", "token"]),
        ("version = 2\nbucket =", ["bucket", "org", "token"]),
        ("version = 1\ndatabase =", ["database"]),
        ("version = 1\nurl =\nmeasurement =", ["url", "measurement"]),
    ],
)
def test_what_influxdb_needs(folder: Folder, lines: str, missing: list[str]) -> None:
    problems = folder.problems(f"{INFLUX}{lines}\n")
    assert [problem.partition("[influxdb] ")[2].split()[0].rstrip(":") for problem in problems] == missing
    assert all("is needed when InfluxDB is enabled" in problem for problem in problems)
    folder.load(f"{INFLUX}{lines}\n".replace("enabled = true", "enabled = false"))


@pytest.mark.parametrize("text", [TWO, INFLUX + "version = 1\n", INFLUX + "version = 1\nuser = me\npassword = geheim\n"])
def test_sound_influxdb(folder: Folder, text: str) -> None:
    assert folder.load(text).influxdb.enabled
    assert not folder.warnings


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("localhost:8086", "must be a web address like http://localhost:8086"),
        ("http://localhost:8086/write?db=x", "must be only where the service begins"),
        ("http://localhost:8086/api/v2/write", "must be only where the service begins"),
    ],
)
def test_address_of_influxdb(folder: Folder, url: str, words: str) -> None:
    problem = folder.problem(f"{TWO}url = {url}\n")
    assert "[influxdb] url = " in problem
    assert words in problem


def test_password_without_a_user(folder: Folder) -> None:
    folder.load(INFLUX + "version = 1\npassword = geheim\n")
    (warning,) = folder.warnings
    assert "[influxdb] password = ***: a password without a user is not sent" in warning
