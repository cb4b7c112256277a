"""What options must be together: needed combinations, and things that would stand in each other's way."""

from __future__ import annotations

from collections.abc import Mapping

from renogybt.config.checks.data import check_data
from renogybt.config.checks.devices import check_devices
from renogybt.config.checks.files import check_files
from renogybt.config.checks.judge import Judge
from renogybt.config.checks.mqtt import check_mqtt
from renogybt.config.checks.proxy import check_proxy
from renogybt.config.checks.pvoutput import check_pvoutput
from renogybt.config.checks.web import check_influxdb, check_remote_logging
from renogybt.config.report import Entry, Report
from renogybt.settings import Settings

__all__ = ["check"]

CHECKS = (
    check_devices,
    check_data,
    check_mqtt,
    check_remote_logging,
    check_pvoutput,
    check_influxdb,
    check_files,
    check_proxy,
)


def check(settings: Settings, entries: Mapping[tuple[str, str], Entry], report: Report) -> None:
    """Report what does not go together; `entries` says where each option was given."""
    judge = Judge(settings, entries, report)
    for one in CHECKS:
        one(judge)
