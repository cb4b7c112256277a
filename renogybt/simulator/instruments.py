"""What each device of the plant would show, by the keys of its table. Temperatures in °C, signs as the device has them."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from renogybt.simulator.chance import chance
from renogybt.simulator.meter import Day, Meter
from renogybt.simulator.pack import CELLS
from renogybt.simulator.plant import BOOST_VOLTAGE, DCC_EFFICIENCY, FLOAT_VOLTAGE, Plant

Values = dict[str, Any]
SENSORS = 2
SETTINGS = MappingProxyType(
    {
        "battery_type": "lithium",
        "nominal_battery_capacity": 400,
        "system_voltage_setting": 12,
        "recognized_voltage": 12,
        "overvoltage_threshold": 16.0,
        "charging_limit_voltage": 15.0,
        "equalization_voltage": BOOST_VOLTAGE,
        "boost_voltage": BOOST_VOLTAGE,
        "float_voltage": FLOAT_VOLTAGE,
        "boost_return_voltage": 13.2,
        "overdischarge_return_voltage": 12.6,
        "undervoltage_warning": 12.0,
        "overdischarge_voltage": 11.1,
        "discharge_limit_voltage": 10.6,
        "end_of_charge_soc": 100,
        "end_of_discharge_soc": 50,
        "overdischarge_delay": 5,
        "boost_time": 120,
        "temperature_compensation": 3,
        "load_mode": 15,
        "light_control_delay": 10,
        "light_control_voltage": 5,
        "max_charging_current": 30.0,
        "reverse_charging_voltage": 13.8,
        "solar_cutoff_current": 3.0,
    }
)
LIMITS = MappingProxyType(
    {
        "charge_voltage_limit": 14.8,
        "discharge_voltage_limit": 10.0,
        "charge_current_limit": 50.0,
        "discharge_current_limit": -100.0,
        "cell_over_voltage_limit": 3.7,
        "cell_high_voltage_limit": 3.6,
        "cell_low_voltage_limit": 2.8,
        "cell_under_voltage_limit": 2.5,
        "module_over_voltage_limit": 14.8,
        "module_high_voltage_limit": 14.4,
        "module_low_voltage_limit": 11.2,
        "module_under_voltage_limit": 10.0,
        "charge_over_temperature_limit": 60.0,
        "charge_high_temperature_limit": 55.0,
        "charge_low_temperature_limit": 2.0,
        "charge_under_temperature_limit": 0.0,
        "charge_over_current_2_limit": 120.0,
        "charge_over_current_1_limit": 110.0,
        "charge_high_current_limit": 105.0,
        "discharge_over_temperature_limit": 65.0,
        "discharge_high_temperature_limit": 60.0,
        "discharge_low_temperature_limit": -15.0,
        "discharge_under_temperature_limit": -20.0,
        "discharge_over_current_2_limit": -200.0,
        "discharge_over_current_1_limit": -120.0,
        "discharge_high_current_limit": -110.0,
    }
)


def controller(plant: Plant) -> Values:
    flows = plant.flows
    shown = flows.voltage + noise(plant, 50, 0.02)
    return {
        **SETTINGS,
        **_identity("RNG-CTRL-RVR40", 0x18010117),
        "device_id": 96,
        "max_system_voltage": 24,
        "rated_charging_current": 40,
        "rated_discharging_current": 20,
        "product_type": 0,
        **_counted(plant.controller, shown),
        "battery_percentage": round(100 * min(1.0, max(0.0, plant.state_of_charge))),
        "battery_voltage": shown,
        "battery_current": _above(flows.solar, plant, 51, 0.03),
        "battery_temperature": round(plant.packs[0].temperature),
        "controller_temperature": round(plant.warmth.controller),
        "load_status": "on" if plant.load_on else "off",
        "load_voltage": shown if flows.load else 0.0,
        "load_current": _above(flows.load, plant, 52, 0.01),
        "load_power": flows.load * flows.voltage,
        "pv_voltage": flows.pv_voltage,
        "pv_current": flows.pv_power / flows.pv_voltage if flows.pv_voltage else 0.0,
        "pv_power": flows.pv_power,
        "charging_status": plant.stage,
        "fault_code": 0,
        "faults": [],
    }


def dc_charger(plant: Plant) -> Values:
    flows = plant.flows
    working = flows.alternator > 0
    power = flows.alternator * flows.voltage / DCC_EFFICIENCY
    source = 13.9 + noise(plant, 53, 0.05) if plant.driving else _starter(plant)
    status = "deactivated" if not working else "boost" if flows.voltage > BOOST_VOLTAGE - 0.1 else "alternator direct"
    return {
        **SETTINGS,
        **_identity("DCC30S", 0x18020233),
        "device_id": 1,
        "max_system_voltage": 12,
        "rated_charging_current": 30,
        **_counted(plant.dcc, flows.voltage),
        "battery_percentage": round(100 * plant.state_of_charge),
        "battery_voltage": flows.voltage,
        "combined_charge_current": flows.alternator,
        "battery_temperature": round(plant.packs[1].temperature),
        "controller_temperature": round(plant.warmth.dcc),
        "alternator_voltage": source,
        "alternator_current": power / source,
        "alternator_power": power,
        "pv_voltage": 0.0,
        "pv_current": 0.0,
        "pv_power": 0.0,
        "charging_status": status,
        "alarms": [],
        "output_power": flows.alternator * flows.voltage,
        "charging_mode": "alternator_to_house" if working else "standby",
        "ignition_status": "connected" if plant.driving else "disconnected",
    }


def battery(plant: Plant, number: int) -> Values:
    """Battery `number` (0 … 3) of the bank."""
    pack = plant.packs[number]
    cells = pack.cells(plant.flows.voltage)
    channel = 60 + 10 * number
    values: Values = {
        **LIMITS,
        "cell_count": CELLS,
        **{f"cell_voltage_{n}": volts + noise(plant, channel + n, 0.006) for n, volts in enumerate(cells)},
        "sensor_count": SENSORS,
        **{f"temperature_{n}": pack.temperature + 0.4 * n for n in range(SENSORS)},
        "bms_temperature": pack.temperature + 1.5,
        "environment_sensor_count": 1,
        "environment_temperature_0": plant.air,
        "current": pack.current + noise(plant, channel + 5, 0.02),
        "voltage": plant.flows.voltage + noise(plant, channel + 6, 0.01),
        "remaining_charge": pack.remaining,
        "capacity": pack.capacity,
        "cycle_count": pack.cycles,
        "charge_mosfet": True,
        "discharge_mosfet": True,
        "using_battery_power": pack.current < -0.05,
        "charge_enable": True,
        "discharge_enable": True,
        "heater_on": False,
        "fully_charged": pack.gauge > 0.995,
        "serial_number": pack.serial,
        "manufacture_version": "01",
        "mainline_version": "0100",
        "protocol_version": "19",
        "model": "RBT100LFP12S-G1",
        "software_version": "0100",
        "manufacturer_name": "RENOGY",
        "device_id": 48 + number,
        "unique_id": 10_000 + number,
    }
    return values


def shunt(plant: Plant) -> Values:
    return {
        "charge_amps": plant.flows.bank + noise(plant, 56, 0.02),
        "main_battery_voltage": plant.flows.voltage + noise(plant, 57, 0.003),
        "starter_battery_voltage": 13.9 if plant.driving else _starter(plant),
        "main_battery_percent": 100 * plant.state_of_charge,
        "battery_temperature": sum(pack.temperature for pack in plant.packs) / len(plant.packs),
        "starter_battery_temperature": None,
    }


def day_record(day: Day) -> Values:
    return {
        "day_min_voltage": day.min_voltage,
        "day_max_voltage": day.max_voltage,
        "day_max_charge_current": day.max_charge_current,
        "day_max_discharge_current": day.max_discharge_current,
        "day_max_charge_power": day.max_charge_power,
        "day_max_discharge_power": day.max_discharge_power,
        "day_charge_ah": int(day.charge_ah),
        "day_discharge_ah": int(day.discharge_ah),
        "day_generation": int(day.generation),
        "day_consumption": int(day.consumption),
    }


def _counted(meter: Meter, voltage: float) -> Values:
    """Counters as a charger shows them: whole units, never rounded up, so that they never run ahead."""
    today = meter.today
    return {
        "battery_min_voltage_today": today.min_voltage or voltage,
        "battery_max_voltage_today": today.max_voltage or voltage,
        "max_charging_current_today": today.max_charge_current,
        "battery_max_current_today": today.max_charge_current,
        "max_discharging_current_today": today.max_discharge_current,
        "max_charging_power_today": today.max_charge_power,
        "max_discharging_power_today": today.max_discharge_power,
        "charging_amp_hours_today": int(today.charge_ah),
        "discharging_amp_hours_today": int(today.discharge_ah),
        "power_generation_today": int(today.generation),
        "power_consumption_today": int(today.consumption),
        "total_working_days": meter.days,
        "count_battery_overdischarged": meter.overdischarged,
        "count_battery_fully_charged": meter.fully_charged,
        "battery_ah_total_accumulated": int(meter.charge_ah),
        "battery_ah_total_discharged": int(meter.discharge_ah),
        "power_generation_total": int(meter.generation),
        "power_consumption_total": int(meter.consumption),
    }


def _identity(model: str, serial: int) -> Values:
    return {
        "model": model,
        "software_version": "V01.00.04",
        "hardware_version": "V01.02.00",
        "serial_number": serial,
        "protocol_version": 1,
        "unique_id": serial // 7,
    }


def _starter(plant: Plant) -> float:
    """Volts of the resting starter battery."""
    return 12.7 + 0.05 * chance(plant.seed, 58, int(plant.time // 3600))


def noise(plant: Plant, channel: int, size: float) -> float:
    """What the measuring adds: a little, anew in each step."""
    return size * (2 * chance(plant.seed, channel, int(plant.time)) - 1)


def _above(value: float, plant: Plant, channel: int, size: float) -> float:
    """`value` with noise, where something flows at all; never below 0."""
    return max(0.0, value + noise(plant, channel, size)) if value > 0 else 0.0
