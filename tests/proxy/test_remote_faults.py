"""What goes wrong on the way through an ESPHome proxy: it is said in words that help, ends in time, makes no wrong value."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from renogybt.errors import ConnectFailed, Held, LinkError, NoAdapter, NotFound
from renogybt.proxy import remote_host, remote_link, remote_module
from renogybt.reading import Failure
from renogybt.settings import Bluetooth
from tests.peers.bluez import scenarios as scene
from tests.peers.esphome import proxy as peer
from tests.peers.esphome.proxy import FakeProxy
from tests.peers.mosquitto import free_port, until
from tests.peers.starvation import Starvation
from tests.proxy.remote_rig import KEY, OTHER_KEY, Rig, hub, rig, rover, truth

TRUTH = truth(scene.batteries(), hub(""))


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Time in which a busy machine had no processor for us does not count."""
    began, starvation = time.monotonic(), Starvation()
    yield
    assert time.monotonic() - began - starvation.seconds() < seconds


def only_true(it: Rig) -> int:
    """Read once; whatever was read must be true. How many units that were."""
    found = it.cycle()
    for unit, reading in found.items():
        known = TRUTH[unit]
        assert {key: value for key, value in reading.values.items() if value is not None and value != known[key]} == {}
    return len(found)


# The proxy itself


@pytest.mark.parametrize(
    ("server", "client", "words"),
    [
        (KEY, OTHER_KEY, "it has another key"),
        (KEY, "", "it wants encryption: add ?key="),
        ("", KEY, "take ?key= out of via"),
    ],
)
def test_a_key_that_does_not_fit(server: str, client: str, words: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with FakeProxy(scene.batteries(), key=server) as proxy, rig(hub(proxy.via(key=client))) as it:
        with within(20):
            error = it.error()
        assert isinstance(error, NoAdapter)
        assert words in str(error)
        assert f"{peer.HOST}:{proxy.port}" in str(error)
        for secret in (KEY, OTHER_KEY):
            assert secret not in str(error) + caplog.text


def test_a_password(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with FakeProxy(scene.batteries(), password="open sesame") as proxy:
        with rig(hub(proxy.via(password="wrong%20one"))) as it:
            assert "password" in str(it.error())
        with rig(hub(proxy.via(password="open%20sesame"))) as it:
            assert len(it.cycle()) == 4
    assert "sesame" not in caplog.text


def test_nobody_at_home() -> None:
    with rig(hub(f"esphome://{peer.HOST}:{free_port()}")) as it:
        with within(20):
            error = it.error()
        assert isinstance(error, NoAdapter)
        assert "is it switched on" in str(error)


def test_a_name_nobody_knows() -> None:
    with rig(hub("esphome://no-such-host.invalid")) as it:
        error = it.error()
        assert isinstance(error, NoAdapter)
        assert "nobody knows this name" in str(error)


def test_a_server_that_never_says_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_host, "CONNECT_LIMIT", 0.5)
    with FakeProxy() as proxy:
        proxy.deaf = True
        with rig(hub(proxy.via())) as it, within(20):
            error = it.error()
        assert isinstance(error, NoAdapter)
        assert "it does not answer" in str(error)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (0, "is no Bluetooth proxy: put bluetooth_proxy:"),
        (peer.PASSIVE | peer.RAW | peer.STATE, "only listens: put active: true"),
        (peer.PASSIVE | peer.ACTIVE, "too old"),
    ],
)
def test_a_node_that_cannot_do_it(flags: int, words: str) -> None:
    with FakeProxy(scene.batteries(), flags=flags) as proxy, rig(hub(proxy.via())) as it:
        error = it.error()
        assert isinstance(error, NoAdapter)
        assert words in str(error)


def test_a_proxy_that_works_for_home_assistant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_host, "GREETING", 0.3)
    monkeypatch.setattr(remote_host, "SHORTEST", 0.2)
    monkeypatch.setattr(remote_host, "LONGEST", 0.2)
    with FakeProxy(scene.batteries()) as proxy:
        proxy.foreign = True
        with rig(hub(proxy.via())) as it:
            error = it.error()
            assert isinstance(error, Held)
            assert "an ESP32 works for one client at a time" in str(error)
            proxy.foreign = False
            it.until_read("hub", 30)
            assert [incident.asks for incident in it.incidents] == ["", "hasten"]


# Slots


def test_no_free_slot() -> None:
    with FakeProxy(scene.batteries(), slots=2) as proxy:
        proxy.occupied = 2
        with rig(hub(proxy.via())) as it:
            with within(20):
                error = it.error()
            assert isinstance(error, ConnectFailed)
            assert "has no free connection slot: other programs use all 2" in str(error)
            assert "connection_slots:" in str(error)
            assert proxy.connects == []
            proxy.occupied = 0
            it.until_read("hub", 30)


# The module


