"""The port."""

from __future__ import annotations

import asyncio
import logging
import socket
from pathlib import Path

import psutil
import pytest

from renogybt.errors import UserError
from renogybt.proxy.node import EsphomeNode
from renogybt.proxy.server import MOST_CLIENTS, listening_socket
from tests.proxy.given import HOST, Client, identities, running, settings, until

HELLO = b"\x00\x00\x01"


def test_one_socket_for_both_kinds_of_addresses() -> None:
    with listening_socket(0) as listening:
        port = listening.getsockname()[1]
        assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        hosts = [HOST, "::1"] if listening.family == socket.AF_INET6 else [HOST]
        for host in hosts:
            socket.create_connection((host, port), 2).close()


def test_where_there_is_no_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "AF_INET6", 9999)
    with listening_socket(0) as listening:
        assert listening.family == socket.AF_INET
        socket.create_connection((HOST, listening.getsockname()[1]), 2).close()


def test_a_port_in_use_is_named_with_the_remedy(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        known = settings(tmp_path, native_api_port=port)
        node = EsphomeNode(known, identities(known), host=HOST)
        with pytest.raises(UserError, match=rf"port {port} .*another program uses it.*native_api_port"):
            asyncio.run(node.start())


def test_the_port_can_be_had_again_at_once(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(settings(tmp_path)) as node, Client(node):
            port = node.port
        async with running(settings(tmp_path, native_api_port=port)) as node, Client(node) as client:
            assert node.port == port
            await client.api.device_info()

    asyncio.run(work())


def test_too_many_clients(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(settings(tmp_path)) as node:
            lines = []
            for number in range(MOST_CLIENTS + 2):
                lines.append(await asyncio.open_connection(HOST, node.port))
                lines[-1][1].write(HELLO)
                await until(lambda: node.clients == min(number + 1, MOST_CLIENTS))  # noqa: B023
            refused = [reader for reader, _ in lines[MOST_CLIENTS:]]
            for reader in refused:
                with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                    await asyncio.wait_for(reader.readexactly(1), 5)
            assert len(node.sessions) == MOST_CLIENTS
            lines[0][1].close()
            await until(lambda: len(node.sessions) == MOST_CLIENTS - 1)
            async with Client(node) as client:
                await client.api.device_info()
            for _, writer in lines:
                writer.close()

    asyncio.run(asyncio.wait_for(work(), 30))


def test_those_that_say_nothing_give_way(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """However many there are, whoever knows what to say is let in, and stays."""

    async def work() -> None:
        async with running(settings(tmp_path)) as node, Client(node) as first:
            mute = [await asyncio.open_connection(HOST, node.port) for _ in range(3 * MOST_CLIENTS)]
            await until(lambda: len(node.sessions) == MOST_CLIENTS)
            async with Client(node) as client:
                await client.api.device_info()
                await first.api.device_info()
                assert node.clients == 2
            for _, writer in mute:
                writer.close()

    asyncio.run(asyncio.wait_for(work(), 30))
    assert [record.getMessage() for record in caplog.records if "did not introduce itself" in record.getMessage()]


def test_many_that_come_and_go_leave_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """By goodbye, by closing, by a reset; with subscriptions, and in the middle of a list."""
    asked = HELLO + b"".join(b"\x00\x00" + bytes([number]) for number in (9, 11, 20, 66, 80, 28))

    async def visit(port: int, number: int) -> None:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(asked[: 3 * (number % 8)] + (b"\x00\x00\x05" if number % 3 == 0 else b""))
        if number % 3 == 1:
            await reader.read(10)
        if number % 3 == 2:
            writer.transport.abort()
        writer.close()

    async def work() -> None:
        async with running(settings(tmp_path)) as node:
            process = psutil.Process()
            await until(lambda: "announced as" in caplog.text)
            tasks, files = len(asyncio.all_tasks()), process.num_fds()
            for number in range(300):
                if number % 3 != 1 or number % 8:  # who says nothing hears nothing
                    await asyncio.wait_for(visit(node.port, number), 10)
            await until(lambda: not node.sessions)
            await until(lambda: (len(asyncio.all_tasks()), process.num_fds()) <= (tasks, files))
            async with Client(node) as client:
                await client.api.device_info()

    with caplog.at_level(logging.INFO):
        asyncio.run(asyncio.wait_for(work(), 60))


def test_a_client_that_resets_the_connection(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        async with running(settings(tmp_path)) as node:
            client = socket.create_connection((HOST, node.port))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            client.sendall(b"\x00\x00\x01\x00\x00\x0b")
            await until(lambda: node.clients == 1)
            client.close()
            await until(lambda: not node.sessions)

    asyncio.run(asyncio.wait_for(work(), 30))
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
