"""The simulated bus answers as the devices do, and its bytes mean what the plant shows."""

import pytest

from renogybt import devices
from renogybt.errors import Refused
from renogybt.protocol import modbus
from renogybt.protocol.table import Choice, Family, Field, plausible
from renogybt.settings import Device, Settings
from renogybt.simulator import instruments
from renogybt.simulator.bus import HISTORY, LOAD_SWITCH, Bus, Station, readable
from renogybt.simulator.module import modules, station
from renogybt.simulator.plant import Plant
from renogybt.simulator.weather import DAY, HOUR

START = 20_000 * DAY + 10 * HOUR
MAC = "02:00:00:00:00:09"
KINDS = [
    ("RNG_CTRL", "auto"),
    ("RNG_BATT", "legacy"),
    ("RNG_BATT", "rngrbp"),
    ("RNG_BATT", "rngc"),
    ("RNG_BATT", "rngpro"),
    ("RNG_DCC", "generic"),
    ("RNG_DCC", "g6"),
    ("RNG_INVT", "generic"),
    ("RNG_INVT", "riv4835"),
    ("RNG_INVT_HF", "auto"),
]


@pytest.fixture(scope="module")
def plant() -> Plant:
    plant = Plant(5, START)
    plant.advance(START + 5 * HOUR)
    return plant


def unit(plant: Plant, kind: str, variant: str = "auto", number: int = 0) -> Station:
    return station(plant, Device(mac_addr=MAC, alias="it", type=kind, variant=variant), number)


def payload(bus: Bus, request: modbus.Request) -> bytes:
    frame = bus.answer(request.frame)
    assert frame is not None
    return modbus.payload_of(request, frame)


def refusal(bus: Bus, request: modbus.Request) -> int:
    with pytest.raises(Refused) as caught:
        payload(bus, request)
    return caught.value.code


def step(item: Field) -> float:
    """The finest difference a row can show."""
    return 10.0 ** -(item.codec.decimals or 0)


@pytest.mark.parametrize(("kind", "variant"), KINDS)
def test_every_window_decodes_to_what_the_plant_shows(plant, kind, variant):
    here = unit(plant, kind, variant)
    bus, shown = Bus({16: here}), here.measure()
    fields = {item.key: item for item in here.family.fields}
    compared = set()
    for window in here.family.windows:
        for start, words in window.spans:
            decoded = here.family.decode(start, payload(bus, modbus.read(16, start, words)))
            assert decoded.dropped == ()
            for key, value in decoded.values.items():
                if key not in shown or shown[key] is None:
                    continue
                compared.add(key)
                if isinstance(value, float | int) and not isinstance(value, bool):
                    assert value == pytest.approx(shown[key], abs=0.51 * step(fields[key])), key
                else:
                    assert value == shown[key], key
    assert compared >= {"model", "device_id"} if kind != "RNG_DCC" else {"model"}
    assert len(compared) >= 12


@pytest.mark.parametrize(("kind", "variant"), KINDS)
def test_no_number_is_left_to_chance(plant, kind, variant):
    """A row the instruments forget would read 0, which for a voltage is a lie."""
    here = unit(plant, kind, variant)
    shown = here.measure()
    for row in here.family.rows(shown):
        if isinstance(row, Field) and row.accept is not None and row.accept[0] > 0:
            assert row.key in shown, row.key
        if isinstance(row, Field) and isinstance(row.codec, Choice):
            assert row.key in shown, row.key


@pytest.mark.parametrize("seed", [1, 2, 3, 5])
def test_a_week_of_readings_is_plausible(seed):
    plant = Plant(seed, START)
    here = [unit(plant, kind, variant, number % 4) for number, (kind, variant) in enumerate(KINDS)]
    for hour in range(0, 7 * 24, 2):
        plant.advance(START + hour * HOUR)
        for one in here:
            for window in one.family.windows:
                data = one.read(window.start, window.words)
                assert data is not None
                decoded = one.family.decode(window.start, data)
                assert decoded.dropped == (), (hour, decoded)
                derived = one.family.derive(decoded.values)
                assert all(plausible(row, derived.get(row.key)) for row in one.family.rows()), (hour, derived)


def test_history_registers_hold_the_days(plant):
    bus, family = Bus({1: unit(plant, "RNG_CTRL_HIST")}), devices.family("history")
    for ago in range(7):
        values = family.decode(HISTORY + ago, payload(bus, modbus.read(1, HISTORY + ago, 10))).values
        day = plant.controller.day(ago)
        assert values["day_generation"] == int(day.generation) > 100
        assert values["day_max_voltage"] == pytest.approx(day.max_voltage, abs=0.051)
    old = payload(bus, modbus.read(1, HISTORY + 300, 10))
    assert old == bytes(20)
    assert refusal(bus, modbus.read(1, HISTORY, 20)) == 2


def test_a_battery_has_no_history(plant):
    assert refusal(Bus({48: unit(plant, "RNG_BATT")}), modbus.read(48, HISTORY, 10)) == 2