def test_a_module_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_module, "LATELY", 0.2)
    with FakeProxy(scene.controller()) as proxy, rig(hub(proxy.via())) as it:
        error = it.error()
        error = it.error()
        assert isinstance(error, NotFound)
        assert scene.BATTERIES in str(error)
        assert f"These look like Renogy modules: {scene.controller().name} ({scene.CONTROLLER})" in str(error)


def test_a_name_that_nobody_has() -> None:
    with FakeProxy(scene.controller()) as proxy:
        with rig(hub(proxy.via(), mac_addr="", alias="BT-TH-WRONG"), bluetooth=Bluetooth(discovery_timeout=0.5)) as it:
            it.radio._plan = it.radio._plan._replace(total=1.0)
            error = it.error("BT-TH-WRONG")
        assert isinstance(error, NotFound)
        assert scene.CONTROLLER in str(error)


def test_a_module_that_the_phone_app_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_module, "LATELY", 0.3)
    with FakeProxy(scene.batteries(), scene.controller()) as proxy, rig(hub(proxy.via(), connection="per_read")) as it:
        assert only_true(it) == 4
        proxy.take_module(scene.BATTERIES)
        time.sleep(0.5)
        error = it.error()
        assert isinstance(error, Held)
        assert "probably a phone app" in str(error)
        proxy.take_module(scene.BATTERIES, False)
        it.until_read("hub", 30)


def test_a_refused_connection_tells_the_reason() -> None:
    with FakeProxy(scene.batteries()) as proxy:
        proxy.refusal, proxy.page_s = 0x3E, 0.05
        with rig(hub(proxy.via())) as it:
            error = it.error()
        assert isinstance(error, ConnectFailed)
        assert "somebody else has the module (code 62)" in str(error)
        assert len(proxy.connects) == 4  # what may be over in a moment is tried again


def test_a_module_that_never_answers_the_call() -> None:
    with FakeProxy(scene.batteries(connect_s=60)) as proxy:
        with rig(hub(proxy.via()), bluetooth=Bluetooth(connection_timeout=1.0)) as it:
            with within(20):
                error = it.error()
            assert isinstance(error, ConnectFailed)
            assert "did not come about within 1 s" in str(error)
            assert proxy.linked() == []
            proxy.spec(scene.BATTERIES, connect_s=0.0)
            it.until_read("hub", 30)
        assert proxy.faults == []


def test_a_device_that_is_no_renogy_module() -> None:
    with FakeProxy(scene.shunt(address=scene.BATTERIES)) as proxy, rig(hub(proxy.via())) as it:
        error = it.error()
        assert "is it a Renogy module?" in str(error)
        assert proxy.linked() == []


# While reading


def test_a_link_that_breaks_in_the_middle_of_a_reading() -> None:
    with FakeProxy(scene.batteries()) as proxy, rig(hub(proxy.via())) as it:
        assert only_true(it) == 4
        proxy.quirk(scene.BATTERIES, 49, kind="drop", times=1)
        assert only_true(it) == 4
        assert proxy.connects == [scene.BATTERIES] * 2
        proxy.drop_link(scene.BATTERIES)
        assert only_true(it) == 4
        assert proxy.visits == 1
        assert proxy.faults == []


@pytest.mark.parametrize("late", [1.5, 2.1, 2.6])
def test_a_late_answer_never_passes_for_the_next(late: float) -> None:
    """Cells and temperatures are 17 words each: an answer that comes too late would fit the next question."""
    with FakeProxy(scene.batteries()) as proxy, rig(hub(proxy.via())) as it:
        assert only_true(it) == 4
        proxy.quirk(scene.BATTERIES, 49, kind="late", value=late, times=2)
        only_true(it)
        proxy.clear_quirks(scene.BATTERIES)
        for source in it.sections["hub"].sources:
            source.resting_until = 0.0
        assert only_true(it) == 4
        assert proxy.faults == []


@pytest.mark.parametrize("kind", ["corrupt_crc", "wrong_unit", "junk", "truncate", "repeat", "silent"])
def test_a_line_that_garbles_now_and_then(kind: str) -> None:
    with FakeProxy(scene.batteries()) as proxy, rig(hub(proxy.via())) as it:
        value = {"wrong_unit": 50, "truncate": 9}.get(kind)
        proxy.quirk(scene.BATTERIES, 49, kind=kind, value=value, times=2)
        only_true(it)
        for source in it.sections["hub"].sources:
            source.resting_until = 0.0
        proxy.clear_quirks(scene.BATTERIES)
        assert only_true(it) == 4


def test_a_unit_that_is_silent_does_not_silence_its_neighbours() -> None:
    with FakeProxy(scene.batteries()) as proxy, rig(hub(proxy.via())) as it:
        proxy.quirk(scene.BATTERIES, 49, kind="silent")
        assert only_true(it) == 3


# The proxy comes and goes


