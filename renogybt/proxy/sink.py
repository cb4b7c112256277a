"""Readings to the clients of an ESPHome node, among the other outlets."""

from __future__ import annotations

from collections.abc import Mapping

from renogybt.proxy.node import EsphomeNode
from renogybt.reading import Failure, Identity, LinkFigures, Reading, Standing
from renogybt.sinks.sink import Health


class EsphomeSink:
    """Hands everything to the node, which runs elsewhere and is started and closed there."""

    name = "esphome"

    def __init__(self, node: EsphomeNode) -> None:
        self._node = node

    def start(self) -> None:
        """The node is started in its event loop."""

    def offer(self, reading: Reading) -> None:
        self._node.offer(reading)

    def failed(self, failure: Failure) -> None:
        """One failure changes no state: the link tells of it, and `standing` of what follows."""

    def figures(self, identity: Identity, figures: LinkFigures) -> None:
        self._node.offer((identity, figures))

    def standing(self, standing: Standing) -> None:
        self._node.offer(standing)

    def flush(self, timeout: float) -> str:
        """Nothing is kept for clients that are not there."""
        return ""

    def stop(self, timeout: float, last_words: bool = True) -> bool:
        """The node says goodbye where it runs."""
        return True

    def health(self) -> Mapping[str, Health]:
        return {self.name: Health("connected" if self._node.clients else "disconnected")}
