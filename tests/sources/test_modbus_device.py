"""One unit: what is asked when, what falls back on what, and that nothing is made up."""

import asyncio

import pytest

from renogybt.devices import family
from renogybt.errors import BadFrame, LinkError, NoAnswer, Refused
from renogybt.link import Complete
from renogybt.protocol.modbus import parse_request, sealed
from renogybt.reading import Identity, Reading
from renogybt.settings import Device
from renogybt.sources.modbus_device import ModbusDevice
from tests.sources.scripted import ScriptedLink, ScriptedUnit

CONTROLLER = {
    "model": "RNG-CTRL-RVR40",
    "device_id": 16,
    "battery_percentage": 87,
    "battery_voltage": 12.9,
    "battery_current": 2.58,
    "controller_temperature": -3,
    "battery_temperature": 25,
    "pv_voltage": 17.1,
    "pv_power": 35,
    "power_generation_total": 426038,
    "charging_status": "current limiting",
    "battery_type": "lithium",
}
BATTERY = {
    "model": "RBT100LFP12S-G1",
    "cell_count": 4,
    **{f"cell_voltage_{n}": 3.3 for n in range(4)},
    "sensor_count": 2,
    "temperature_0": 21.0,
    "temperature_1": -1.5,
    "current": -1.4,
    "voltage": 13.2,
    "remaining_charge": 99.941,
    "capacity": 100.0,
    "cycle_count": 12,
}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def make(type: str, unit: int, clock: Clock | None = None, **more: object) -> ModbusDevice:
    device = Device(mac_addr="AA:BB:CC:DD:EE:FF", alias="BT-TH-1", type=type, device_id=(unit,), **more)  # type: ignore[arg-type]
    return ModbusDevice(Identity(device.mac_addr, unit, device.alias), device, monotonic=clock or Clock())


def read(device: ModbusDevice, link: ScriptedLink) -> Reading:
    return asyncio.run(device.read(link))


def rover(**more: object) -> ScriptedUnit:
    """Without the block of settings, of which these values say nothing."""
    spans = [span for window in family("controller").windows for span in window.spans if span != (57345, 33)]
    return ScriptedUnit.of(family("controller"), CONTROLLER | more, spans)


def battery(**more: object) -> ScriptedUnit:
    return ScriptedUnit.of(family("battery"), BATTERY | more)


def test_a_controller_gives_its_values_under_the_published_keys() -> None:
    reading = read(make("RNG_CTRL", 255), ScriptedLink({255: rover()}))
    assert {key: reading.values[key] for key in CONTROLLER} == CONTROLLER
    assert not reading.missing


def test_static_windows_are_read_once_per_connection() -> None:
    device, link = make("RNG_CTRL", 255), ScriptedLink({255: rover()})
    read(device, link)
    first = len(link.asked)
    static = {register for _, register, _ in link.asked}
    second = read(device, link)
    assert [register for _, register, _ in link.asked[first:]] == [256]
    assert second.values["model"] == "RNG-CTRL-RVR40"
    link.generation += 1
    before = len(link.asked)
    read(device, link)
    refused = {57345}
    assert {register for _, register, _ in link.asked[before:]} == static - refused


def test_the_largest_block_is_asked_first_and_a_refusal_is_remembered() -> None:
    unit = rover()
    unit.spans = [span for span in unit.spans if span != (256, 35)]
    device, link = make("RNG_CTRL", 255), ScriptedLink({255: unit})
    reading = read(device, link)
    assert [asked[1:] for asked in link.asked if asked[1] == 256] == [(256, 35), (256, 34)]
    assert reading.values["fault_code"] is None
    assert reading.values["faults"] == []
    read(device, link)
    assert link.asked[-1][1:] == (256, 34)


def test_255_is_answered_by_whoever_is_there_and_its_address_is_used_from_then_on() -> None:
    unit = battery()
    unit.answers_as = 48
    device, link = make("RNG_BATT", 255), ScriptedLink({255: unit, 48: unit})
    reading = read(device, link)
    assert link.asked[0][0] == 255
    assert {asked[0] for asked in link.asked[1:]} == {48}
    assert reading.values["device_id"] == 48


def test_a_controller_deaf_to_255_is_found_at_its_own_address() -> None:
    device, link = make("RNG_CTRL", 255), ScriptedLink({17: rover()})
    reading = read(device, link)
    assert reading.values["battery_voltage"] == 12.9
    before = len(link.asked)
    read(device, link)
    assert {asked[0] for asked in link.asked[before:]} == {17}


