"""The history: readings at full rate for some days, means for years, a record of each day. `History` reads it."""

from renogybt.history.intervals import Interval
from renogybt.history.means import FIVE_MINUTES, HOUR, Stat
from renogybt.history.reader import FULL, Curve, Day, History, Key, Known, Series

__all__ = ["FIVE_MINUTES", "FULL", "HOUR", "Curve", "Day", "History", "Interval", "Key", "Known", "Series", "Stat"]
