"""Whatever an answer says, it is understood or survived."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from renogybt.settings import Data, Pvoutput, Settings
from renogybt.sinks.answers import LONGEST_PAUSE
from renogybt.sinks.outlet import Answer, Call, Record
from renogybt.sinks.pvoutput import PvoutputOutlet
from renogybt.sinks.pvoutput.answers import quoted, rows, spent, taken, too_old
from renogybt.sinks.pvoutput.rate import HOUR, MARGIN, Budget

KEY = "0123456789abcdef"
WALL = 1_780_308_000.0  # 2026-06-01 10:00:00 UTC
HEADERS = st.dictionaries(
    st.sampled_from(["date", "retry-after", "x-rate-limit-limit", "x-rate-limit-remaining", "x-rate-limit-reset"]),
    st.one_of(st.text(max_size=30), st.integers().map(str), st.just("Mon, 01 Jun 2026 10:03:00 GMT")),
)
TEXTS = st.one_of(
    st.text(),
    st.sampled_from(
        [
            "OK 200: Added Status",
            "20260601,12:00,1;20260601,12:05,0",
            "20260601,12:00,561,34,NaN;",
            "Bad request 400: Moon Powered",
            "Bad request 400: Date is older than 14 days [20260601]",
            f"Forbidden 403: Exceeded 60 requests per hour {KEY}",
        ]
    ),
)


def record(number: int, t: str, sent_once: bool = False) -> Record:
    return Record(number, "pvoutput", WALL - 60, f'{{"d":"20260601","t":"{t}","v1":5,"v2":34}}', sent_once)


def outlet() -> PvoutputOutlet:
    system = Pvoutput(enabled=True, api_key=KEY, system_id="1")
    return PvoutputOutlet(system, Settings(pvoutput=(system,), data=Data(timezone="Europe/Amsterdam")))


@settings(deadline=None, max_examples=300)
@given(
    answers=st.lists(
        st.tuples(st.sampled_from([200, 204, 301, 400, 401, 403, 404, 429, 500, 503]), HEADERS, TEXTS), max_size=8
    ),
    asked=st.booleans(),
)
def test_any_answers(answers: list[tuple[int, dict[str, str], str]], asked: bool) -> None:
    here, mono = outlet(), 0.0
    waiting = [record(1, "12:00", asked), record(2, "12:05"), record(3, "12:05"), record(4, "23:30")]
    for code, headers, text in answers:
        what = here.compose(waiting, WALL + mono, mono) if waiting else 0.0
        if isinstance(what, float):
            assert 0 <= what <= LONGEST_PAUSE + MARGIN
            mono += what
            continue
        verdict = here.judge(what, Answer(code, headers, text), WALL + mono, mono) if isinstance(what, Call) else what
        numbers = {one.number for one in waiting}
        assert {*verdict.done, *verdict.dropped} <= numbers
        assert not {*verdict.done} & {*verdict.dropped}
        assert 0 <= verdict.pause <= LONGEST_PAUSE + MARGIN
        assert KEY not in verdict.reason
        assert "\n" not in verdict.reason
        if isinstance(what, Call):
            assert not verdict.done or code == 200
            assert not verdict.dropped or code in (200, 400)
        waiting = [one for one in waiting if one.number not in {*verdict.done, *verdict.dropped}]
        mono += verdict.pause


def test_rows_of_either_service() -> None:
    assert rows("20260601,12:00,1;20260601,1205,0\n") == {
        ("20260601", "12:00"): ["1", "", ""],
        ("20260601", "12:05"): ["0", "", ""],
    }
    assert rows("OK 200: Added Status") == rows("") == rows("2026,12:00,1") == {}
    assert taken("20260601,12:00,1;20260601,12:05,0;20260601,12:10,2;20260601,12:15,9") == (
        {("20260601", "12:00"), ("20260601", "12:10")},
        {("20260601", "12:05")},
    )


def test_words() -> None:
    assert too_old("Bad request 400: Date is older than 90 days [20140718]") == "20140718"
    assert too_old("Bad request 400: Could not read date [20140718]") == ""
    assert spent("Forbidden 403: Exceeded 60 requests per hour")
    assert spent("Forbidden 403: Exceeded number requests per hour")
    assert not spent("Forbidden 403: Read only key")
    assert quoted(f"  two\nlines\x00 {KEY} ", (KEY, "")) == '"two lines ***"'
    assert quoted("", ()) == "nothing"


def test_a_budget_counts_any_3600_seconds_until_it_is_told() -> None:
    budget = Budget(3)
    for mono in (0.0, 10.0, 3000.0):
        assert budget.wait(mono) == 0
        budget.spend(mono)
    assert budget.wait(3000.0) == 600 + MARGIN
    assert budget.wait(3000.0, spare=2) == HOUR + MARGIN
    assert budget.wait(3600.0) == 0
    budget.spend(3600.0)
    assert budget.wait(3601.0) == 9 + MARGIN


def test_a_budget_that_was_told_begins_each_hour_anew() -> None:
    budget = Budget(60)
    told = {"x-rate-limit-limit": "300", "x-rate-limit-remaining": "1", "x-rate-limit-reset": str(int(WALL) + 100)}
    budget.told(told, WALL, 0.0)
    assert (budget.limit, budget.wait(0.0)) == (300, 0)
    assert budget.wait(0.0, spare=1) == 100 + MARGIN
    budget.spend(0.0)
    assert budget.wait(50.0) == 50 + MARGIN
    assert budget.wait(102.0) == 0
    assert budget.wait(3 * HOUR) == 0


def test_a_share_of_the_hour_is_kept_for_others_but_never_most_of_it() -> None:
    budget = Budget(60)
    budget.join("one", 12, 60)
    assert budget.spare("one", 0.0) == 0
    budget.join("two", 12, 60)
    assert budget.spare("one", 0.0) == 12
    budget.join("three", 60, 300)
    assert budget.spare("one", 0.0) == 30
    assert budget.limit == 60
    budget.told({"x-rate-limit-remaining": "40", "x-rate-limit-reset": str(int(WALL) + 600)}, WALL, 0.0)
    assert budget.spare("three", 0.0) == 4


def test_what_may_have_arrived_is_asked_for_even_if_the_record_does_not_say_so() -> None:
    for code, text in ((500, "oops"), (400, "Bad request 400: Could not read v1"), (200, "20260601,12:05,1")):
        here, waiting = outlet(), [record(1, "12:00"), record(2, "12:05")]
        call = here.compose(waiting, WALL, 0.0)
        assert isinstance(call, Call)
        assert call.url.endswith("addbatchstatus.jsp")
        done = here.judge(call, Answer(code, {}, text), WALL, 0.0).done
        again = here.compose([one for one in waiting if one.number not in done], WALL, 1.0)
        assert isinstance(again, Call)
        assert "/getstatus.jsp?" in again.url
    call = here.compose(waiting[:1], WALL, 2.0)
    assert isinstance(call, Call)
    here.judge(call, Answer(400, {}, "Bad request 400: No status found"), WALL, 2.0)
    last = here.compose(waiting[:1], WALL, 3.0)
    assert isinstance(last, Call)
    assert last.url.endswith("addstatus.jsp")
