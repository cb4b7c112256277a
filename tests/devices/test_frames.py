"""Every captured frame decodes to what is known of it, through framing and table, however it arrives."""

import pytest

from renogybt import devices
from renogybt.devices import history, shunt
from renogybt.errors import BadFrame
from renogybt.protocol.modbus import find_answer, parse_request, payload_of
from tests.frames import named, of_kind

TABLES = {
    "battery_legacy": "battery",
    "battery_hub": "battery",
    "battery_pro": "battery_rngrbp",
    "battery_rngpro": "battery_rngpro",
    "dcc": "dc_charger",
}
"""Tables whose name differs from that of the frame's family."""

READ = of_kind("read_reply")
HEARD = of_kind("shunt_notify")


def family_of(frame):
    return devices.family(TABLES.get(frame["family"], frame["family"]))


def decoded(family, start, payload):
    """Values as the bytes have them, and the derived ones beside them."""
    found = family.decode(start, payload)
    assert found.dropped == ()
    return family.derive(found.values) | found.values


@pytest.mark.parametrize("frame", READ, ids=lambda f: f["id"])
def test_payload_decodes_to_the_expected_values(frame):
    payload = bytes.fromhex(frame["response"])[3:-2]
    values = decoded(family_of(frame), frame["register"], payload)
    if frame["layout"] == "history":
        values["days_ago"] = history.days_ago(frame["register"])
    for key, expected in frame["expected"].items():
        assert values[key] == pytest.approx(expected) if isinstance(expected, float) else values[key] == expected, key
        assert type(values[key]) is type(expected), key


@pytest.mark.parametrize("frame", [f for f in READ if f["crc_ok"]], ids=lambda f: f["id"])
@pytest.mark.parametrize("junk", ["", "00", "6d61696e2072656376206461746120", "ff03440064"])
def test_frames_come_in_pieces_and_behind_junk(frame, junk):
    request, answer = parse_request(bytes.fromhex(frame["request"])), bytes.fromhex(frame["response"])
    heard, found = b"", None
    stream = bytes.fromhex(junk) + answer
    for at in range(0, len(stream), 20):
        assert found is None
        heard += stream[at : at + 20]
        found = find_answer(request, heard)
    assert found == answer
    values = decoded(family_of(frame), request.register, payload_of(request, found))
    assert set(frame["expected"]) - {"days_ago"} <= set(values)


@pytest.mark.parametrize("frame", [f for f in READ if not f["crc_ok"]], ids=lambda f: f["id"])
def test_frames_with_a_wrong_checksum_never_get_that_far(frame):
    request = parse_request(bytes.fromhex(frame["request"]))
    with pytest.raises(BadFrame):
        payload_of(request, bytes.fromhex(frame["response"]))


def test_every_kind_of_frame_is_looked_at():
    assert {frame["layout"] for frame in READ} == {
        "battery",
        "battery_pro",
        "controller",
        "dcc",
        "history",
        "inverter",
        "inverter_hf",
    }
    assert len(READ) > 55
    assert len(HEARD) == 5


@pytest.mark.parametrize("frame", READ, ids=lambda f: f["id"])
def test_every_captured_value_has_a_row(frame):
    family = family_of(frame)
    rows = {row.key for row in (*family.fields, *family.derived)} | {row.was for row in family.fields if row.was}
    assert set(frame["expected"]) - {"days_ago"} <= rows


def test_core_battery_swaps_its_cycle_count():
    payload = bytes.fromhex(named("rngc-pack")["response"])[3:-2]
    assert devices.family("battery_rngc").decode(5042, payload).values["cycle_count"] == 12
    assert devices.family("battery_rngrbp").decode(5042, payload).values["cycle_count"] == 3072


def test_the_advertised_name_decides_how_current_is_counted():
    payload = bytes.fromhex(named("rngrbp-pack")["response"])[3:-2]
    assert devices.family("battery_rngrbp").decode(5042, payload).values["current"] == -1.2
    assert devices.family("battery_rngpro").decode(5042, payload).values["current"] == -0.12


# The shunt


def test_the_captured_beginning_of_a_block_decodes_as_far_as_it_goes():
    frame = named("shunt-real-partial")
    found = devices.family("shunt").decode(0, bytes.fromhex(frame["response"]))
    assert found.values == frame["expected"]
    assert shunt.find_block(bytes.fromhex(frame["response"])) is None


@pytest.mark.parametrize("frame", [f for f in HEARD if "error" not in f["expected"]][1:], ids=lambda f: f["id"])
def test_live_blocks(frame):
    heard = bytes.fromhex(frame["response"])
    block = devices.family("shunt").block_in(b"\x57\x01" + heard)
    assert block is not None
    assert len(block) == shunt.SIZE
    values = decoded(devices.family("shunt"), 0, block)
    for key, expected in frame["expected"].items():
        assert values[key] == expected, key


def test_a_history_block_is_no_live_one():
    past = bytes.fromhex(named("shunt-history-only")["response"])
    live = bytes.fromhex(named("shunt-made-live")["response"])
    assert shunt.find_block(past) is None
    assert shunt.find_block(past + live) == live
    assert shunt.find_block(live + past) == live
    assert shunt.find_block(live + past[:30]) == live


def test_the_last_complete_block_counts():
    older = bytes.fromhex(named("shunt-made-live")["response"])
    newer = bytes.fromhex(named("shunt-frost-charging")["response"])
    assert shunt.find_block(older + newer) == newer
    assert shunt.find_block(older + newer[:-1]) == older
    assert shunt.find_block(older[50:] + newer) == newer


@pytest.mark.parametrize("size", [1, 7, 20, 110])
def test_a_block_split_anywhere(size):
    live = bytes.fromhex(named("shunt-prefixed")["response"])
    stream, found = b"\x00\x42" + live, []
    for end in range(size, len(stream) + size, size):
        found.append(shunt.find_block(stream[:end]))
    assert found[-1] == live[4:]
    assert all(block is None for end, block in enumerate(found, 1) if end * size < len(stream))


def test_a_block_cut_short_by_the_next_gives_what_its_tags_vouch_for():
    live = bytes.fromhex(named("shunt-frost-charging")["response"])
    short = shunt.find_block(live[:70] + live[:20])
    assert short == live[:36]
    assert devices.family("shunt").decode(0, short).values["charge_amps"] == 60.001
    assert shunt.find_block(live[:35] + live[:20]) is None
    lost = live[:20] + live[40:]  # one notification did not arrive, and all behind it moved up
    assert shunt.find_block(lost + live[:20]) is None


def test_a_whole_block_is_preferred_to_a_cut_one():
    older = bytes.fromhex(named("shunt-made-live")["response"])
    newer = bytes.fromhex(named("shunt-frost-charging")["response"])
    assert shunt.find_block(older + newer[:60] + newer[:8]) == older


def test_shunt_values_that_are_not_there():
    family = devices.family("shunt")
    block = bytearray(bytes.fromhex(named("shunt-made-live")["response"]))
    block[30:32], block[66:68] = b"\0\0", b"\x80\0"
    values = family.derive(family.decode(0, bytes(block)).values)
    assert values["starter_battery_voltage"] is None
    assert values["battery_temperature"] is None
    assert values["starter_battery_temperature"] is None
    assert values["charge_watts"] == -71.28
    assert values["shunt_status"] == "discharging"
    assert [shunt.status(amps) for amps in (0.05, -0.05, 0.051, -0.051)] == ["idle", "idle", "charging", "discharging"]