def test_a_proxy_that_is_started_anew_between_readings() -> None:
    with FakeProxy(scene.batteries(), key=KEY) as proxy, rig(hub(proxy.via())) as it:
        assert only_true(it) == 4
        proxy.restart()
        with within(20):
            it.until_read("hub", 30)
        assert proxy.faults == []


def test_a_proxy_that_is_cut_off_in_the_middle_of_a_reading() -> None:
    slow = scene.batteries(byte_ms=1.0, turnaround_ms=20, latency_ms=10)
    with FakeProxy(slow) as proxy, rig(hub(proxy.via())) as it:
        assert only_true(it) == 4
        for cut in (proxy.hang_up, proxy.restart):
            wait = it.begin_cycle("hub")
            time.sleep(0.3)
            with within(40):
                cut()
                news = wait(90)
                assert [one for one in news if not isinstance(one, Failure)]
                it.until_read("hub", 30)
        assert only_true(it) == 4
        assert proxy.faults == []


def test_nobody_waits_for_an_answer_through_a_proxy_that_is_gone() -> None:
    with FakeProxy(scene.batteries()) as proxy, rig(hub(proxy.via())) as it:
        assert only_true(it) == 4
        for cut in (proxy.hang_up, lambda: proxy.drop_link(scene.BATTERIES)):
            proxy.quirk(scene.BATTERIES, 49, kind="silent", times=1)
            with within(1.8):  # a question may take two seconds
                asked = len(proxy.writes)
                wait = it.begin_cycle("hub")
                until(lambda asked=asked: any(frame.startswith("31") for frame in proxy.writes[asked:]))  # unit 49
                cut()
                assert not [news for news in wait(90) if isinstance(news, Failure)]


def test_a_link_that_outlived_its_client_is_not_taken_for_a_new_one() -> None:
    """An answer to what was asked before could come over it."""
    with FakeProxy(scene.batteries()) as proxy, rig(hub(proxy.via())) as it:
        proxy.lingers = True
        assert only_true(it) == 4
        proxy.quirk(scene.BATTERIES, 48, kind="late", value=1.0, times=1)
        wait = it.begin_cycle("hub")
        time.sleep(0.3)
        proxy.hang_up()
        wait(90)
        it.until_read("hub", 30)
        assert only_true(it) == 4
        assert proxy.connects == [scene.BATTERIES] * 2
        assert proxy.faults == []


def test_a_proxy_that_was_away_is_used_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_host, "LONGEST", 0.4)
    with FakeProxy(scene.batteries()) as proxy, rig(hub(proxy.via())) as it:
        assert only_true(it) == 4
        proxy.stop()
        assert isinstance(it.error(), LinkError)
        with within(3):  # what is known to be away is not waited for at each turn
            assert isinstance(it.error(), NoAdapter)
        before = len(it.incidents)
        proxy.start()
        end = time.monotonic() + 30
        while not [incident for incident in it.incidents[before:] if incident.asks == "hasten"]:
            assert time.monotonic() < end
            time.sleep(0.02)
        assert only_true(it) == 4


def test_a_proxy_that_hangs_is_noticed_and_its_end_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("DISCONNECT_LIMIT", "WRITE_LIMIT", "OPERATION_LIMIT"):
        monkeypatch.setattr(remote_link, limit, 0.5)
    monkeypatch.setattr(remote_host, "CONNECT_LIMIT", 0.5)
    monkeypatch.setattr(remote_host, "LONGEST", 0.5)
    with FakeProxy(scene.batteries()) as proxy, rig(hub(proxy.via())) as it:
        assert only_true(it) == 4
        proxy.deaf = True
        with within(40):
            assert it.cycle() == {}
        proxy.deaf = False
        it.until_read("hub", 30)
        assert proxy.faults == []


def test_a_proxy_that_never_tells_the_end_of_a_link_is_connected_to_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_link, "DISCONNECT_LIMIT", 0.3)
    with FakeProxy(scene.batteries()) as proxy, rig(hub(proxy.via())) as it:
        assert only_true(it) == 4
        proxy.mute_ends = True
        proxy.quirk(scene.BATTERIES, 49, kind="silent", times=1)
        it.cycle()
        for _ in range(4):
            it.cycle()
        assert proxy.visits > 1
        proxy.mute_ends = False
        it.until_read("hub", 30)
        assert proxy.faults == []


def test_the_end_does_not_wait_for_a_proxy_that_hangs() -> None:
    with FakeProxy(scene.batteries(), scene.controller()) as proxy:
        it = Rig(hub(proxy.via()), rover(proxy.via()))
        assert len(it.cycle("hub")) == 4
        assert len(it.cycle("rover")) == 1
        proxy.deaf = True
        with within(20):
            assert it.thread.stop(40)
        assert not [thread for thread in threading.enumerate() if thread.name == "ble"]
