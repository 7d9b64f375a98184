"""Every setting changes what the service does: each is tried on a service that runs, left out and given.

Who adds a setting adds what shows its effect to PROOFS.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import asyncpg
import pytest
from aiohttp import web
from pydantic import SecretStr

from projections.read_model import tables
from service.config import Settings, load_settings, variable
from service.errors import DatabaseReadsOnly
from service.log.event_store import EventStore, RestoredEvent
from service.process import in_background
from service.sleekplan.client import sleekplan
from service.sleekplan.pace import Pace
from tests.given.asking import a_pool, new_database
from tests.given.bodies import a_body, an_event
from tests.given.fake_board import TINY, a_fake
from tests.given.ports import free_ports
from tests.given.proxy import proxy_before
from tests.given.receiver import a_file, a_rule, receiving
from tests.given.replica import a_primary, a_replica
from tests.given.running import recount, running
from tests.given.serving import GRAPHQL, Started, serving
from tests.given.waiting import eventually

ORIGIN = "https://board.example.com"
API_KEY = "key-of-a-made-up-sleekplan"
FOLLOW = {"query": "subscription { events { position } }"}


@dataclass
class Trial:
    """One try: the settings to start with, a database and a folder of its own."""

    settings: dict[str, str]
    url: str
    folder: Path
    given: bool

    @property
    def patience_seconds(self) -> float:
        """How long to wait for what only happens with the setting: without it that is waited for in vain."""
        return 60 if self.given else 3

    def started(self, **settings: str) -> AbstractAsyncContextManager[Started]:
        """Run the service until the block ends."""
        return serving(self.settings | settings)


@dataclass
class Proof:
    """What can be seen of a service without a setting, and what with this value of it."""

    value: str | Callable[[Trial], str]
    seen: Callable[[Trial], Awaitable[Any]]
    without: Any
    given: Any
    beside: dict[str, str] = field(default_factory=dict)
    """What both services are started with besides."""


# What can be seen


async def where_the_log_is(trial: Trial) -> str:
    async with trial.started() as started:
        return started.service.ready(is_demo=False).database


async def what_is_read(trial: Trial) -> list[str]:
    async with trial.started() as started:
        replicas = started.service.replicas.all
        while any(each.found.state == "UNKNOWN" for each in replicas):
            await started.ask("{ events { totalCount } }")
        return [each.found.state for each in replicas]


async def how_a_database_two_days_behind_is_found(trial: Trial) -> str:
    """What is read is a copy of the database from before it was told what is two days old."""
    there = urlsplit(trial.url)
    name = there.path.removeprefix("/")
    owner = await asyncpg.connect(urlunsplit(there._replace(path="/postgres")))
    await owner.execute(f'create database "{name}_copy" template "{name}"')
    await record_two_days_ago(trial)
    copy = urlunsplit(there._replace(path=f"/{name}_copy"))
    async with trial.started(read_url=copy) as started:
        await started.service.counted(lambda _done, _total: None)
        [replica] = started.service.replicas.all
        while replica.found.lag_seconds == 0:
            await started.ask("{ events { totalCount } }")
    await owner.execute(f'drop database "{name}_copy" with (force)')
    await owner.close()
    return replica.found.state


async def whether_it_starts_on_a_replica(trial: Trial) -> bool:
    async with a_primary() as primary, a_replica(primary) as replica:
        try:
            async with trial.started(database_url=replica.dsn) as started:
                return started.service.away
        except DatabaseReadsOnly:
            return False


async def most_connections(trial: Trial) -> int:
    async with trial.started() as started:
        return started.service.pool.get_max_size()


async def where_the_data_is(trial: Trial) -> list[str]:
    async with trial.started():
        return [folder.parent.name for folder in trial.folder.glob("*/spool")]


async def what_it_listens_on(trial: Trial) -> str:
    async with trial.started() as started:
        return str(started.listener.getsockname()[0])


async def whether_it_has_the_port(trial: Trial) -> bool:
    async with trial.started() as started:
        return started.service.address.endswith(f":{PORT}")


async def what_readyz_answers_a_second_after_the_stop(trial: Trial) -> int | None:
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()

    async def serve() -> None:
        async with trial.started() as started:
            address.set_result(started.service.address)
            await stop.wait()

    async with in_background(serve()) as task, aiohttp.ClientSession(await address) as session:

        async def status() -> int | None:
            try:
                async with session.get("/readyz") as answer:
                    return answer.status
            except aiohttp.ClientConnectionError:
                return None

        async def has_heard_of_the_stop() -> bool:
            return await status() != 200

        stop.set()
        await asyncio.wait({task}, timeout=1 if trial.given else 60)
        await eventually(has_heard_of_the_stop)
        return await status()


async def status_for_another_key(trial: Trial) -> int:
    async with trial.started() as started:
        return (await started.post(a_body(), key="another"))[0]


async def status_without_a_token(trial: Trial) -> int:
    async with (
        trial.started() as started,
        started.session.post(GRAPHQL, json={"query": "{ __typename }"}) as it,
    ):
        return it.status


async def label_of_planned(trial: Trial) -> str:
    async with trial.started() as started:
        await started.post(a_body(data={"feedback_id": 1, "title": "Dark mode", "status": "planned"}))
        answer = await started.ask("{ items(minPosition: 1) { nodes { status { label } } } }")
        return str(answer["data"]["items"]["nodes"][0]["status"]["label"])


async def where_an_item_is(trial: Trial) -> str | None:
    async with trial.started() as started:
        await started.post(a_body())
        answer = await started.ask("{ items(minPosition: 1) { nodes { url } } }")
        url: str | None = answer["data"]["items"]["nodes"][0]["url"]
        return url


async def status_for_whom_a_proxy_lets_in(trial: Trial) -> int:
    said = {"X-Forwarded-User": "ada", "X-Forwarded-Groups": "staff"}
    async with (
        trial.started() as started,
        started.session.post(GRAPHQL, json={"query": "{ __typename }"}, headers=said) as it,
    ):
        return it.status


async def whether_a_reaction_is_told(trial: Trial) -> int:
    async with receiving() as receiver:
        (trial.folder / "all.url").write_text(receiver.url)
        async with trial.started() as started:
            states = "select count(*) from log.reactions"
            with contextlib.suppress(TimeoutError):
                await eventually(lambda: started.service.pool.fetchval(states), trial.patience_seconds)
                await started.post(a_body())
                await receiver.has(1)
        return len(receiver.taken)


async def status_for_a_long_body(trial: Trial) -> int:
    async with trial.started() as started:
        return (await started.post(a_body(data={"feedback_id": 1, "title": "x" * 1_000})))[0]


async def status_while_postgres_is_away(trial: Trial) -> int:
    async with proxy_before(trial.url) as (proxy, through), trial.started(database_url=through) as started:
        proxy.refuses = True
        proxy.cut()
        return (await started.post(a_body(data={"feedback_id": 1, "title": "x" * 1_000})))[0]


@asynccontextmanager
async def nothing_is_appended(trial: Trial, started: Started) -> AsyncIterator[None]:
    """Hold the log's lock, with one delivery before it, until the block ends."""
    owner = await asyncpg.connect(trial.url)
    waits = "select count(*) from pg_locks where not granted"
    async with owner.transaction():
        await owner.execute("select 1 from log.head for update")
        first = asyncio.create_task(started.post(a_body(1)))
        await eventually(lambda: owner.fetchval(waits))
        yield
    await first
    await owner.close()