def test_an_address_learned_from_a_stray_answer_does_not_last() -> None:
    class Stray(ScriptedUnit):
        strays = 1

        def answer(self, unit: int, frame: bytes) -> bytes | None:
            reply = super().answer(unit, frame)
            if reply and self.strays:
                self.strays -= 1
                return sealed(b"\x09" + reply[1:-2])
            return reply

    unit = rover()
    device, link = make("RNG_CTRL", 255), ScriptedLink({255: Stray(unit.words, unit.spans)})
    reading = read(device, link)
    assert reading.values["battery_voltage"] == 12.9
    assert not reading.missing
    assert read(device, link).values["pv_voltage"] == 17.1


def test_a_silent_unit_is_an_error_that_names_it_and_the_remedy() -> None:
    device, link = make("RNG_BATT", 50), ScriptedLink({48: battery()})
    with pytest.raises(NoAnswer, match=r"no answer .* is device_id right\?"):
        read(device, link)
    assert len(link.asked) == 3, "two windows, and the first in its smaller form: no unit is waited for longer"


def test_one_lost_answer_costs_a_new_connection_but_no_value() -> None:
    unit = battery()
    unit.silences = [5035]
    device, link = make("RNG_BATT", 48), ScriptedLink({48: unit})
    reading = read(device, link)
    assert reading.values["current"] == -1.4
    assert not reading.missing
    assert link.renewals == 1
    assert device.unit.tally.timeouts == 1


def test_a_block_that_stays_silent_is_missing_and_the_rest_is_published_with_nulls() -> None:
    unit = battery()
    unit.silent_at = {5035, 5042}
    device, link = make("RNG_BATT", 48), ScriptedLink({48: unit})
    reading = read(device, link)
    assert reading.missing == ("pack",)
    assert reading.values["current"] is None
    assert reading.values["power"] is None
    assert reading.values["battery_level"] is None
    assert reading.values["cell_voltage_0"] == 3.3


def test_keys_of_a_missing_block_stay_in_the_reading() -> None:
    unit = battery()
    device, link = make("RNG_BATT", 48), ScriptedLink({48: unit})
    whole = read(device, link)
    unit.silent_at = {5000, 5017}
    partial = read(device, link)
    assert list(partial.values) == list(whole.values)
    assert partial.values["cell_voltage_3"] is None
    assert "cell_voltage_4" not in partial.values


def test_an_optional_block_that_is_silent_rests_for_an_hour() -> None:
    clock, unit = Clock(), battery()
    unit.silent_at = {5200}
    device, link = make("RNG_BATT", 48, clock), ScriptedLink({48: unit})
    assert not read(device, link).missing
    asked = sum(register == 5200 for _, register, _ in link.asked)
    assert asked == 1
    clock.now += 60
    read(device, link)
    assert sum(register == 5200 for _, register, _ in link.asked) == asked
    clock.now += 3600
    read(device, link)
    assert sum(register == 5200 for _, register, _ in link.asked) > asked


def test_an_implausible_value_is_dropped_and_counted_and_the_rest_kept() -> None:
    unit = rover()
    unit.words[257] = 37264
    device, link = make("RNG_CTRL", 255), ScriptedLink({255: unit})
    reading = read(device, link)
    assert reading.dropped == ("battery_voltage",)
    assert reading.values["battery_voltage"] is None
    assert reading.values["pv_voltage"] == 17.1
    assert device.unit.tally.dropped == 1


def test_a_late_answer_never_passes_for_the_next_one() -> None:
    """Cells and temperatures are both 17 words: a late answer to the first would fit the second."""
    unit = battery()
    unit.spans = [span for span in unit.spans if span != (5000, 34)]
    unit.silences = [5000, 5000]
    device, link = make("RNG_BATT", 48), ScriptedLink({48: unit})
    reading = read(device, link)
    assert link.renewals >= 1
    assert reading.values["temperature_1"] == -1.5


def test_a_foreign_answer_in_front_is_skipped() -> None:
    link = ScriptedLink({48: battery()}, late=sealed(bytes((49, 3, 2, 0, 9))) + b"\x30\x03\x44")
    assert read(make("RNG_BATT", 48), link).values["voltage"] == 13.2


def test_an_answer_of_another_unit_is_no_answer() -> None:
    class Impostor(ScriptedUnit):
        def answer(self, unit: int, frame: bytes) -> bytes | None:
            reply = super().answer(unit, frame)
            return sealed(b"\x31" + reply[1:-2]) if reply else None

    unit = battery()
    with pytest.raises(BadFrame) as caught:
        read(make("RNG_BATT", 48), ScriptedLink({48: Impostor(unit.words, unit.spans)}))
    assert caught.value.reason == "address"


