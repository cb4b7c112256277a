"""What the inverter of the plant would show, by the keys of the inverters' tables."""

from __future__ import annotations

from types import MappingProxyType

from renogybt.simulator.instruments import Values, noise
from renogybt.simulator.plant import BOOST_VOLTAGE, FLOAT_VOLTAGE, Plant

AC_VOLTAGE, AC_FREQUENCY, RATED = 120.0, 60.0, 3000.0
COS_PHI = 0.93
SETTINGS = MappingProxyType(
    {
        "inverter_beep": "off",
        "inverter_output": "on",
        "inverter_charge_current": 60.0,
        "max_charging_current_setting": 60.0,
        "inverter_equalization_voltage": BOOST_VOLTAGE,
        "inverter_boost_voltage": BOOST_VOLTAGE,
        "inverter_float_voltage": FLOAT_VOLTAGE,
        "inverter_low_voltage_warn": 11.0,
        "inverter_overdischarge_shutdown": 10.5,
        "inverter_output_priority": "battery",
        "inverter_over_voltage": 15.5,
        "inverter_overvoltage_recovery": 15.0,
        "inverter_undervoltage_recovery": 12.6,
        "inverter_ac_input_current_limit": 20.0,
        "inverter_ac_charge_current": 40.0,
        "inverter_lithium_activation": "on",
    }
)


def inverter(plant: Plant, model: str = "RIV1230RCH-SPS", charging_sign: int = 1) -> Values:
    """`charging_sign`: how the model counts a current into the battery, +1 (REGO) or -1 (RIV4835)."""
    flows, on_line = plant.flows, plant.shore
    output = AC_VOLTAGE + noise(plant, 54, 0.6)
    frequency = AC_FREQUENCY + noise(plant, 55, 0.03)
    apparent = flows.ac_power / COS_PHI
    return {
        **SETTINGS,
        "device_id": 32,
        "model": model,
        "input_voltage": output + 0.4 if on_line else 0.0,
        "input_current": _taken(plant) / AC_VOLTAGE,
        "input_frequency": frequency if on_line else 0.0,
        "output_voltage": output,
        "output_current": apparent / output,
        "output_frequency": frequency,
        "battery_voltage": flows.voltage,
        "temperature": plant.warmth.inverter,
        "battery_percentage": round(100 * plant.state_of_charge),
        "charging_current": charging_sign * (flows.line - flows.inverter),
        "solar_voltage": 0.0,
        "solar_current": 0.0,
        "solar_power": 0,
        "charging_status": "constant current" if flows.line else "deactivated",
        "charging_power": flows.line * flows.voltage,
        "operating_state_raw": 4 if on_line else 5,
        "operating_state": "grid" if on_line else "inverter",
        "warning_bits": 0,
        **{f"fault_code_{n}": 0 for n in range(4)},
        "load_current": apparent / output,
        "load_active_power": flows.ac_power,
        "load_apparent_power": apparent,
        "line_charging_current": flows.line,
        "load_percentage": round(100 * flows.ac_power / RATED),
    }


def inverter_hf(plant: Plant) -> Values:
    """The same device by the labels of the HF table."""
    flows, on_line = plant.flows, plant.shore
    return {
        **SETTINGS,
        "device_id": 32,
        "model": "RIV1230PCH-23S",
        "ac_input_voltage": AC_VOLTAGE + noise(plant, 54, 0.6) if on_line else 0.0,
        "ac_input_frequency": AC_FREQUENCY if on_line else 0.0,
        "ac_voltage_setting": AC_VOLTAGE,
        "battery_discharge_current": flows.inverter,
        "battery_temperature": plant.packs[0].temperature,
        "internal_temperature": plant.warmth.inverter,
        "ac_input_present": on_line,
        "battery_current": flows.line - flows.inverter,
        "charging_active": flows.line > 0,
        "charging_power_amps": flows.line,
        "operating_mode_raw": 4 if on_line else 5,
        "operating_mode": "line/charging" if on_line else "inverting/battery",
        "charging_current": flows.line,
    }


def _taken(plant: Plant) -> float:
    """W from the shore: the load, and what charging takes with its losses."""
    return plant.flows.ac_power + 1.1 * plant.flows.line * plant.flows.voltage if plant.shore else 0.0