async def whether_four_fill_the_queue(trial: Trial) -> bool:
    async with trial.started() as started:
        appender = started.service.appender
        posts = []
        async with nothing_is_appended(trial, started):
            posts += [asyncio.create_task(started.post(a_body(number))) for number in (2, 3, 4, 5)]
            await eventually(lambda: appender.full or appender.waiting == 4)
            full = appender.full
        await asyncio.gather(*posts)
        return full


async def batches_of_one_and_two(trial: Trial) -> float:
    async with trial.started() as started:
        posts = []
        async with nothing_is_appended(trial, started):
            posts += [asyncio.create_task(started.post(a_body(number))) for number in (2, 3)]
            await eventually(lambda: started.service.appender.waiting == 2)
        await asyncio.gather(*posts)
        return await started.metric("recount_append_batch_events_count")


async def whether_an_untimed_body_is_a_duplicate(trial: Trial) -> bool:
    async with trial.started() as started:
        await started.post(a_body(timestamp=None))
        return bool((await started.post(a_body(timestamp=None)))[1]["duplicate"])


async def a_slow_post(started: Started, size: int = 10) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send the head of a delivery, and return once its body is waited for."""
    reader, writer = await asyncio.open_connection(*started.listener.getsockname())
    head = "POST /webhooks HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Secret: key\r\nExpect: 100-continue\r\n"
    writer.write(f"{head}Content-Length: {size}\r\n\r\n".encode())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
    return reader, writer


async def whether_it_waits_for_a_body(trial: Trial) -> bool:
    async with trial.started() as started:
        reader, writer = await a_slow_post(started)
        try:
            async with asyncio.timeout(trial.patience_seconds):
                return b" 408 " not in await reader.readline()
        except TimeoutError:
            return True
        finally:
            writer.close()


async def which_of_two_slow_bodies_is_answered_first(trial: Trial) -> str:
    trial.settings["read_deadline_seconds"] = "1" if trial.given else "60"
    async with trial.started() as started:
        never, never_writer = await a_slow_post(started)
        soon, soon_writer = await a_slow_post(started, len(a_body()))
        soon_writer.write(a_body())
        answered = []

        async def wait_for(reader: asyncio.StreamReader, name: str) -> None:
            await reader.readline()
            answered.append(name)

        answers = [asyncio.create_task(wait_for(*each)) for each in ((never, "never"), (soon, "soon"))]
        await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
        never_writer.close()
        soon_writer.close()
        await asyncio.gather(*answers)
        return answered[0]


async def code_of_an_ordinary_query(trial: Trial) -> str | None:
    async with trial.started() as started:
        answer = await started.ask("{ items(first: 50) { nodes { title } } }")
        return str(answer["errors"][0]["extensions"]["code"]) if "errors" in answer else None


async def whether_a_fault_is_told(trial: Trial) -> bool:
    async with trial.started() as started:
        items = (await tables(started.service.pool)).names["items"]
        await started.service.pool.execute(f"alter table {items} rename column title to lost")
        return "does not exist" in str(await started.ask("{ items { nodes { title } } }"))


async def whom_it_lets_in(trial: Trial) -> str | None:
    asks = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    async with trial.started() as started, started.session.options(GRAPHQL, headers=asks) as answer:
        return answer.headers.get("Access-Control-Allow-Origin")


async def status_of_the_second_socket(trial: Trial) -> int:
    async with trial.started() as started, started.socket():
        try:
            async with started.socket():
                return 101
        except aiohttp.WSServerHandshakeError as refused:
            return refused.status


async def whether_a_socket_has_two_operations(trial: Trial) -> bool:
    async with trial.started() as started, started.socket() as socket:
        return await _both_run(socket, socket)


async def whether_an_address_has_two_operations(trial: Trial) -> bool:
    async with trial.started() as started, started.socket() as one, started.socket() as other:
        return await _both_run(one, other)


async def _both_run(one: aiohttp.ClientWebSocketResponse, other: aiohttp.ClientWebSocketResponse) -> bool:
    await one.send_json({"id": "1", "type": "subscribe", "payload": FOLLOW})
    await one.send_json({"type": "ping"})
    assert (await one.receive_json())["type"] == "pong"
    await other.send_json({"id": "2", "type": "subscribe", "payload": FOLLOW})
    await other.send_json({"type": "ping"})
    return bool((await other.receive_json())["type"] == "pong")  # else an error comes first


async def record_two_days_ago(trial: Trial) -> None:
    recorded = datetime.now(UTC) - timedelta(days=2)
    events = [
        RestoredEvent(
            number, *event[:6], recorded, event.origin, event.digest, event.body, None, None, 0, None
        )
        for number in range(1, 401)
        for event in [an_event(number)._replace(occurred_at=recorded)]
    ]
    async with a_pool(trial.url) as pool:
        store = EventStore(pool)
        await store.restore(events)
        await store.close()


async def whether_two_days_are_too_silent(trial: Trial) -> float:
    await record_two_days_ago(trial)
    async with trial.started() as started:
        await started.service.counted(lambda _done, _total: None)
        return await started.metric("recount_silence_alarm{")


async def whether_who_was_deleted_is_erased(trial: Trial) -> bool:
    user = {"user_id": 5, "data_name": "Ada", "data_mail": "ada@example.com"}
    at = datetime.now(UTC) - timedelta(minutes=1)
    said = {"data": user, "timestamp": int(at.timestamp())}
    async with a_pool(trial.url) as pool:
        store = EventStore(pool)
        await store.append([an_event(0, at, action=f"user.{verb}", **said) for verb in ("create", "delete")])
        await store.close()
        async with trial.started() as started:
            await started.service.counted(lambda _done, _total: None)
            with contextlib.suppress(TimeoutError):
                erased = "select count(*) from log.events where erased_at is not null"
                await eventually(lambda: pool.fetchval(erased), trial.patience_seconds)
                return True
            return False


async def how_it_logs(trial: Trial) -> dict[str, bool]:
    async with running(
        trial.folder / "own", env={variable(name): value for name, value in trial.settings.items()}
    ) as service:
        pass
    lines = service.said.splitlines()
    told = [line for line in lines if "stopping" in line]
    return {"told": bool(told), "as JSON": any(_is_json(line) for line in told)}


async def dry_run(trial: Trial) -> dict[str, Any]:
    """What `recount backfill --dry-run` says of a made-up board; nothing where it refuses to begin."""
    fake = a_fake(key=API_KEY)
    async with fake.serving() as address:
        given = {"sleekplan_api_url": address, "sleekplan_api_key": API_KEY} | trial.settings
        env = {variable(name): value for name, value in given.items() if value}
        ended = await recount("backfill", "--dry-run", "--json", "--product", "7", env=env)
    return dict(json.loads(ended.stdout)) if ended.returncode == 0 else {}


async def whether_the_board_is_asked_for(trial: Trial) -> bool:
    trial.settings.setdefault("sleekplan_api_key", "")
    return bool(await dry_run(trial))


async def requests_a_second(trial: Trial) -> int:
    told = await dry_run(trial)
    return round(float(told["requests"] / told["seconds"]))


async def hours_from_a_date_to_its_event(trial: Trial) -> float:
    """How far the date inside an item is from when the log has it created."""
    fake = a_fake(TINY, key=API_KEY)
    async with fake.serving() as address:
        given = {"sleekplan_api_url": address, "sleekplan_api_key": API_KEY, "sleekplan_rate": "100"}
        env = {variable(name): value for name, value in (given | trial.settings).items()}
        ended = await recount("backfill", "--only", "posts", "--product", "7", env=env)
    assert ended.returncode == 0, ended.stderr
    async with a_pool(trial.url) as pool:
        apart = (
            "select extract(epoch from occurred_at at time zone 'UTC' - (data ->> 'created')::timestamp)"
            " / 3600 from log.events where action = 'item.create' limit 1"
        )
        return float(await pool.fetchval(apart))


async def how_it_compared_by_itself(trial: Trial) -> str:
    """How the service compared a made-up board once it had started."""
    fake = a_fake(TINY, key=API_KEY)
    async with a_pool(trial.url) as pool, fake.serving() as address:
        store = EventStore(pool)
        await store.append([an_event()])
        await store.close()
        trial.settings |= {
            "sleekplan_api_url": address,
            "sleekplan_api_key": API_KEY,
            "sleekplan_rate": "100",
        }
        async with trial.started():
            begun = "select asked ->> 'full' from log.sweeps where kind = 'RECONCILE'"
            with contextlib.suppress(TimeoutError):
                waits = 60 if "reconcile_every_hours" in trial.settings else 3
                await eventually(lambda: pool.fetchval(begun), waits)
                return "full" if await pool.fetchval(begun) == "true" else "light"
            return "not at all"


async def where_sleekplan_is(trial: Trial) -> str:
    settings = load_settings({variable(name): value for name, value in trial.settings.items()})
    async with sleekplan(settings.sleekplan_api_url, SecretStr(API_KEY), Pace(1)) as client:
        return client.address


def _is_json(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def reactions(trial: Trial) -> str:
    return str(a_file(trial.folder, a_rule(trial.folder, "http://127.0.0.1:1/")))


def labels(trial: Trial) -> str:
    file = trial.folder / "labels.toml"
    file.write_text('[status]\nplanned = "Next up"\n')
    return str(file)


PORT, COLLECTOR = free_ports(2)


async def told_to_a_collector(trial: Trial) -> list[str]:
    paths: list[str] = []

    async def take(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.Response(content_type="application/x-protobuf")

    application = web.Application()
    application.router.add_post("/{path:.*}", take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", COLLECTOR).start()
    async with trial.started() as started:
        await started.post(a_body(1))
        await started.ask("{ events(minPosition: 1) { totalCount } }")
    await runner.cleanup()
    return sorted(set(paths))


PROOFS: dict[str, Proof] = {
    "database_url": Proof(
        lambda trial: trial.url, where_the_log_is, "embedded Postgres", "the Postgres of RECOUNT_DATABASE_URL"
    ),
    "read_url": Proof(lambda trial: trial.url, what_is_read, [], ["WELL"]),
    "read_lag_seconds_max": Proof("1000000", how_a_database_two_days_behind_is_found, "BEHIND", "WELL"),
    "stand_by": Proof("true", whether_it_starts_on_a_replica, False, True),
    "connections_max": Proof("8", most_connections, 12, 8),
    "data_dir": Proof(
        lambda trial: str(trial.folder / "elsewhere"), where_the_data_is, [".recount"], ["elsewhere"]
    ),
    "host": Proof("0.0.0.0", what_it_listens_on, "127.0.0.1", "0.0.0.0", {"api_tokens": "token"}),
    "port": Proof(str(PORT), whether_it_has_the_port, False, True),
    "webhook_keys": Proof("key,another", status_for_another_key, 401, 200),
    "api_tokens": Proof("token", status_without_a_token, 200, 401),
    "trusted_proxy": Proof("127.0.0.1", status_for_whom_a_proxy_lets_in, 401, 200, {"api_tokens": "token"}),
    "trusted_proxy_user": Proof(
        "Remote-User", status_for_whom_a_proxy_lets_in, 200, 401, {"trusted_proxy": "127.0.0.1"}
    ),
    "trusted_proxy_groups": Proof(
        "Remote-Groups",
        status_for_whom_a_proxy_lets_in,
        200,
        401,
        {"trusted_proxy": "127.0.0.1", "trusted_proxy_scopes": "staff:read"},
    ),
    "trusted_proxy_scopes": Proof(
        "nobody:read", status_for_whom_a_proxy_lets_in, 200, 401, {"trusted_proxy": "127.0.0.1"}
    ),
    "labels": Proof(labels, label_of_planned, "Planned", "Next up"),
    "board_url": Proof(
        "https://board.example.com", where_an_item_is, None, "https://board.example.com/feedback/1"
    ),
    "reactions": Proof(reactions, whether_a_reaction_is_told, 0, 1),
    "body_bytes_max": Proof("1000", status_for_a_long_body, 200, 413),
    "spool_bytes_max": Proof("1000", status_while_postgres_is_away, 200, 503),
    "append_queue_max": Proof("1", whether_four_fill_the_queue, False, True),
    "append_batch_max": Proof("1", batches_of_one_and_two, 2, 3),
    "untimed_window_seconds": Proof("0", whether_an_untimed_body_is_a_duplicate, True, False),
    "read_deadline_seconds": Proof("0.2", whether_it_waits_for_a_body, True, False),
    "stop_delay_seconds": Proof("60", what_readyz_answers_a_second_after_the_stop, None, 503),
    "bodies_in_flight_max": Proof("1", which_of_two_slow_bodies_is_answered_first, "soon", "never"),
    "graphql_cost_max": Proof("10", code_of_an_ordinary_query, None, "COST_EXCEEDED"),
    "graphql_debug": Proof("true", whether_a_fault_is_told, False, True),
    "allowed_origins": Proof(ORIGIN, whom_it_lets_in, None, ORIGIN),
    "sockets_max": Proof("1", status_of_the_second_socket, 101, 503),
    "operations_socket_max": Proof("1", whether_a_socket_has_two_operations, True, False),
    "operations_address_max": Proof("1", whether_an_address_has_two_operations, True, False),
    "silent_after_days": Proof("1", whether_two_days_are_too_silent, 0, 1),
    "erase_after_user_delete_days": Proof("0", whether_who_was_deleted_is_erased, False, True),
    "sleekplan_api_key": Proof(API_KEY, whether_the_board_is_asked_for, False, True),
    "sleekplan_api_url": Proof(
        "http://127.0.0.1:1/v1/",
        where_sleekplan_is,
        "https://api.sleekplan.com/v1",
        "http://127.0.0.1:1/v1",
    ),
    "sleekplan_timezone": Proof("Etc/GMT+3", hours_from_a_date_to_its_event, 0, 3),
    "reconcile_every_hours": Proof("24", how_it_compared_by_itself, "not at all", "full"),
    "reconcile_full_every_days": Proof(
        "never", how_it_compared_by_itself, "full", "light", {"reconcile_every_hours": "24"}
    ),
    "sleekplan_rate": Proof("20", requests_a_second, 2, 20),
    "traces_url": Proof(f"http://127.0.0.1:{COLLECTOR}/v1/traces", told_to_a_collector, [], ["/v1/traces"]),
    "log_format": Proof(
        "text", how_it_logs, {"told": True, "as JSON": True}, {"told": True, "as JSON": False}
    ),
    "log_level": Proof(
        "warning", how_it_logs, {"told": True, "as JSON": True}, {"told": False, "as JSON": False}
    ),
}


@pytest.mark.parametrize("name", Settings.model_fields)
async def test_each_setting_changes_what_the_service_does(
    name: str, server_url: str, template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proof = PROOFS[name]
    monkeypatch.setattr("service.app.IN_FLIGHT_SECONDS", 0.1)  # what is still open then has been seen
    seen = []
    for given in (False, True):
        folder = tmp_path / ("given" if given else "without")
        folder.mkdir()
        monkeypatch.chdir(folder)
        async with new_database(server_url, template) as url:
            trial = Trial(
                {"database_url": url, "port": "0", "webhook_keys": "key"} | proof.beside, url, folder, given
            )
            trial.settings.pop(name if name != "port" else "", None)
            if given:
                trial.settings[name] = proof.value if isinstance(proof.value, str) else proof.value(trial)
            seen.append(await proof.seen(trial))

    assert seen == [proof.without, proof.given]


def test_no_setting_is_proven_that_there_is_not() -> None:
    assert sorted(PROOFS) == sorted(Settings.model_fields)
