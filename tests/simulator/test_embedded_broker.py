"""The demo's broker, used by a real paho client."""

import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import paho.mqtt.client as mqtt
import pytest

from renogybt.errors import OutletError
from renogybt.simulator import broker as place
from renogybt.simulator.broker import HOST, EmbeddedBroker
from tests.peers.ports import free_port

PATIENCE = 60.0


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    broker = EmbeddedBroker(free_port())
    broker.start()
    yield broker
    assert broker.stop()


def client(broker: EmbeddedBroker, name: str, will: str = "") -> mqtt.Client:
    made = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, name)
    if will:
        made.will_set(will, "offline", retain=True)
    made.connect(HOST, broker.port)
    made.loop_start()
    until(made.is_connected)
    return made


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.01)


def hear(broker: EmbeddedBroker, name: str, topic: str) -> tuple[mqtt.Client, list[mqtt.MQTTMessage]]:
    heard: list[mqtt.MQTTMessage] = []
    granted = threading.Event()
    listener = client(broker, name)
    listener.on_message = lambda client, data, message: heard.append(message)
    listener.on_subscribe = lambda *args: granted.set()
    listener.subscribe(topic, 1)
    assert granted.wait(PATIENCE)
    return listener, heard


def leave(*clients: mqtt.Client) -> None:
    for one in clients:
        one.disconnect()
        one.loop_stop()


def test_messages_reach_subscribers(broker):
    listener, heard = hear(broker, "listener", "solar/#")
    sender = client(broker, "sender")
    for number in range(50):
        sender.publish("solar/state", str(number), 1)
    until(lambda: len(heard) == 50)
    assert [int(message.payload) for message in heard] == list(range(50))
    leave(sender, listener)


def test_retained_messages_wait_for_newcomers(broker):
    sender = client(broker, "sender")
    text = b"x" * 40_000
    sender.publish("homeassistant/device/one/config", text, 1, retain=True).wait_for_publish(PATIENCE)
    listener, heard = hear(broker, "late", "homeassistant/#")
    until(lambda: heard)
    assert (heard[0].payload, heard[0].retain) == (text, True)
    leave(sender, listener)


def test_an_emptied_topic_is_forgotten(broker):
    sender = client(broker, "sender")
    sender.publish("a/b", "once", 1, retain=True).wait_for_publish(PATIENCE)
    sender.publish("a/b", "", 1, retain=True).wait_for_publish(PATIENCE)
    sender.publish("a/c", "here", 1, retain=True).wait_for_publish(PATIENCE)
    listener, heard = hear(broker, "late", "a/#")
    until(lambda: heard)
    assert [message.topic for message in heard] == ["a/c"]
    leave(sender, listener)


def test_a_will_is_sent_when_its_owner_breaks_off(broker):
    listener, heard = hear(broker, "listener", "status")
    owner = client(broker, "owner", will="status")
    owner.socket().shutdown(socket.SHUT_RDWR)
    until(lambda: heard)
    assert heard[0].payload == b"offline"
    leave(owner, listener)


def test_it_does_not_talk_about_itself(broker):
    listener, heard = hear(broker, "listener", "$SYS/#")
    sender = client(broker, "sender")
    sender.publish("a", "b", 1).wait_for_publish(PATIENCE)
    assert heard == []
    leave(sender, listener)


def test_it_stops_quickly_and_quietly_with_clients_still_there(caplog):
    broker = EmbeddedBroker(free_port())
    broker.start()
    staying = client(broker, "staying")
    started = time.monotonic()
    with caplog.at_level(logging.WARNING):
        assert broker.stop()
    assert time.monotonic() - started < PATIENCE
    assert [record.getMessage() for record in caplog.records] == []
    assert broker.stop()
    leave(staying)
    assert "broker" not in {thread.name for thread in threading.enumerate()}


def test_a_taken_port_is_told(broker):
    with pytest.raises(OutletError, match=f"{broker.port}.*in use"):
        EmbeddedBroker(broker.port).start()


def test_a_free_port_is_found(broker):
    assert place.free_port(broker.port) != broker.port
    unused = free_port()
    assert place.free_port(unused) == unused


def test_without_its_library_it_says_how_to_get_it():
    """In a Python of its own, which cannot import amqtt."""
    script = (
        "import sys; sys.modules['amqtt'] = None\n"
        "from renogybt.simulator.broker import EmbeddedBroker\n"
        "from renogybt.errors import UserError\n"
        "try:\n    EmbeddedBroker(1).start()\nexcept UserError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100, check=True)
    assert "pip install" in done.stdout
    assert "renogybt[demo]" in done.stdout
