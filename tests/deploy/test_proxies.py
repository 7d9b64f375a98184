"""The proxies of deploy/, by the real programs: two instances behind each, and clients as they are."""

from __future__ import annotations

import asyncio
import io
import itertools
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from tests.given.bodies import a_body
from tests.given.folders import ROOT
from tests.given.fronts import certify, changed, frames_at_once, need, program
from tests.given.ports import free_port, free_ports
from tests.given.running import Running, running
from tests.given.waiting import eventually

KEY, TOKEN = "key-of-a-test", "token-of-a-test"
LIVE = "subscription { events(after: 0) { position } }"
INSTANCES = ("127.0.0.1:8081", "127.0.0.1:8082")


class Front(NamedTuple):
    """A proxy that runs: its address, where its logs are, and the instances behind it."""

    address: str
    folder: Path
    instances: list[Running]

    def deliver(
        self, session: aiohttp.ClientSession, body: bytes | io.BytesIO
    ) -> aiohttp.client._RequestContextManager:
        """Post a body as Sleekplan would."""
        return session.post(f"{self.address}/webhooks?key={KEY}", data=body)


def _nginx(folder: Path, port: int, changes: dict[str, str]) -> tuple[list[str], str]:
    """Write what nginx needs, and return its command and its address."""
    certify(folder)
    changes |= {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/ssl/board.example.com": str(folder),
        "/var/log/nginx/recount.log": str(folder / "access.log"),
    }
    (folder / "recount.conf").write_text(changed(ROOT / "deploy/nginx/recount.conf", changes))
    kept = " ".join(
        f"{name}_temp_path {folder / name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""  # who may read the test's folder
    (folder / "nginx.conf").write_text(
        f"daemon off; {user} pid {folder / 'nginx.pid'}; error_log stderr; worker_processes 1;\n"
        f"events {{}}\nhttp {{ {kept} include {folder / 'recount.conf'}; }}\n"
    )
    command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    subprocess.run([*command, "-t"], check=True, capture_output=True)
    return command, f"https://127.0.0.1:{port}"


def _caddy(folder: Path, port: int, changes: dict[str, str]) -> tuple[list[str], str]:
    """Write what Caddy needs, and return its command and its address; certificates are its own business."""
    changes |= {
        "\n{\n": "\n{\n\tadmin off\n",
        "\nboard.example.com {": f"\nhttp://board.example.com:{port} {{\n\tbind 127.0.0.1",
    }
    (folder / "Caddyfile").write_text(changed(ROOT / "deploy/caddy/Caddyfile", changes))
    return ["caddy", "run", "--config", str(folder / "Caddyfile")], f"http://127.0.0.1:{port}"


PROXIES: dict[str, Callable[[Path, int, dict[str, str]], tuple[list[str], str]]] = {
    "nginx": _nginx,
    "caddy": _caddy,
}


@asynccontextmanager
async def _proxy(name: str, folder: Path, instances: list[Running]) -> AsyncIterator[Front]:
    port = free_port()
    served = [instance.address.removeprefix("http://") for instance in instances]
    command, address = PROXIES[name](folder, port, dict(zip(INSTANCES, served, strict=True)))
    async with program(command, port, folder):
        yield Front(address, folder, instances)


def _environment(database_url: str, stop_delay: str = "0") -> dict[str, str]:
    return {
        "RECOUNT_STOP_DELAY_SECONDS": stop_delay,
        "RECOUNT_DATABASE_URL": database_url,
        "RECOUNT_WEBHOOK_KEYS": KEY,
        "RECOUNT_API_TOKENS": TOKEN,
    }


@pytest.fixture(params=PROXIES)
async def front(request: pytest.FixtureRequest, tmp_path: Path, database_url: str) -> AsyncIterator[Front]:
    """Two instances behind a proxy; "caddy 4" has those take four seconds to stop."""
    proxy, _, stop_delay = request.param.partition(" ")
    need(proxy)
    settings = _environment(database_url, stop_delay or "0")
    tmp_path.chmod(0o755)
    async with AsyncExitStack() as stack:
        instances = [
            await stack.enter_async_context(running(tmp_path / name, env=settings, port=port))
            for name, port in zip(("one", "two"), free_ports(2), strict=True)
        ]
        yield await stack.enter_async_context(_proxy(proxy, tmp_path, instances))


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that knows the board by its name, whoever signed its certificate."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=False), headers={"Host": "board.example.com"}
    ) as opened:
        yield opened


