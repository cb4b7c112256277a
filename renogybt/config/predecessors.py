"""What the predecessors' files may hold that this program has no use for, or means otherwise.

cyrils/renogy-bt and jorik41/renogy-bt; their files are taken as they are.
"""

from __future__ import annotations

from types import MappingProxyType

_CYCLE = "each device is read in its own time, so there is no cycle to follow"
_TIMEOUT = "how long an answer may take is known for each kind of device"
_REST = "Home Assistant connects to the bridge, not the other way round"
_WATCH = "the bridge watches the adapter by itself"
_AIRTIME = "scanning and reading share the adapter by themselves"

IGNORED: MappingProxyType[tuple[str, str], str] = MappingProxyType(
    {
        ("data", "poll_after_proxy_cycle"): _CYCLE,
        ("data", "poll_cycle_dwell_seconds"): _CYCLE,
        ("data", "poll_cycle_timeout_seconds"): _CYCLE,
        ("data", "renogy_read_timeout_seconds"): _TIMEOUT,
        ("home_assistant_proxy", "host"): _REST,
        ("home_assistant_proxy", "port"): _REST,
        ("home_assistant_proxy", "ssl"): _REST,
        ("home_assistant_proxy", "endpoint"): _REST,
        ("home_assistant_proxy", "fallback_endpoints"): _REST,
        ("home_assistant_proxy", "access_token"): _REST,
        ("home_assistant_proxy", "source"): "the bridge is known by device_name",
        ("home_assistant_proxy", "airtime_settle_seconds"): _AIRTIME,
        ("home_assistant_proxy", "airtime_window_seconds"): _AIRTIME,
        ("home_assistant_proxy", "health_check_interval"): _WATCH,
        ("home_assistant_proxy", "health_check_threshold"): _WATCH,
        ("home_assistant_proxy", "health_reset_adapter"): _WATCH,
        ("home_assistant_proxy", "health_reset_limit"): _WATCH,
    }
)
"""(section, option) -> why it is not needed."""

MOVED: MappingProxyType[str, str] = MappingProxyType({"device": "bluetooth", "data": "bluetooth"})
"""Section -> where those of its options that it does not have itself may belong."""

ZERO_IS_DEFAULT = frozenset({("data", "poll_interval")})
"""Where the fork's files may say 0 for "not used"."""

OPEN_SECTIONS = frozenset({"home_assistant_proxy"})
"""Sections where the fork's versions differ so much that an unknown option is no fault."""
