"""A stand-in for bluetoothd with simulated Bluetooth modules behind it, in a process and on a bus of its own."""
