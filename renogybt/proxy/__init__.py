"""An ESPHome node: the readings to Home Assistant without a broker, by the ESPHome native API."""
