"""What holds for every table."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renogybt import devices
from renogybt.protocol.codec import Choice, Flags, MaybeSwapped, Split
from renogybt.protocol.table import Field, label_of, precision_of

BANK = "bank:48,49,50,51"
KEYS = [*devices.FAMILIES, BANK]
every_family = pytest.mark.parametrize("family", [devices.family(key) for key in KEYS], ids=KEYS)

ENERGY = (
    ["J", "kJ", "MJ", "GJ", "mWh", "Wh", "kWh", "MWh", "GWh", "TWh", "cal", "kcal", "Mcal", "Gcal"],
    ["total", "total_increasing"],
)
MEASURED = ["measurement"]
CLASSES = {
    "voltage": (["μV", "mV", "V", "kV", "MV"], MEASURED),
    "current": (["μA", "mA", "A"], MEASURED),
    "power": (["mW", "W", "kW", "MW", "GW", "TW"], MEASURED),
    "apparent_power": (["mVA", "VA", "kVA"], MEASURED),
    "energy": ENERGY,
    "energy_storage": (ENERGY[0], MEASURED),
    "battery": (["%"], MEASURED),
    "temperature": (["°C", "°F", "K"], MEASURED),
    "frequency": (["mHz", "Hz", "kHz", "MHz", "GHz"], MEASURED),
    "duration": (["d", "h", "min", "s", "ms", "μs"], ["measurement", "total", "total_increasing"]),
    "enum": ([""], []),
}
"""Units and state classes that Home Assistant takes with each device class."""
BINARY = {"", "power", "problem", "heat", "battery_charging"}


def test_the_families_there_are():
    assert set(devices.FAMILIES) == {
        "controller",
        "history",
        "battery",
        "battery_rngrbp",
        "battery_rngc",
        "battery_rngpro",
        "dc_charger",
        "dc_charger_g6",
        "inverter",
        "inverter_rego",
        "inverter_riv4835",
        "inverter_hf",
        "shunt",
    }
    assert all(family.key == key for key, family in devices.FAMILIES.items())


@every_family
def test_keys_are_unique_and_plain(family):
    keys = family.keys()
    assert len(keys) == len(set(keys))
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", key) for key in keys)
    assert keys


@every_family
def test_labels_are_unique_and_for_people(family):
    labels = [label_of(row) for row in family.rows() if row.quantity.platform]
    assert len(labels) == len(set(labels)), [label for label in labels if labels.count(label) > 1]
    assert all(label and label[0].isupper() and "_" not in label and label == label.strip() for label in labels)


@every_family
def test_home_assistant_takes_every_row(family):
    for row in family.rows():
        quantity = row.quantity
        assert quantity.platform in ("", "sensor", "binary_sensor"), row.key
        if quantity.platform == "binary_sensor":
            assert quantity.device_class in BINARY, row.key
            assert not quantity.unit, row.key
            assert not quantity.state_class, row.key
        elif quantity.platform == "sensor" and quantity.device_class:
            units, states = CLASSES[quantity.device_class]
            assert quantity.unit in units, row.key
            assert quantity.state_class in ("", *states), row.key
            assert bool(row.options) == (quantity.device_class == "enum"), row.key
            assert quantity.device_class != "energy" or quantity.state_class, row.key
        else:
            assert not row.options or not quantity.platform, row.key
        if quantity.unit == "Ah":
            assert not quantity.device_class, row.key
        if quantity.icon:
            assert re.fullmatch(r"mdi:[a-z0-9-]+", quantity.icon), row.key


@every_family
def test_what_needs_digits_has_them(family):
    """Home Assistant shows a voltage without decimals unless told otherwise."""
    for row in family.rows():
        if row.quantity.platform == "sensor" and row.quantity.state_class:
            digits = precision_of(row)
            assert isinstance(digits, int), row.key
            assert 0 <= digits <= 3, row.key


@every_family
def test_every_register_is_read_or_says_why_not(family):
    covered = {item.key for window in family.windows for span in window.spans for item, _ in family._inside(*span)}
    for item in family.fields:
        assert item.key in covered or re.match(r"not read: |read from ", item.note), item.key
    for window in family.windows:
        brought = {item.key for item, _ in family._inside(window.start, window.words)}
        assert brought, f"window {window.name} brings nothing"


@every_family
def test_windows_are_requests_a_device_can_answer(family):
    names = [window.name for window in family.windows]
    assert len(names) == len(set(names))
    limit = 125 if family.stride == 2 else 1024
    for window in family.windows:
        assert all(1 <= words <= limit and 0 <= start <= 0xFFFF for start, words in window.spans), window.name
        # Silence on one of several spans costs the connection, so no more than two more are tried.
        assert len(window.or_else) <= 2, window.name


@every_family
def test_something_is_read_every_cycle(family):
    if family.windows:
        assert any(window.when.name == "CYCLE" and not window.optional for window in family.windows)


def test_inverters_are_never_asked_for_32_words_at_4000():
    for key in KEYS:
        for window in devices.family(key).windows:
            assert all(words <= 10 for start, words in window.spans if start == 4000)


def test_words_that_are_dangerous_to_write_are_no_rows():
    assert not [item for item in devices.family("battery").fields if item.at in (5222, 5224, 5225, 5228, 5229)]


ROWS = {repr(row): (f"{key}.{row.key}", row) for key, family in devices.FAMILIES.items() for row in family.fields}


@pytest.mark.parametrize("item", [pytest.param(row, id=name) for name, row in ROWS.values()])
@settings(max_examples=40)
@given(data=st.data())
def test_every_row_survives_encoding_and_decoding(item: Field, data: st.DataObject):
    codec = item.codec
    raw = data.draw(st.binary(min_size=codec.size, max_size=codec.size))
    if isinstance(codec, Split):
        raw = data.draw(st.integers(0, codec.limit - 1)).to_bytes(codec.size, "big")
    if isinstance(codec, Choice):
        value = data.draw(st.sampled_from(codec.options))
    elif isinstance(codec, Flags):
        value = [name for name in codec.names.values() if data.draw(st.booleans())]
        if not codec.others:
            raw = bytes(codec.size)
    else:
        value = codec.decode(raw)
    written = codec.encode(value, raw)
    assert len(written) == codec.size
    assert codec.decode(written) == value


def numbers(row: Field) -> st.SearchStrategy:
    """Values such a device can have, in steps its codec can tell apart."""
    codec = row.codec
    size = 8 * codec.size
    low, high = (-(1 << size - 1), (1 << size - 1) - 1) if getattr(codec, "signed", False) else (0, (1 << size) - 1)
    if isinstance(codec, Split):
        high = codec.limit - 1
    per = getattr(codec, "per", getattr(codec, "below", 1))
    if row.accept:
        low, high = max(low, round(row.accept[0] * per)), min(high, round(row.accept[1] * per))
    raws = st.integers(low, high)
    if isinstance(codec, MaybeSwapped):
        raws = raws.filter(lambda raw: raw % 256 or not raw)  # 256 looks just like a 1 with its bytes swapped
    return raws.map(lambda raw: raw / per if per > 1 else raw)


@every_family
@settings(max_examples=40)
@given(data=st.data())
def test_a_whole_block_survives_encoding_and_decoding(family, data):
    """A simulated device's values come back, and none of them leaks into a neighbour."""
    plain = [row for row in family.fields if isinstance(row.codec.decimals, int) and not hasattr(row.codec, "mask")]
    for window in family.windows:
        for span in window.spans:
            inside = {item.key for item, _ in family._inside(*span)}
            rows = [row for row in plain if row.key in inside and not row.key.startswith(("status", "fault_code"))]
            counts = {row.only_if for row in rows if row.only_if}
            values = {row.key: data.draw(numbers(row), label=row.key) for row in rows}
            values |= {row.key: max(1, int(row.accept[1])) for row in rows if row.key in counts}
            found = family.decode(span[0], family.encode(*span, values))
            absent = {key for key, value in found.values.items() if value is None}
            for key, value in values.items():
                if key not in absent and not (key in found.dropped and family_word_is_shared(family, key)):
                    assert found.values[key] == pytest.approx(value), key


def family_word_is_shared(family, key):
    one = next(row for row in family.fields if row.key == key)
    return any(row.key != key and (row.at, row.byte) == (one.at, one.byte) for row in family.fields)


@every_family
@settings(max_examples=40)
@given(data=st.data())
def test_any_payload_decodes_without_a_crash(family, data):
    for window in family.windows[:4]:
        size = data.draw(st.integers(0, window.words * family.stride))
        found = family.decode(window.start, data.draw(st.binary(min_size=size, max_size=size)))
        values = family.derive(found.values)
        assert not set(found.dropped) & set(found.values)
        for row in family.rows():
            value = values.get(row.key)
            if row.accept and isinstance(value, int | float) and not isinstance(value, bool):
                assert row.accept[0] <= value <= row.accept[1] or row.key == "load_current", row.key