def test_registers_that_are_not_there_are_refused(plant):
    bus = Bus({48: unit(plant, "RNG_BATT")})
    assert refusal(bus, modbus.read(48, 12, 8)) == 2
    assert refusal(bus, modbus.read(48, 5223, 100)) == 2
    assert refusal(bus, modbus.read(48, 4999, 2)) == 2
    assert payload(bus, modbus.read(48, 5042, 6))


def test_spans_count_together(plant):
    family: Family = devices.family("battery")
    edge = max(start + words for start, words in ((w.start, w.words) for w in family.windows) if start < 5100)
    assert readable(family, 5000, 34)
    assert not readable(family, 5000, edge - 5000 + 1)
    assert not readable(family, 5000, 0)


def test_strangers_are_met_with_silence(plant):
    bus = Bus({48: unit(plant, "RNG_BATT"), 49: unit(plant, "RNG_BATT", number=1)})
    assert bus.answer(modbus.read(50, 5042, 6).frame) is None
    assert bus.answer(modbus.read(255, 5042, 6).frame) is None
    assert bus.answer(None) is None
    assert bus.answer(b"") is None
    assert bus.answer(b"hello there") is None


def test_a_lone_unit_answers_to_255(plant):
    battery, pro, controller = unit(plant, "RNG_BATT", number=2), unit(plant, "RNG_BATT", "rngpro"), unit(plant, "RNG_CTRL")
    assert Bus({255: battery}).answer(modbus.read(255, 5042, 6).frame)[0] == 50
    assert Bus({50: battery}).answer(modbus.read(255, 5042, 6).frame)[0] == 50
    assert Bus({255: pro}).answer(modbus.read(255, 5042, 6).frame)[0] == 255
    assert Bus({255: controller}).answer(modbus.read(255, 256, 34).frame)[0] == 255
    assert Bus({17: controller}).answer(modbus.read(255, 256, 34).frame)[0] == 17


def test_a_unit_that_told_its_address_answers_to_it(plant):
    bus = Bus({255: unit(plant, "RNG_BATT", number=2)})
    assert bus.answer(modbus.read(50, 5042, 6).frame)[0] == 50
    assert bus.answer(modbus.read(49, 5042, 6).frame) is None


def test_a_damaged_request_is_complained_about(plant):
    frame = bytearray(modbus.read(48, 5042, 6).frame)
    frame[-1] ^= 1
    answer = Bus({48: unit(plant, "RNG_BATT")}).answer(bytes(frame))
    assert answer is not None
    assert answer[:3] == bytes((48, 0x83, 5))
    assert modbus.intact(answer)


def test_a_mute_register_gets_no_answer(plant):
    here = unit(plant, "RNG_DCC", "generic")
    here.mute = frozenset({288})
    bus = Bus({1: here})
    assert bus.answer(modbus.read(1, 288, 3).frame) is None
    assert bus.answer(modbus.read(1, 256, 30).frame) is not None


def test_a_g6_charger_keeps_silent_about_its_status(plant):
    bus = Bus({1: unit(plant, "RNG_DCC", "g6")})
    assert bus.answer(modbus.read(1, 288, 3).frame) is None
    assert payload(bus, modbus.read(1, 256, 34))


def test_what_is_written_can_be_read_back(plant):
    bus = Bus({1: unit(plant, "RNG_CTRL")})
    assert payload(bus, modbus.write(1, 0xE008, 142)) == bytes.fromhex("e008008e")
    assert payload(bus, modbus.read(1, 0xE008, 1)) == bytes((0, 142))
    request = modbus.write_many(1, 0xE008, bytes((0, 141, 0, 136)))
    assert payload(bus, request) == bytes.fromhex("e0080002")
    assert payload(bus, modbus.read(1, 0xE007, 4))[2:6] == bytes((0, 141, 0, 136))
    assert refusal(bus, modbus.write(1, 0xD000, 1)) == 2


def test_the_load_switch_switches(plant):
    here = Plant(1, START)
    bus = Bus({1: unit(here, "RNG_CTRL")})
    assert payload(bus, modbus.write(1, LOAD_SWITCH, 0))
    assert here.load_on is False
    assert instruments.controller(here)["load_status"] == "off"
    assert payload(bus, modbus.write(1, LOAD_SWITCH, 1))
    assert here.load_on is True


def test_a_shunt_cannot_share_a_module(plant):
    pair = (Device(mac_addr=MAC, type="RNG_SHNT"), Device(section="device.b", mac_addr=MAC, type="RNG_CTRL"))
    with pytest.raises(ValueError, match="shunt"):
        modules(plant, Settings(devices=pair))


def test_mixed_families_behind_one_module(plant):
    pair = (
        Device(mac_addr=MAC, type="RNG_CTRL", device_id=(96,)),
        Device(section="device.b", mac_addr=MAC, type="RNG_BATT", device_id=(48, 49)),
    )
    module = modules(plant, Settings(devices=pair))[MAC]
    assert module.answer(modbus.read(96, 256, 34).frame)[2] == 68
    assert module.answer(modbus.read(49, 5042, 6).frame)[2] == 12
    assert module.answer(modbus.read(49, 256, 34).frame)[1] == 0x83
