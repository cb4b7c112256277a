"""The radio: scanning, connecting and talking through bleak, in one thread that owns the event loop."""
