"""The daemon: main loop, schedule, order of start and stop."""
