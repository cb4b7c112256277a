"""PVOutput: one status per interval, caught up in batches after an outage, and none of them twice."""

from renogybt.sinks.pvoutput.outlet import PvoutputOutlet, outlets

__all__ = ["PvoutputOutlet", "outlets"]
