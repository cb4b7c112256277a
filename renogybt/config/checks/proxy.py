"""What the ESPHome native API needs."""

from __future__ import annotations

from renogybt.config.checks.judge import Judge, is_ip


def check_proxy(judge: Judge) -> None:
    proxy, section = judge.settings.home_assistant_proxy, "home_assistant_proxy"
    if not proxy.enabled:
        return
    judge.required(section, "device_name", proxy.device_name, "the proxy is enabled")
    try:
        proxy.key()
    except ValueError as error:
        judge.fault(section, "encryption_key", str(error))
    if proxy.mdns_ip and not is_ip(proxy.mdns_ip):
        judge.fault(section, "mdns_ip", "must be an IP address like 192.168.1.20, or empty")
    if proxy.renogy_poll_mode == "scheduled" and not proxy.renogy_read_interval:
        judge.fault(section, "renogy_read_interval", "must be more than 0 when renogy_poll_mode is scheduled")
    if not proxy.use_native_api:
        judge.warn(section, "use_native_api", "the native API is used all the same: it is the only way there is")
