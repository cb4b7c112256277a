"""The outbox on a clock of its own."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from renogybt.sinks.outbox import Message, Outbox


def test_a_topic_speaks_at_once_and_then_once_a_second() -> None:
    box = Outbox()
    box.put(Message("a", "1"))
    assert [m.payload for m in box.due(100.0)] == ["1"]
    box.put(Message("a", "2"))
    assert box.due(100.5) == []
    assert box.next_due(100.5) == 0.5
    box.put(Message("a", "3"))
    assert [m.payload for m in box.due(101.0)] == ["3"]
    assert box.next_due(101.0) is None


def test_topics_do_not_wait_for_each_other() -> None:
    box = Outbox()
    box.put(Message("a", "1"))
    box.due(0)
    box.put(Message("a", "2"))
    box.put(Message("b", "1"))
    assert [m.topic for m in box.due(0.1)] == ["b"]


def test_what_did_not_go_goes_next_unless_something_newer_waits() -> None:
    box = Outbox()
    box.put(Message("a", "1"))
    box.put(Message("b", "1"))
    first, second = box.due(0)
    box.put(Message("b", "2"))
    box.restore(first)
    box.restore(second)
    assert sorted(m.payload for m in box.due(0.01)) == ["1", "2"]


def test_hurry_lets_everything_go() -> None:
    box = Outbox()
    box.put(Message("a", "1"))
    box.due(0)
    box.put(Message("a", "2"))
    assert [m.payload for m in box.due(0.1, hurry=True)] == ["2"]


def test_what_leads_goes_before_what_waits() -> None:
    box = Outbox()
    for topic in ("a", "b", "c"):
        box.put(Message(topic, "old"))
    box.lead([Message("d", "new"), Message("b", "new")])
    assert [(m.topic, m.payload) for m in box.due(0)] == [("d", "new"), ("b", "new"), ("a", "old"), ("c", "old")]


EVENTS = st.lists(st.tuples(st.floats(0, 3), st.one_of(st.none(), st.sampled_from("abc"))), max_size=60)


@given(EVENTS)
def test_any_order_of_events_keeps_the_newest_the_spacing_and_the_bound(events: list[tuple[float, str | None]]) -> None:
    """Time passes, then a topic gets a message (or nobody speaks and the sender looks in)."""
    box, now, number = Outbox(), 0.0, 0
    newest: dict[str, str] = {}
    sent: dict[str, list[tuple[float, str]]] = {}
    for pause, topic in events:
        now += pause
        if topic is not None:
            number += 1
            newest[topic] = str(number)
            box.put(Message(topic, str(number)))
        else:
            for message in box.due(now):
                sent.setdefault(message.topic, []).append((now, message.payload))
        assert len(box) <= 3
    while (wait := box.next_due(now)) is not None:
        now += wait + 1e-9
        for message in box.due(now):
            sent.setdefault(message.topic, []).append((now, message.payload))
    assert {topic: said[-1][1] for topic, said in sent.items()} == newest
    for said in sent.values():
        assert all(later[0] - earlier[0] >= 0.999999 for earlier, later in pairwise(said))
        assert [int(payload) for _, payload in said] == sorted(int(payload) for _, payload in said)
