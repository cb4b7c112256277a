"""A plain reading through the real radio, and what can be seen of it."""

from tests.ble.rig import PROMPT, ROVER, Start, within


def test_a_reading_and_its_figures(rig: Start) -> None:
    radio = rig()
    with within(PROMPT):
        first = radio.read()
    assert len(first) == 4
    assert radio.read() == first
    assert radio.members("StartDiscovery", "Connect") == ["StartDiscovery", "Connect"]
    assert radio.manager.connected(ROVER)
    seconds = radio.manager.connect_seconds(ROVER)
    assert seconds is not None
    assert 0 <= seconds < PROMPT
    (adapter,) = radio.manager.adapters.values()
    assert adapter.name == "hci0"
    assert adapter.address == "B8:27:EB:00:00:01"
    assert adapter.good_at is not None
    assert adapter.failing_since is None
    assert adapter.scanning_since is None
    assert adapter.silent_scans == adapter.failed_scans == 0
    assert radio.incidents == []
