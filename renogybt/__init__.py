"""Renogy solar equipment over Bluetooth LE to MQTT, Home Assistant and the rest."""
