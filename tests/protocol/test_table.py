"""Tables: decoding, corrections, counts, and what a table finds wrong with itself."""

from dataclasses import replace

import pytest

from renogybt.protocol.codec import DECI, U16, U32, Bit, Choice, Flags, Number, Pairs, Text
from renogybt.protocol.quantity import COUNT, CURRENT, FLAG, IDENTITY, POWER, VOLTAGE
from renogybt.protocol.table import (
    Derived,
    Family,
    Field,
    Gatt,
    Window,
    changed,
    hidden,
    label_of,
    moved,
    numbered,
    precision_of,
)

FIELDS = (
    Field(10, "count", U16, COUNT, accept=(0, 3)),
    *numbered(3, 11, "cell", DECI, VOLTAGE, "Cell {}", only_if="count"),
    Field(20, "voltage", DECI, VOLTAGE, accept=(6, 80)),
    Field(21, "current", Number(signed=True, per=10, absent=0x8000), CURRENT, was="curent"),
    Field(30, "elsewhere", U16, COUNT),
)
FAMILY = Family(
    key="thing",
    title="Thing",
    client="ThingClient",
    gatt=Gatt(1, 2, 3, 4),
    fields=FIELDS,
    derived=(
        Derived("power", ("voltage", "current"), lambda volts, amps: round(volts * amps, 2), POWER),
        Derived("sum", ("cell_*",), sum, VOLTAGE),
        Derived("outside", ("elsewhere",), abs, COUNT),
        Derived("later", (), None, COUNT),
    ),
    windows=(Window("cells", 10, 4), Window("pack", 20, 2, or_else=((20, 1),))),
)


def test_rows_outside_every_window_are_no_rows_of_this_variant():
    assert FAMILY.keys() == ["count", "cell_0", "cell_1", "cell_2", "voltage", "current", "curent", "power", "sum", "later"]
    assert FAMILY.row("elsewhere") is None
    assert FAMILY.row("power") is FAMILY.derived[0]


def test_decode_takes_what_is_there():
    decoded = FAMILY.decode(20, bytes.fromhex("0083ffd8"))
    assert decoded.values == {"voltage": 13.1, "current": -4.0}
    assert FAMILY.decode(20, bytes.fromhex("0083")).values == {"voltage": 13.1}
    assert FAMILY.decode(20, bytes.fromhex("008300")).values == {"voltage": 13.1}
    assert FAMILY.decode(30, bytes.fromhex("0007")).values == {"elsewhere": 7}


def test_an_implausible_value_is_dropped_and_the_rest_kept():
    decoded = FAMILY.decode(20, bytes.fromhex("ffff0001"))
    assert decoded.values == {"current": 0.1}
    assert decoded.dropped == ("voltage",)


def test_no_such_value_is_none_and_not_zero():
    assert FAMILY.decode(20, bytes.fromhex("00838000")).values == {"voltage": 13.1, "current": None}


def test_numbered_rows_exist_up_to_their_count():
    assert FAMILY.decode(10, bytes.fromhex("0002002100220023")).values == {"count": 2, "cell_0": 3.3, "cell_1": 3.4}
    assert FAMILY.keys({"count": 1})[:3] == ["count", "cell_0", "voltage"]
    assert FAMILY.complete({"voltage": 12.0}, {"count": 0})["voltage"] == 12.0


def test_a_count_nobody_can_believe_takes_its_rows_with_it():
    decoded = FAMILY.decode(10, bytes.fromhex("913e002100220023"))
    assert decoded.values == {}
    assert decoded.dropped == ("count",)


def test_a_count_may_stand_behind_its_rows():
    turned = replace(FAMILY, fields=(*FIELDS[1:], replace(FIELDS[0], at=14)), windows=(Window("cells", 11, 4),))
    assert turned.decode(11, bytes.fromhex("0021002200230002")).values == {"cell_0": 3.3, "cell_1": 3.4, "count": 2}
    assert turned.decode(11, bytes.fromhex("0021002200230009")).values == {}


def test_a_need_for_many_stands_for_numbered_keys_only():
    assert FAMILY.derive({"cell_0": 3.0, "cell_2": 4.0, "cell_count": 9.0})["sum"] == 7.0


def test_derived_values():
    known = FAMILY.derive({"voltage": 13.1, "current": -4.0, "cell_0": 3.3, "cell_1": 3.4})
    assert known["power"] == -52.4
    assert known["sum"] == pytest.approx(6.7)
    assert known["curent"] == known["current"] == -4.0
    assert "later" not in known


