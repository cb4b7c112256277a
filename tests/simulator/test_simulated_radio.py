"""The simulated radio behaves towards its users as the Bluetooth radio does."""

import asyncio
from functools import partial

import pytest

from renogybt import devices
from renogybt.devices.shunt import SIZE, find_block
from renogybt.errors import BadFrame, LinkSpent, NoAnswer, NotFound
from renogybt.protocol import modbus
from renogybt.settings import Device, Settings
from renogybt.simulator import instruments
from renogybt.simulator.plant import STEP, Plant
from renogybt.simulator.radio import PIECE, Faults, SimulatedLink, SimulatedRadio
from renogybt.simulator.shunt import RECORDS, Stream
from renogybt.simulator.system import DEMO_SEED, DEMO_SPEED, DEMO_START, demo_settings, faster
from renogybt.simulator.weather import DAY, HOUR

START = 20_000 * DAY + 10 * HOUR
SETTINGS = demo_settings(1883)
ROOF, BANK, VAN, INVERTER, SHUNT = SETTINGS.devices


@pytest.fixture
def radio() -> SimulatedRadio:
    return SimulatedRadio(Plant(5, START), SETTINGS)


async def ask(link: SimulatedLink, request: modbus.Request) -> bytes:
    frame = await link.exchange(request.frame, partial(modbus.find_answer, request), 2.0)
    return modbus.payload_of(request, frame)


def with_link(radio, device, talk):
    """What `talk(link)` returns, on a link lent for `device`."""

    async def run():
        async with radio.lend(device, devices.for_type(device.type).gatt) as link:
            return await talk(link)

    return asyncio.run(run())


def test_every_device_of_the_demo_answers(radio):
    asked = 0
    for device in SETTINGS.devices[:-1]:
        family = devices.for_type(device.type)
        for unit in device.device_id:
            for window in family.windows:
                request = modbus.read(unit, window.start, window.words)
                data = with_link(radio, device, partial(ask, request=request))
                assert family.decode(window.start, data).dropped == ()
                asked += 1
    assert asked > 30


def test_the_four_batteries_are_four(radio):
    family = devices.family("battery")
    left = set()
    for unit in BANK.device_id:
        data = with_link(radio, BANK, partial(ask, request=modbus.read(unit, 5042, 6)))
        left.add(family.decode(5042, data).values["remaining_charge"])
    assert len(left) == 4


def test_the_shunt_sends_by_itself(radio):
    block = with_link(radio, SHUNT, lambda link: link.exchange(None, find_block, 30.0))
    values = devices.family("shunt").decode(0, block).values
    shown = instruments.shunt(Plant(5, START))
    assert values["charge_amps"] == pytest.approx(shown["charge_amps"], abs=0.0006)
    assert values["main_battery_voltage"] == pytest.approx(shown["main_battery_voltage"], abs=0.0006)
    assert values["main_battery_percent"] == pytest.approx(shown["main_battery_percent"], abs=0.06)
    assert values["battery_temperature"] == pytest.approx(shown["battery_temperature"], abs=0.06)
    assert values["starter_battery_temperature"] is None


def test_the_shunts_block_has_its_tags():
    block = Stream(Plant(5, START)).block()
    assert len(block) == SIZE == 110
    assert block[:4] == bytes.fromhex("42570119")
    assert block[3] == RECORDS
    tags = {8: 0xA0, 12: 0xA1, 16: 0xA2, 20: 0xA4, 24: 0xA6, 28: 0xA6, 32: 0xA7, 64: 0xAD, 68: 0xAD}
    assert {at: block[at] for at in tags} == tags
    assert (block[25], block[29], block[33], block[65], block[69]) == (0, 0x10, 0, 0, 0x10)


def test_a_shunt_listens_to_nothing(radio):
    async def talk(link):
        with pytest.raises(NoAnswer):
            await ask(link, modbus.read(255, 256, 34))

    with_link(radio, SHUNT, talk)


def test_answers_arrive_in_pieces(radio):
    seen = []
    request = modbus.read(255, 256, 34)

    def complete(heard):
        seen.append(len(heard))
        return modbus.find_answer(request, heard)

    with_link(radio, ROOF, lambda link: link.exchange(request.frame, complete, 2.0))
    assert seen == [20, 40, 60, 73]
    assert PIECE == 20


def test_a_link_that_heard_nothing_is_spent_until_renewed(radio):
    async def talk(link):
        with pytest.raises(NoAnswer) as silence:
            await ask(link, modbus.read(77, 5042, 6))
        assert silence.value.received == b""
        before = link.generation
        for _ in range(2):
            with pytest.raises(LinkSpent):
                await ask(link, modbus.read(48, 5042, 6))
        await link.renew()
        assert link.generation != before
        assert len(await ask(link, modbus.read(48, 5042, 6))) == 12

    with_link(radio, BANK, talk)


def test_a_spent_link_is_not_lent_again(radio):
    async def fail(link):
        with pytest.raises(NoAnswer):
            await ask(link, modbus.read(77, 5042, 6))
        return link.generation

    async def generation(link):
        await ask(link, modbus.read(48, 5042, 6))
        return link.generation

    assert with_link(radio, BANK, fail) != with_link(radio, BANK, generation)


def test_a_kept_link_stays_the_same(radio):
    async def generation(link):
        return link.generation

    assert with_link(radio, ROOF, generation) == with_link(radio, ROOF, generation)
    assert radio.connected(ROOF)
    assert not radio.connected(VAN)


def test_a_link_per_read_is_a_new_one_each_time():
    device = Device(mac_addr="02:00:00:00:00:01", alias="roof", connection="per_read")
    radio = SimulatedRadio(Plant(5, START), Settings(devices=(device,)))

    async def generation(link):
        assert radio.connected(device)
        return link.generation

    assert with_link(radio, device, generation) != with_link(radio, device, generation)
    assert not radio.connected(device)


