#!/bin/sh
# The tests talk to real peers: a MQTT broker (mosquitto), a D-Bus daemon, and openssl for certificates. Install what is missing.
set -eu
missing=""
command -v mosquitto >/dev/null 2>&1 || [ -x /usr/sbin/mosquitto ] || missing="$missing mosquitto"
command -v dbus-daemon >/dev/null 2>&1 || missing="$missing dbus"
command -v openssl >/dev/null 2>&1 || missing="$missing openssl"
[ -z "$missing" ] && exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "The tests need these programs, please install them:$missing" >&2
    exit 1
fi
run=""
[ "$(id -u)" = 0 ] || run="sudo"
echo "Installing for the tests:$missing"
$run env DEBIAN_FRONTEND=noninteractive apt-get update -qq
# Only the programs are wanted: no service is started by this.
$run env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