def test_nothing_is_derived_from_what_is_missing():
    assert "power" not in FAMILY.derive({"voltage": 13.1, "current": None})
    assert "sum" not in FAMILY.derive({})


def test_a_correction_may_drop_the_value_it_corrects():
    cured = replace(FAMILY, derived=(Derived("current", ("current",), lambda amps: amps * 100, CURRENT, accept=(-9, 9)),))
    assert cured.derive({"current": 0.05})["current"] == pytest.approx(5)
    assert "current" not in cured.derive({"current": 4.0})


def test_complete_names_every_key():
    assert set(FAMILY.complete({"voltage": 12.0})) == set(FAMILY.keys())
    assert FAMILY.complete({"voltage": 12.0})["power"] is None


def test_encode_writes_absent_where_a_value_is_missing():
    assert FAMILY.encode(20, 2, {"voltage": 13.1}).hex() == "00838000"
    assert FAMILY.encode(9, 6, {"count": 1, "cell_0": 3.3}).hex() == "000000010021000000000000"


def test_records_lie_wherever_their_window_begins():
    days = replace(
        FAMILY,
        fields=(Field(100, "low", U16, COUNT), Field(101, "high", U16, COUNT)),
        derived=(Derived("days", (), None, IDENTITY),),
        windows=(Window("day_0", 100, 2), Window("day_1", 101, 2)),
        record_at=100,
    )
    for start in (100, 101, 140):
        assert days.decode(start, bytes.fromhex("00010002")).values == {"low": 1, "high": 2}
        assert days.encode(start, 2, {"low": 1, "high": 2}).hex() == "00010002"
    assert days.keys() == ["days"]


def test_a_window_inside_one_that_answered_need_not_be_asked():
    cells = Window("cells", 5017, 17)
    assert cells.inside([(5000, 34)])
    assert not cells.inside([(5000, 17), (5018, 17)])
    assert not cells.inside([])
    assert FAMILY.windows[1].spans == ((20, 2), (20, 1))


def test_rows_changed_moved_and_hidden():
    assert changed(FIELDS, "voltage", codec=U16)[4].codec == U16
    with pytest.raises(KeyError):
        changed(FIELDS, "volts", codec=U16)
    assert [item.at for item in moved(FIELDS, 5)] == [item.at + 5 for item in FIELDS]
    assert all(item.hidden for item in hidden(*FIELDS))


def test_labels_and_digits():
    assert [label_of(FAMILY.row(key)) for key in ("cell_1", "voltage", "power")] == ["Cell 2", "Voltage", "Power"]
    assert precision_of(FAMILY.row("voltage")) == 1
    assert precision_of(replace(FIELDS[4], precision=0)) == 0
    assert precision_of(FAMILY.row("power")) is None


@pytest.mark.parametrize(
    ("fields", "derived", "complaint"),
    [
        ((Field(1, "a", U16, COUNT), Field(2, "a", U16, COUNT)), (), "key a stands twice"),
        ((Field(1, "a", U16, COUNT, only_if="b"),), (), "depends on b, which is no row"),
        ((Field(1, "a", Bit(16), FLAG),), (), "looks at bit 16"),
        ((Field(1, "a", Flags({16: "x"}), IDENTITY),), (), "names a bit beyond its 2 bytes"),
        ((Field(1, "a", U16, COUNT), Field(1, "b", U16, COUNT)), (), "b looks at the bytes of a"),
        ((Field(1, "a", U32, COUNT), Field(2, "b", U16, COUNT)), (), "b looks at the bytes of a"),
        ((Field(1, "a", Text(8), COUNT), Field(4, "b", Bit(1), FLAG)), (), "b looks at the bytes of a"),
        ((Field(1, "a", U16, COUNT),), (Derived("c", ("b",), abs, COUNT),), "c needs b, which is no row"),
        ((Field(1, "a", U16, COUNT),), (Derived("c", ("b_*",), sum, COUNT),), r"c needs b_\*, which is no row"),
    ],
)
def test_a_wrong_table_does_not_load(fields, derived, complaint):
    with pytest.raises(ValueError, match=complaint):
        replace(FAMILY, fields=fields, derived=derived)


def test_views_of_one_word_are_no_mistake():
    word = (Field(1, "raw", U16, IDENTITY), Field(1, "on", Bit(0), FLAG), Field(1, "off", Bit(1), FLAG))
    pairs = (Field(2, "both", Pairs(), IDENTITY), Field(2, "mode", Choice({1: "x"}), IDENTITY))
    assert replace(FAMILY, fields=(*word, *pairs), derived=()).fields
