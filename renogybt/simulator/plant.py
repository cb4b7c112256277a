"""A small off-grid system: panels, charge controller, four batteries, DC-DC charger, inverter, loads.

Only sums, no clock: the time goes in, and the same seed and start give the same system at the same time, however many
steps `advance` was called in. Times are seconds of local time since 1970 (`time % 86400` is the time of day).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from renogybt.simulator.household import ac_load, dc_load, driving
from renogybt.simulator.meter import Meter
from renogybt.simulator.pack import Pack, current_at, voltage_with
from renogybt.simulator.weather import DAY, HOUR, air, sunlight

STEP, PAST_STEP = 20.0, 120.0
"""Seconds per step, from the start on and in the days before."""
PAST_DAYS = 7

PANELS, PANEL_VOLTAGE, MPPT_EFFICIENCY, CONTROLLER_LIMIT = 620.0, 36.0, 0.96, 40.0
BOOST_VOLTAGE, FLOAT_VOLTAGE, RETURN_VOLTAGE, BOOST_HOURS, TAIL = 14.4, 13.5, 13.2, 2.0, 4.0
"""Stages of charging: hold the boost voltage until the hours are over or only the tail current (A) flows, then float."""
LOAD_CUTOFF, LOAD_RETURN = 11.1, 12.6
DCC_LIMIT, DCC_EFFICIENCY, ALTERNATOR = 27.0, 0.93, 13.9
INVERTER_EFFICIENCY, INVERTER_IDLE, LINE_LIMIT = 0.9, 12.0, 30.0
SHORE_BELOW, SHORE_UNTIL = 0.35, 0.6
"""State of charge at which the owner plugs the shore power in and out."""


@dataclass(frozen=True, slots=True)
class Flows:
    """What flows where during one step. Volts, amperes at the battery side unless said otherwise, watts.

    `solar`, `alternator`, `line` charge; `load`, `inverter` draw; `bank` is what is left for the batteries, + charging.
    """

    sun: float = 0.0
    voltage: float = 13.2
    solar: float = 0.0
    alternator: float = 0.0
    line: float = 0.0
    load: float = 0.0
    inverter: float = 0.0
    bank: float = 0.0
    ac_power: float = 0.0
    pv_voltage: float = 0.0
    held: bool = False

    @property
    def pv_power(self) -> float:
        return self.solar * self.voltage / MPPT_EFFICIENCY


@dataclass
class Warmth:
    """Temperatures in °C of the boxes on the wall."""

    controller: float = 18.0
    dcc: float = 18.0
    inverter: float = 18.0

    def follow(self, flows: Flows, around: float, seconds: float) -> None:
        share = min(1.0, seconds / 1200)
        self.controller += (around + 4 + 30 * flows.solar / CONTROLLER_LIMIT - self.controller) * share
        self.dcc += (around + 2 + 28 * flows.alternator / DCC_LIMIT - self.dcc) * share
        self.inverter += (around + 7 + 30 * (flows.ac_power + flows.line * flows.voltage) / 1000 - self.inverter) * share


@dataclass
class Plant:
    """The system at `time`. Built, it has already run for the week before `start`, so that there is a history."""

    seed: int
    start: float
    charge: float = 0.6
    load_on: bool = True
    time: float = field(init=False)
    packs: list[Pack] = field(init=False)
    flows: Flows = field(init=False, default=Flows())
    warmth: Warmth = field(init=False, default_factory=Warmth)
    controller: Meter = field(init=False)
    dcc: Meter = field(init=False)
    stage: str = field(init=False, default="deactivated")
    shore: bool = field(init=False, default=False)
    _boost_since: float = field(init=False, default=0.0)
    _load_cut: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self.time = (self.start // DAY - PAST_DAYS) * DAY
        self.packs = [Pack.made(self.seed, number, self.charge) for number in range(4)]
        self.controller = Meter(300, 1, 140, 24600.0, 15200.0, 329_000.0, 203_000.0)
        self.dcc = Meter(300, 1, 35, 5100.0, 0.0, 69_000.0, 0.0)
        while self.time < self.start:
            self._step(min(PAST_STEP, self.start - self.time))

    def advance(self, to: float) -> None:
        """Let the system run until `to`, in whole steps; a time already passed changes nothing."""
        while self.time + STEP <= to:
            self._step(STEP)

    @property
    def state_of_charge(self) -> float:
        """Of the whole bank, 0 … 1."""
        return sum(pack.charge * pack.capacity for pack in self.packs) / sum(pack.capacity for pack in self.packs)

    @property
    def driving(self) -> bool:
        return driving(self.seed, self.time)

    @property
    def air(self) -> float:
        return air(self.seed, self.time)

    def _step(self, seconds: float) -> None:
        self._plug()
        flows = self._flow()
        around = self.air
        currents = [(flows.voltage - pack.rest) / pack.barrier(flows.held) for pack in self.packs]
        for pack, current in zip(self.packs, currents, strict=True):
            pack.carry(current, seconds, around)
        self.controller.note(flows.voltage, flows.solar, flows.load, seconds / HOUR)
        self.dcc.note(flows.voltage, flows.alternator, 0.0, seconds / HOUR)
        self.warmth.follow(flows, around, seconds)
        self.flows = flows
        self._choose_stage()
        yesterday = self.time // DAY
        self.time += seconds
        if self.time // DAY != yesterday:
            self.controller.midnight()
            self.dcc.midnight()

    def _flow(self) -> Flows:
        """Solve the currents of this step: chargers give what they can, but hold their voltage."""
        voltage, sun = self.flows.voltage, sunlight(self.seed, self.time)
        ac_power = ac_load(self.seed, self.time)
        load = dc_load(self.seed, self.time) / voltage if self._load_connected() else 0.0
        inverter = 0.0 if self.shore else (ac_power / INVERTER_EFFICIENCY + INVERTER_IDLE) / voltage
        demand = load + inverter
        panels = PANELS * sun * (1 - 0.004 * max(0.0, self.air + 25 * sun - 25))
        solar_most = min(CONTROLLER_LIMIT, panels * MPPT_EFFICIENCY / voltage)
        alternator_most = DCC_LIMIT if self.driving else 0.0
        line_most = LINE_LIMIT if self.shore else 0.0
        held = solar_most + alternator_most + line_most > demand
        room = max(0.0, current_at(self.packs, BOOST_VOLTAGE, held) + demand)
        alternator = min(alternator_most, room)
        line = min(line_most, room - alternator)
        target = FLOAT_VOLTAGE if self.stage == "floating" else BOOST_VOLTAGE
        wanted = max(0.0, current_at(self.packs, target, held) + demand - alternator - line)
        solar = min(solar_most, wanted)
        bank = solar + alternator + line - demand
        idle = 1 - solar / solar_most if solar_most else 0.0
        return Flows(
            sun=sun,
            voltage=voltage_with(self.packs, bank, held),
            solar=solar,
            alternator=alternator,
            line=line,
            load=load,
            inverter=inverter,
            bank=bank,
            ac_power=ac_power,
            pv_voltage=(PANEL_VOLTAGE + 7 * idle) * min(1.0, sun / 0.02) ** 0.3,
            held=held,
        )

    def _choose_stage(self) -> None:
        flows = self.flows
        if flows.sun < 0.005:
            self.stage = "deactivated"
        elif self.stage == "boost":
            over = self.time - self._boost_since > BOOST_HOURS * HOUR
            if over or (flows.voltage > BOOST_VOLTAGE - 0.1 and flows.bank < TAIL):
                self.stage = "floating"
                self.controller.fully_charged += 1
        elif self.stage == "floating":
            if flows.voltage < RETURN_VOLTAGE:
                self.stage = "mppt"
        elif flows.voltage > BOOST_VOLTAGE - 0.05:
            self.stage, self._boost_since = "boost", self.time
        else:
            self.stage = "current limiting" if flows.solar > CONTROLLER_LIMIT - 0.01 else "mppt"

    def _load_connected(self) -> bool:
        limit = LOAD_RETURN if self._load_cut else LOAD_CUTOFF
        cut = self.flows.voltage < limit
        if cut and not self._load_cut:
            self.controller.overdischarged += 1
        self._load_cut = cut
        return self.load_on and not cut

    def _plug(self) -> None:
        awake = 8 * HOUR <= self.time % DAY < 22 * HOUR
        limit = SHORE_UNTIL if self.shore else SHORE_BELOW
        self.shore = awake and self.state_of_charge < limit
