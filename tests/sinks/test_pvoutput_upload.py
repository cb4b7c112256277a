"""PVOutput through the real upload thread and the real outbox."""

from __future__ import annotations

import time
from pathlib import Path

from renogybt.reading import Reading
from renogybt.settings import Data, Device, Outbox, Pvoutput, Settings
from renogybt.sinks.pvoutput import outlets
from renogybt.sinks.upload import Uploader
from tests.peers.pvoutput import Fault, PvoutputPeer
from tests.sinks.given import CONTROLLER, ROVER

COUNT = 100


def configured(peer: PvoutputPeer, folder: Path) -> Settings:
    system = Pvoutput(enabled=True, api_key="secret-key", system_id="1234", url=peer.url)
    data = Data(enable_polling=True, timezone="UTC")
    rover = Device(mac_addr=ROVER.mac, alias=ROVER.alias)
    return Settings(devices=(rover,), data=data, pvoutput=(system,), outbox=Outbox(), folder=str(folder))


def past(now: float) -> list[Reading]:
    moments = [now - 300 * (COUNT - n) for n in range(COUNT)]
    return [Reading(ROVER, "controller", CONTROLLER | {"pv_power": n}, at, 0.0) for n, at in enumerate(moments)]


def test_a_backlog_goes_out_once_and_in_order(tmp_path: Path) -> None:
    with PvoutputPeer(time.time, zone="UTC") as peer:
        peer.faults = [Fault(0, carried_out=True)]
        settings = configured(peer, tmp_path)
        uploader = Uploader(settings, outlets(settings))
        uploader.start()
        try:
            for reading in past(time.time()):
                uploader.offer(reading)
            assert uploader.flush(90) == ""
            deadline = time.monotonic() + 90
            while uploader.store.count("pvoutput") and time.monotonic() < deadline:
                time.sleep(0.05)
        finally:
            assert uploader.stop(30)
        assert len(peer.system.times) == COUNT
        assert peer.system.times == sorted(peer.system.times)
        assert set(peer.system.delivered.values()) == {1}
        assert [values["v2"] for _, values in sorted(peer.system.statuses.items())] == [str(n) for n in range(COUNT)]


def test_what_waits_on_the_disk_is_delivered_by_the_next_run(tmp_path: Path) -> None:
    with PvoutputPeer(time.time, zone="UTC") as peer:
        url, peer.url = peer.url, "http://127.0.0.1:9/"
        settings = configured(peer, tmp_path)
        first = Uploader(settings, outlets(settings))
        first.start()
        for reading in past(time.time()):
            first.offer(reading)
        assert first.stop(60)
        assert not peer.asked
        peer.url = url
        settings = configured(peer, tmp_path)
        second = Uploader(settings, outlets(settings))
        second.start()
        try:
            deadline = time.monotonic() + 90
            while len(peer.system.times) < COUNT and time.monotonic() < deadline:
                second.wake()
                time.sleep(0.05)
        finally:
            assert second.stop(30)
        assert set(peer.system.delivered.values()) == {1}
        assert len(peer.system.times) == COUNT
        assert [asked.statuses for asked in peer.asked if asked.service == "addbatchstatus.jsp"] == [30, 30, 30, 10]