def test_a_damaged_answer_is_counted_and_asked_for_again() -> None:
    class Noisy(ScriptedUnit):
        spoilt = 0

        def answer(self, unit: int, frame: bytes) -> bytes | None:
            reply = super().answer(unit, frame)
            if reply and frame[2:4] == b"\x13\x88" and not self.spoilt:
                self.spoilt += 1
                return reply[:10] + bytes((reply[10] ^ 0xFF,)) + reply[11:]
            return reply

    unit = battery()
    device = make("RNG_BATT", 48)
    reading = read(device, ScriptedLink({48: Noisy(unit.words, unit.spans)}))
    assert reading.values["cell_voltage_0"] == 3.3
    assert device.unit.tally.crc_errors == 1


def test_a_dead_connection_ends_the_reading_with_its_reason() -> None:
    unit = battery()
    unit.silent_at = {5000}
    link = ScriptedLink({48: unit}, renew_error=LinkError("the adapter is gone"))
    with pytest.raises(LinkError, match="adapter is gone"):
        read(make("RNG_BATT", 48), link)


def test_the_advertised_name_decides_how_amperes_are_counted() -> None:
    unit = battery(current=-1.2)
    assert read(make("RNG_BATT", 48), ScriptedLink({48: unit}, name="RNGRBP1228000830")).values["current"] == -12.0
    assert read(make("RNG_BATT", 48, variant="legacy"), ScriptedLink({48: unit}, name="RNGRBP1")).values["current"] == -1.2


def test_a_g6_charger_is_recognised_by_its_model_and_never_asked_at_0x0120() -> None:
    values = {"model": "RBC50D1S-G6", "battery_voltage": 13.2, "charging_status": "mppt", "alternator_voltage": 14.1}
    unit = ScriptedUnit.of(family("dc_charger_g6"), values)
    unit.silent_at = {0x0120}
    device, link = make("RNG_DCC", 255), ScriptedLink({255: unit})
    reading = read(device, link)
    assert reading.family == "dc_charger_g6"
    assert reading.values["charging_status"] == "mppt"
    assert 0x0120 not in {register for _, register, _ in link.asked}
    assert link.renewals == 0


def test_inverters_get_the_pause_they_need() -> None:
    values = {"model": "RIV1230RCH-SPS", "battery_voltage": 14.4, "output_voltage": 124.9, "temperature": 30.0}
    link = ScriptedLink({32: ScriptedUnit.of(family("inverter"), values)}, name="BTRIC134000035")
    reading = read(make("RNG_INVT", 32), link)
    assert reading.values["battery_voltage"] == 14.4
    assert set(link.pauses) == {0.3}


def test_a_unit_that_is_busy_is_not_taken_for_one_without_the_block() -> None:
    class Busy(ScriptedUnit):
        def answer(self, unit: int, frame: bytes) -> bytes | None:
            return sealed(bytes((unit, 0x83, 4)))

    with pytest.raises((Refused, LinkError)):
        read(make("RNG_CTRL", 16), ScriptedLink({16: Busy({}, [])}))


def test_a_connection_that_breaks_says_nothing_about_the_unit() -> None:
    """Neither is a block taken for absent, nor another address tried, nor a smaller block asked for from then on."""
    table = family("battery")
    pack = ScriptedUnit.of(table, BATTERY)
    whole = ScriptedLink({48: pack})
    assert read(make("RNG_BATT", 48), whole).missing == ()
    for register in dict.fromkeys(register for _, register, _ in whole.asked):
        device, link = make("RNG_BATT", 48), ScriptedLink({48: pack}, breaks_at=[register] * 2)
        found = read(device, link)
        assert found.missing == (), register
        assert link.renewals == 2
        assert {ask[0] for ask in link.asked} == {48}
        assert [ask for n, ask in enumerate(link.asked) if ask not in link.asked[:n]] == whole.asked


SECTIONS = [(5000, 17), (5017, 17), (5042, 6), (5122, 8)]
"""What the predecessors ask of a battery."""


class Deaf(ScriptedUnit):
    """Answers exactly these questions, and is silent to all others."""

    def answer(self, unit: int, frame: bytes) -> bytes | None:
        request = parse_request(frame)
        return super().answer(unit, frame) if (request.register, request.words) in self.spans else None


