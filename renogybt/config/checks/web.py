"""What the outlets by HTTP need, PVOutput apart."""

from __future__ import annotations

import re

from renogybt.config.checks.judge import Judge


def check_remote_logging(judge: Judge) -> None:
    section, remote = "remote_logging", judge.settings.remote_logging
    if remote.enabled:
        judge.web_address(section, "url", remote.url, "remote logging is enabled", "https://example.com/post.php")
        judge.authority(section, remote.url, remote.ca)


def check_influxdb(judge: Judge) -> None:
    section, influx = "influxdb", judge.settings.influxdb
    if not influx.enabled:
        return
    why, example = "InfluxDB is enabled", "http://localhost:8086"
    service_address(judge, section, influx.url, why, example)
    for key in ("database",) if influx.version == "1" else ("org", "bucket", "token"):
        judge.required(section, key, getattr(influx, key), f"{why} and version is {influx.version}")
    judge.required(section, "measurement", influx.measurement, why)
    if influx.version == "1" and influx.password and not influx.user:
        judge.warn(section, "password", "a password without a user is not sent to the server")
    judge.authority(section, influx.url, influx.ca)


def service_address(judge: Judge, section: str, url: str, why: str, example: str) -> None:
    """`url` is where a service begins; the program puts the rest behind it."""
    if judge.web_address(section, "url", url, why, example) and re.search(r"[?#]|/write/?$", url):
        judge.fault(section, "url", f"must be only where the service begins, like {example}; the rest is put behind it")