def test_who_is_not_there_is_not_found(radio):
    stranger = Device(mac_addr="02:00:00:00:00:77", alias="stranger", section="device.stranger")
    with pytest.raises(NotFound, match="stranger"):
        with_link(radio, stranger, lambda link: link.renew())
    assert radio.rssi(stranger) is None
    assert -100 < radio.rssi(ROOF) < -40


def test_who_is_away_is_not_found():
    radio = SimulatedRadio(Plant(5, START), SETTINGS, faults=Faults(away={VAN.mac_addr}))
    with pytest.raises(NotFound):
        with_link(radio, VAN, lambda link: link.renew())
    with_link(radio, ROOF, lambda link: link.renew())


def test_sections_with_one_address_share_a_link():
    mac = "02:00:00:00:00:01"
    live, history = (
        Device(section="device.a", mac_addr=mac, alias="roof"),
        Device(section="device.b", mac_addr=mac, alias="roof", type="RNG_CTRL_HIST"),
    )
    radio = SimulatedRadio(Plant(5, START), Settings(devices=(live, history)))

    async def same(link):
        return link

    assert with_link(radio, live, same) is with_link(radio, history, same)
    assert with_link(radio, history, partial(ask, request=modbus.read(255, 0xF003, 10))) != bytes(20)


def test_closing_disconnects(radio):
    with_link(radio, ROOF, lambda link: link.renew())
    asyncio.run(radio.close())
    assert not radio.connected(ROOF)


@pytest.mark.parametrize(
    ("device", "name"),
    [
        (ROOF, "BT-TH-00000001"),
        (SHUNT, "RTMShunt30000000005"),
        (Device(mac_addr="02:00:00:00:00:31", type="RNG_BATT", variant="rngpro"), "RNGPRO00000031"),
        (Device(alias="BT-TH-161E57A2"), "BT-TH-161E57A2"),
    ],
)
def test_modules_advertise_what_such_modules_do(device, name):
    radio = SimulatedRadio(Plant(5, START), Settings(devices=(device,)))

    async def advertised(link):
        return link.name

    assert with_link(radio, device, advertised) == name


def outcomes(faults: Faults, tries: int = 300) -> dict[str, int]:
    radio = SimulatedRadio(Plant(5, START), SETTINGS, faults=faults)
    request = modbus.read(48, 5042, 6)
    found: dict[str, int] = {}

    async def talk(link):
        try:
            await ask(link, request)
        except NoAnswer as error:
            cause = modbus.explain(request, error.received)
            return cause.reason if isinstance(cause, BadFrame) else "silence"
        return "answer"

    for _ in range(tries):
        result = with_link(radio, BANK, talk)
        found[result] = found.get(result, 0) + 1
    return found


def test_without_faults_everything_is_answered():
    assert outcomes(Faults(), 50) == {"answer": 50}


def test_silence_comes_as_often_as_told():
    found = outcomes(Faults(silence=0.2))
    assert 35 < found["silence"] < 90
    assert found["answer"] == 300 - found["silence"]


def test_damage_is_noticed_every_time():
    found = outcomes(Faults(damage=1.0))
    assert "answer" not in found
    assert found["crc"] > 150


def test_a_cut_answer_is_no_answer():
    assert "answer" not in outcomes(Faults(cut=1.0))


def test_junk_in_front_does_no_harm():
    assert outcomes(Faults(junk=1.0)) == {"answer": 300}


def test_the_same_seed_brings_the_same_faults():
    assert outcomes(Faults(silence=0.3, damage=0.3)) == outcomes(Faults(silence=0.3, damage=0.3))
    assert outcomes(Faults(silence=0.3, damage=0.3)) != outcomes(Faults(silence=0.3, damage=0.3, seed=2))


def test_the_plant_moves_with_its_clock():
    now = [START]
    plant = Plant(5, START)
    radio = SimulatedRadio(plant, SETTINGS, lambda: now[0])
    read = partial(ask, request=modbus.read(255, 256, 34))
    first = with_link(radio, ROOF, read)
    assert with_link(radio, ROOF, read) == first
    now[0] = START + HOUR
    assert with_link(radio, ROOF, read) != first
    assert START + HOUR - STEP < plant.time <= START + HOUR


def test_a_fast_clock_runs_fast():
    ticks = [100.0]
    now = faster(START, 60, lambda: ticks[0])
    assert now() == START
    ticks[0] = 130.0
    assert now() == START + 30 * 60


def test_something_happens_in_the_first_minute_of_the_demo():
    plant = Plant(DEMO_SEED, DEMO_START)
    suns, charges, loads = set(), [plant.state_of_charge], []
    drove = False
    for second in range(60):
        plant.advance(DEMO_START + second * DEMO_SPEED)
        suns.add(round(plant.flows.sun, 1))
        charges.append(plant.state_of_charge)
        loads.append(plant.flows.ac_power)
        drove = drove or plant.flows.alternator > 0
    assert len(suns) >= 4
    assert charges[-1] - charges[0] > 0.05
    assert max(loads) > 500 > min(loads)
    assert drove


def test_the_demo_is_a_whole_system():
    assert [device.type for device in SETTINGS.devices] == ["RNG_CTRL", "RNG_BATT", "RNG_DCC", "RNG_INVT", "RNG_SHNT"]
    assert BANK.device_id == (48, 49, 50, 51)
    assert all(device.mac_addr.startswith("02:") for device in SETTINGS.devices)
    assert len({device.section for device in SETTINGS.devices}) == 5
    assert SETTINGS.mqtt.homeassistant_discovery
    assert SETTINGS.data.enable_polling
    assert INVERTER.device_id == (32,)