def test_a_unit_that_is_deaf_to_wide_questions_is_read_all_the_same() -> None:
    held = ScriptedUnit.of(family("battery"), BATTERY)
    device, link = make("RNG_BATT", 48), ScriptedLink({48: Deaf(held.words, SECTIONS)})
    values = read(device, link).values
    assert {key: values[key] for key in ("voltage", "cell_voltage_0", "temperature_1")} == {
        "voltage": 13.2,
        "cell_voltage_0": 3.3,
        "temperature_1": -1.5,
    }
    for _ in range(3):
        reading = read(device, link)
    assert not reading.missing
    assert reading.values["model"] == "RBT100LFP12S-G1"
    before = len(link.asked)
    read(device, link)
    assert [asked[1:] for asked in link.asked[before:]] == SECTIONS[:3], "what it is deaf to is not asked any more"


def test_a_unit_that_wakes_up_late_is_asked_the_wide_questions() -> None:
    pack = battery()
    pack.silences = [5000]
    device, link = make("RNG_BATT", 48), ScriptedLink({48: pack})
    assert not read(device, link).missing
    before = len(link.asked)
    read(device, link)
    assert (48, 5000, 34) in link.asked[before:]
    assert (48, 5000, 17) not in link.asked[before:]


@pytest.mark.parametrize("code", [1, 2, 3, 4, 6, 11])
def test_refusals_of_a_moment_cost_no_more_than_that(code: int) -> None:
    """What was answered once is asked again at the next turn, whatever the unit says in between."""
    pack = battery()
    device, link = make("RNG_BATT", 48), ScriptedLink({48: pack})
    read(device, link)
    refusing = Refusing(pack.words, pack.spans)
    refusing.code = code
    link.units[48] = refusing
    for _ in range(4):
        with pytest.raises((Refused, NoAnswer)):
            read(device, link)
    link.units[48] = pack
    before = len(link.asked)
    reading = read(device, link)
    assert not reading.missing
    assert reading.values["voltage"] == 13.2
    assert (48, 5000, 34) in link.asked[before:]


class Refusing(ScriptedUnit):
    code = 2

    def answer(self, unit: int, frame: bytes) -> bytes | None:
        return sealed(bytes((unit, 0x83, self.code)))


def test_what_is_refused_for_long_is_not_there_any_more() -> None:
    """Another battery with the same number: its smaller block is found in the end."""
    pack = battery()
    device, link = make("RNG_BATT", 48), ScriptedLink({48: pack})
    read(device, link)
    link.units[48] = ScriptedUnit(pack.words, [span for span in pack.spans if span != (5000, 34)])
    missing = [bool(read(device, link).missing) for _ in range(12)]
    assert missing[0]
    assert not missing[-1]


class Mixed(ScriptedLink):
    """Answers come late by one: that to a question which was given up is still under way when the next is asked."""

    lag: bytes = b""

    async def exchange(self, frame: bytes | None, complete: Complete, timeout: float, pause: float = 0.0) -> bytes:
        assert frame is not None
        request = parse_request(frame)
        unit = self.units[request.unit]
        if request.register in unit.silences:
            lost, unit.silences = unit.silences, []
            self.lag, unit.silences = unit.answer(request.unit, frame) or b"", lost
        elif self.lag and not self.spent and len(self.lag) == request.answer_size:
            own = unit.answer(request.unit, frame) or b""
            self.asked.append((request.unit, request.register, request.words))
            late, self.lag = self.lag, own
            return late
        return await super().exchange(frame, complete, timeout, pause)


def test_a_late_answer_is_not_taken_for_one_to_another_question() -> None:
    """Cells and temperatures are 17 words each, and the line behind the module knows nothing of a new connection."""
    words = battery().words
    pack = ScriptedUnit(words, SECTIONS)
    device, link = make("RNG_BATT", 48), Mixed({48: pack})
    read(device, link)
    pack.silences = [5000]
    for _ in range(4):
        values = read(device, link).values
        assert values["temperature_0"] in (21.0, None)
        assert values["cell_voltage_0"] in (3.3, None)
    assert link.renewals
    assert values["temperature_0"] == 21.0


def test_an_answer_that_comes_twice_is_not_taken_for_the_next() -> None:
    pack = ScriptedUnit(battery().words, SECTIONS)
    device, link = make("RNG_BATT", 48), Twice({48: pack})
    for _ in range(3):
        values = read(device, link).values
        assert (values["cell_voltage_0"], values["temperature_0"]) == (3.3, 21.0)


class Twice(ScriptedLink):
    """Each answer comes once more, right after the next question."""

    before: bytes = b""

    async def exchange(self, frame: bytes | None, complete: Complete, timeout: float, pause: float = 0.0) -> bytes:
        if (once_more := complete(self.before) if self.before else None) is not None:
            self.before = b""
            return once_more
        self.before = await super().exchange(frame, complete, timeout, pause)
        return self.before