async def test_deliveries_and_questions_pass_and_no_log_has_the_key(front: Front, session) -> None:
    async with front.deliver(session, a_body(1)) as answer:
        assert answer.status == 200, await answer.text()

    asked = {"query": "{ projections { name } }"}
    async with session.post(f"{front.address}/graphql", json=asked) as answer:
        assert answer.status == 401, await answer.text()
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    async with session.post(f"{front.address}/graphql", json=asked, headers=bearer) as answer:
        assert (await answer.json())["data"]["projections"]

    # Also what goes wrong is logged without it.
    for instance in front.instances:
        await instance.stop(signal.SIGKILL)
    async with front.deliver(session, a_body(2)) as answer:
        assert answer.status == 502

    said = "".join(file.read_text() for file in front.folder.iterdir() if file.name in ("access.log", "said"))
    assert "/webhooks" in said
    assert "/graphql" in said
    assert KEY not in said
    assert TOKEN not in said


async def test_frames_of_sockets_and_event_streams_pass_at_once(front: Front, session) -> None:
    positions = []

    async def deliver() -> None:
        async with front.deliver(session, a_body(1)) as answer:
            positions.append((await answer.json())["position"])

    frames = await frames_at_once(session, f"{front.address}/graphql", TOKEN, LIVE, deliver)

    assert [frame["position"] for frame in frames] == positions * 2


async def test_what_is_not_for_the_world_is_not_there(front: Front, session) -> None:
    for path in ("/metrics", "/livez", "/readyz"):
        async with session.get(f"{front.address}{path}") as answer:
            assert answer.status == 404, path


async def test_recount_itself_says_what_is_too_large(front: Front, session) -> None:
    async with front.deliver(session, io.BytesIO(b"x" * (1024 * 1024 + 1))) as answer:
        assert answer.status == 413
        assert "RECOUNT_BODY_BYTES_MAX" in await answer.text()


async def _restarted(
    front: Front, session: aiohttp.ClientSession, database_url: str, number: int
) -> list[int]:
    """Restart the first instance, by this signal, while eight deliver; return what these were answered."""
    statuses: list[int] = []
    numbers = itertools.count(1)
    enough = asyncio.Event()

    async def post_all() -> None:
        while not enough.is_set():
            async with front.deliver(session, a_body(next(numbers))) as answer:
                statuses.append(answer.status)

    senders = [asyncio.create_task(post_all()) for _ in range(8)]
    await eventually(lambda: len(statuses) > 50)
    first = front.instances[0]
    port = int(first.address.rpartition(":")[2])
    await first.stop(number)
    async with running(first.data_dir, env=_environment(database_url), port=port) as again:
        # It takes deliveries again: the proxy sends it some, or would.
        status, _ = await again.post(a_body(1), KEY)
        assert status == 200
        enough.set()
        await asyncio.gather(*senders)
    return statuses


@pytest.mark.parametrize("front", ["nginx", "caddy 4"], indirect=True)
async def test_no_delivery_is_refused_while_an_instance_is_restarted(
    front: Front, session, database_url: str, pool
) -> None:
    statuses = await _restarted(front, session, database_url, signal.SIGTERM)
    await front.instances[1].stop(signal.SIGKILL)  # it need not be waited for

    assert set(statuses) == {200}
    assert await pool.fetchval("select count(*) from log.events") == len(statuses)


@pytest.mark.parametrize("front", ["nginx"], indirect=True)  # Caddy keeps no body to send again
async def test_no_delivery_is_refused_while_an_instance_is_killed_and_started_again(
    front: Front, session, database_url: str, pool
) -> None:
    statuses = await _restarted(front, session, database_url, signal.SIGKILL)

    assert set(statuses) == {200}
    assert await pool.fetchval("select count(*) from log.events") == len(statuses)
