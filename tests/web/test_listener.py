"""A socket that systemd passes outlives the service, and a stop hears whoever was accepted last."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
import uvloop
from aiohttp import web

from service.web.runner import Runner, _ShortConnection
from tests.given.bodies import a_body
from tests.given.ports import free_port
from tests.given.running import RECOUNT, environment
from tests.given.waiting import eventually

KEY = "key-of-a-test"
SENDERS = 8
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
# As systemd does: the variables name the process that it starts, whose sockets are 3, 4 and so on.
AS_SYSTEMD = 'exec env LISTEN_PID=$$ LISTEN_FDS="$0" "$@"'
BIND = """
import sys
from collections.abc import Mapping
from service.errors import RecountError
from service.listener import listening_socket
try:
    with listening_socket(sys.argv[1], int(sys.argv[2])) as listener:
        print(listener.getsockname()[1])
except RecountError as error:
    print(error)
"""


async def _started(
    listener: socket.socket, *command: str | Path, passed: int = 1, settings: Mapping[str, str] | None = None
) -> asyncio.subprocess.Process:
    def hand_over() -> None:
        for number in range(3, 3 + passed):
            os.dup2(listener.fileno(), number, inheritable=True)

    return await asyncio.create_subprocess_exec(
        "sh", "-c", AS_SYSTEMD, str(passed), *command,
        env=environment(settings or {}), stdout=asyncio.subprocess.PIPE,
        close_fds=False, preexec_fn=hand_over,
    )  # fmt: skip


@pytest.mark.parametrize("kept", [False, True])
async def test_a_restart_on_a_socket_that_is_passed_on_refuses_no_delivery(
    tmp_path: Path, database_url: str, kept: bool
) -> None:
    answers: list[tuple[int, int]] = []
    enough = asyncio.Event()
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        port = listener.getsockname()[1]

        async def deliver(first: int) -> None:
            """Each on a connection of its own, as who sends but now and then has, or on one that is kept."""
            number = first
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=not kept)) as http:
                while not enough.is_set():
                    url = f"http://127.0.0.1:{port}/webhooks?key={KEY}"
                    async with http.post(url, data=a_body(number)) as answer:
                        answers.append((answer.status, (await answer.json())["position"]))
                    number += SENDERS

        senders = [asyncio.create_task(deliver(first)) for first in range(1, SENDERS + 1)]
        settings = {
            "RECOUNT_DATA_DIR": str(tmp_path / "data"),
            "RECOUNT_PORT": str(port),
            "RECOUNT_DATABASE_URL": database_url,
            "RECOUNT_WEBHOOK_KEYS": KEY,
        }
        service = await _started(listener, RECOUNT, "serve", settings=settings)
        try:
            await eventually(lambda: len(answers) > 50, 60)
            service.send_signal(signal.SIGTERM)
            await service.communicate()
            before = len(answers)
            service = await _started(listener, RECOUNT, "serve", settings=settings)
            await eventually(lambda: len(answers) > before + 50, 60)
            enough.set()
            await asyncio.gather(*senders)
            service.send_signal(signal.SIGTERM)
            await service.communicate()
        finally:
            with suppress(ProcessLookupError):
                service.kill()  # whoever is refused ends the test before the service

    assert {status for status, _ in answers} == {200}
    assert sorted(position for _, position in answers) == list(range(1, len(answers) + 1))


async def test_a_socket_of_another_address_than_the_settings_say_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port, other = listener.getsockname()[1], free_port()

        async def said(host: str, port: int, passed: int = 1) -> str:
            process = await _started(listener, sys.executable, "-c", BIND, host, str(port), passed=passed)
            return (await process.communicate())[0].decode().strip()

        assert await said("localhost", port) == str(port)
        assert await said("127.0.0.1", other) == (
            f"systemd passes 127.0.0.1:{port}, the settings say 127.0.0.1:{other}; give its unit one "
            f"ListenStream=127.0.0.1:{other}, or set RECOUNT_HOST and RECOUNT_PORT to what it has"
        )
        twice = f"systemd passes 127.0.0.1:{port} and 127.0.0.1:{port}, the settings say 127.0.0.1:{port};"
        assert (await said("127.0.0.1", port, 2)).startswith(twice)


def _hello() -> web.Application:
    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    application = web.Application()
    application.router.add_get("/", hello)
    return application


@pytest.mark.parametrize("begun", [b"", b"GET / HT"])
async def test_whoever_was_accepted_before_a_stop_is_heard_and_answered(begun: bytes) -> None:
    runner = Runner(_hello(), unheard_seconds=60)
    await runner.setup()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        await web.SockSite(runner, listener).start()
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        server = runner.server
        assert server is not None
        await eventually(lambda: len(server.connections) == 1)
        [connection] = server.connections
        assert isinstance(connection, _ShortConnection)
        writer.write(begun)
        await eventually(lambda: bool(begun) == (connection._head_deadline is not None))

        stopping = asyncio.create_task(runner.cleanup())
        await eventually(lambda: not runner.sites)
        writer.write(REQUEST.removeprefix(begun))

        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        await stopping
        writer.close()


def test_whoever_is_accepted_in_the_very_turn_of_a_stop_is_answered() -> None:
    async def answer() -> bytes:
        runner = Runner(_hello(), unheard_seconds=60)
        await runner.setup()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            await web.SockSite(runner, listener).start()
            with socket.create_connection(listener.getsockname(), timeout=60) as client:
                await asyncio.sleep(0)  # the loop accepts, and tells of it once we have gone on
                asyncio.get_running_loop().call_later(0.1, client.sendall, REQUEST)
                await runner.cleanup()
                return client.recv(1_024)

    assert uvloop.run(answer()).startswith(b"HTTP/1.1 200 ")


async def test_at_a_stop_who_sends_one_request_after_another_is_told_which_answer_is_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.web.runner.LATELY_SECONDS", 60)
    runner = Runner(_hello(), unheard_seconds=60)
    await runner.setup()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        await web.SockSite(runner, listener).start()
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(REQUEST)
        before = await reader.readuntil(b"hello")

        stopping = asyncio.create_task(runner.cleanup())
        await eventually(lambda: not runner.sites)
        writer.write(REQUEST)
        after = await reader.read()
        await stopping
        writer.close()

    assert b"Connection: close" not in before
    assert after.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nConnection: close\r\n" in after
