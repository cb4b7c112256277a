"""Two of these programs: one lends its radio, the other reads batteries through it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from renogybt.proxy.remote import RemoteRadio
from renogybt.reading import Reading
from renogybt.settings import Device, Settings
from renogybt.sources.module import Section
from tests.ble.rig import Start
from tests.peers.bluez import scenarios as scene
from tests.proxy.given import KEY
from tests.proxy.lent import lent, run


@pytest.mark.parametrize("key", ["", KEY])
def test_four_batteries_through_the_proxy_of_another_bridge(rig: Start, tmp_path: Path, key: str) -> None:
    radio = rig(scene.batteries())
    with lent(radio, tmp_path, key) as house:
        via = f"esphome://127.0.0.1:{house.node.port}" + (f"?key={key}" if key else "")
        units = tuple(pack.unit for pack in scene.PACKS)
        device = Device(mac_addr=scene.BATTERIES, alias="hub", type="RNG_BATT", device_id=units, via=via)
        settings = Settings(devices=(device,))

        async def work() -> list[Any]:
            remote, news = RemoteRadio(settings, lambda incident: None), list[Any]()
            await Section(device, settings).cycle(remote, news.append)
            await remote.close()
            return news

        found = {news.identity.unit: news.values for news in run(work()) if isinstance(news, Reading)}
        house.wait(lambda: not radio.fake.connections())
    assert {unit: (values["voltage"], values["current"], values["remaining_charge"]) for unit, values in found.items()} == {
        pack.unit: (pack.voltage, pack.current, pack.remaining) for pack in scene.PACKS
    }
    assert radio.fake.violations() == []
