"""An ESP32 with ESPHome's Bluetooth proxy, as far as a client can tell, with simulated Renogy modules in its range."""
