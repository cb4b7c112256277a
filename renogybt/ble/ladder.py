"""Climbing the ladder of remedies: carries out what `diagnosis` decides, and says so."""

from __future__ import annotations

import logging
import time

from renogybt.ble import diagnosis
from renogybt.ble.adapters import Adapters
from renogybt.ble.bleak_bus import stop_discovery
from renogybt.ble.diagnosis import RESETS, Rung, Trouble
from renogybt.ble.resets import Resets
from renogybt.ble.teller import Teller
from renogybt.ble.treatment import FAULTS, Treatment, plain
from renogybt.settings import Watchdog as Settings

log = logging.getLogger("renogybt.ble.watchdog")


class Ladder:
    def __init__(self, settings: Settings, resets: Resets, adapters: Adapters, treatment: Treatment, teller: Teller) -> None:
        self._settings, self._resets = settings, resets
        self._adapters, self._treatment, self._teller = adapters, treatment, teller

    async def climb(self) -> None:
        """Look at what is known; do something about it if it is time."""
        memory, settings = self._resets.memory, self._settings
        facts = self._adapters.facts(time.monotonic())
        self._mention_others(facts)
        step = diagnosis.next_step(facts, settings, self._resets)
        if step is None:
            if memory.rung and diagnosis.calm(facts, memory, settings):
                log.info("Bluetooth works again")
                self._resets.calm()
                self._teller.over("refused")
        elif step.refused:
            limit = f"but {settings.resets_per_hour} resets within an hour are the limit"
            self._teller.once("refused", logging.WARNING, "refused", f"{step.trouble.text}, {limit}; waiting")
        else:
            if step.rung in RESETS:
                self._teller.over("refused")
            ended = False
            try:
                ended = await self._do(step.rung, step.trouble)
            finally:
                memory.at = time.monotonic()
                self._adapters.begin_anew(ended)

    def _mention_others(self, facts: diagnosis.Facts) -> None:
        for adapter in facts.adapters:
            key = f"foreign {adapter.name}"
            if diagnosis.foreign_and_harmless(adapter, facts.now, self._settings):
                text = f"another program keeps {adapter.name} scanning; readings succeed all the same, so it is left alone"
                self._teller.once(key, logging.INFO, "adapter", text)
            elif adapter.discovering_since is None:
                self._teller.over(key)

    async def _do(self, rung: Rung, trouble: Trouble) -> bool:
        """Climb one rung. True: no scan of ours is left on the adapter."""
        name, text = trouble.adapter, trouble.text
        if rung == "stop_discovery":
            return await self._stop_discovery(name, text)
        if rung == "drop_bus":
            await self._treatment.quiet()
            failed = await self._treatment.lose_everything(text)
            self._tell_done(rung, text, "made all connections anew", failed)
        elif rung == "power_cycle":
            failed = await self._treatment.power_cycle(name)
            self._tell_done(rung, text, "switched it off and on", failed)
        elif rung == "restart_service":
            failed = await self._treatment.restart_bluetooth()
            done = "bluetooth.service could not be restarted" if failed else "restarted bluetooth.service"
            self._teller.tell(logging.WARNING, rung, f"{text}: {done}" + (f": {failed}" if failed else ""))
        elif rung == "new_loop":
            failed = ""
            self._teller.tell(logging.WARNING, rung, f"{text}: starting the radio thread anew", "new_loop")
        else:
            failed = ""
            end = "nothing helped, so this program ends for systemd to start it anew"
            self._teller.tell(logging.ERROR, rung, f"{text}: {end}", "leave")
        return not failed

    def _tell_done(self, rung: Rung, text: str, done: str, failed: str) -> None:
        text = f"{text}: {done}" + (f", in vain: {failed}" if failed else "")
        self._teller.tell(logging.WARNING, rung, text, "" if failed else "hasten")

    async def _stop_discovery(self, name: str, text: str) -> bool:
        try:
            ours = await stop_discovery(name)
        except FAULTS as error:
            self._teller.tell(logging.INFO, "stop_discovery", f"{text}: could not end our scan: {plain(error)}")
            return False
        done = "ended our scan" if ours else "the scan is not ours"
        self._teller.tell(logging.INFO, "stop_discovery", f"{text}: {done}", "hasten" if ours else "")
        return True
