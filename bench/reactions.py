"""What reactions cost: no rules, ten that have nothing to tell, and ten that tell, at 500 events a second.

Ten idle rules follow events of a kind that does not happen. Each of ten busy ones looks at every event and
tells a tenth of them: 500 signed webhooks a second in all, to a receiver in a process of its own, which takes
each. Processor time of the service and of its Postgres is counted until the last one was told. Then one rule
alone tells all that happened, as fast as its receiver takes it.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp
import asyncpg
import uvloop
from aiohttp import web

from bench.board import PRODUCT, SEED, fill_log
from bench.cores import cores
from bench.following import postgres_seconds
from bench.harness import Options, Report, Samples, main, say
from bench.load import open_loop, post
from bench.ours import Service, projected, recount
from bench.processes import processor_seconds, running
from bench.throwaway import USED_WAL, bench_postgres, database, settled, use_wal
from service.postgres.embedded import EmbeddedPostgres
from service.simulator import simulate
from tests.given.ports import free_port

RATE: Final = 500
RULES: Final = 10
CONNECTIONS: Final = 16
TOLD_SECONDS_MAX: Final = 300.0
SECRET: Final = "whsec_" + "YSBzZWNyZXQgb2YgdGhlIGJlbmNoIG9ubHksIG5vbmU="
EVENTS: Final = "subscription { events { position type summary item { title votes { net } } } }"
NOTHING: Final = 'subscription { events(filter: {actions: ["bench.never"]}) { position type summary } }'

_HEAD: Final = "select coalesce(max(position), 0) from log.events"
_BEGUN: Final = "select count(*) from log.reactions"
_NOTED: Final = "select coalesce(min(position), 0) from log.reactions"


class Side(NamedTuple):
    """Which rules there are, and how many messages they tell of so many events."""

    rules: Callable[[Path, int], list[str]]
    told: Callable[[int], int]


class Cost(NamedTuple):
    """What one run measured."""

    service_percent: float
    postgres_percent: float
    ack_p99_ms: float


def rule(folder: Path, port: int, name: str, document: str, when: str = "") -> str:
    """A rule that tells a receiver on this machine."""
    (folder / "url").write_text(f"http://127.0.0.1:{port}/")
    (folder / "secret").write_text(SECRET)
    return (
        # The made-up board has private notes, and is counted with them.
        f'[[reaction]]\nname = {name!r}\nscopes = ["read", "personal"]\ndocument = {document!r}\n{when}'
        f"webhook = {{ url_file = {str(folder / 'url')!r}, secret_file = {str(folder / 'secret')!r} }}\n"
    )


def idle_rules(folder: Path, port: int) -> list[str]:
    """Ten rules that have nothing to tell."""
    return [rule(folder, port, f"idle-{number}", NOTHING) for number in range(RULES)]


def busy_rules(folder: Path, port: int) -> list[str]:
    """Ten rules that tell a tenth of the events each."""
    return [
        rule(folder, port, f"busy-{number}", EVENTS, f'when = "events.position % {RULES} == {number}"\n')
        for number in range(RULES)
    ]


SIDES: Final = {
    "no rules": Side(lambda *_: [], lambda _: 0),
    "ten idle rules": Side(idle_rules, lambda _: 0),
    "ten busy rules, 500 messages/s": Side(busy_rules, lambda events: events),
}


async def bench(options: Options, report: Report) -> None:
    """Measure each side in turn, then how fast one rule tells what waits."""
    events, seconds = options.pick(20_000, 2_000), options.pick(30, 5)
    port = free_port()
    receiver = [sys.executable, "-m", "bench.reactions", "--receive", str(port)]
    costs: dict[str, list[Cost]] = {name: [] for name in SIDES}
    async with bench_postgres(USED_WAL) as postgres:
        template = await database(postgres, "board")
        await fill_log(template, events, items=2_000, users=5_000)
        async with recount(template, on=cores().all):
            await projected(template)
        await settled(template)
        await use_wal(postgres)
        async with running(receiver, ready=f"http://127.0.0.1:{port}/told", on=cores().load):
            for number in range(options.runs):
                for name in list(SIDES)[:: 1 if number % 2 == 0 else -1]:
                    costs[name].append(await cost(postgres, port, SIDES[name], seconds))
                    say(f"  run {number + 1} of {options.runs}: {name}: {costs[name][-1]}")
            rates = [await rate(postgres, port) for _ in range(options.runs)]
    tell(report, costs, rates, f"{RATE} events/s for {seconds} s")


def tell(report: Report, costs: dict[str, list[Cost]], rates: list[float], what: str) -> None:
    """Add what was measured."""
    for title, unit, field in (
        ("processor of the service", "% of a core", "service_percent"),
        ("processor of its Postgres", "% of a core", "postgres_percent"),
        ("acknowledged, p99", "ms", "ack_p99_ms"),
    ):
        sides = {
            name: Samples(tuple(getattr(each, field) for each in measured))
            for name, measured in costs.items()
        }
        report.compare(f"{what}: {title}", sides, unit=unit)
    report.add("one rule that tells what waits", "all events", rates, unit="messages/s")


async def cost(postgres: EmbeddedPostgres, port: int, side: Side, seconds: int) -> Cost:
    """Deliver at the rate to a service with a side's rules; return what it cost until all was told."""
    with tempfile.TemporaryDirectory(prefix="recount-bench-") as folder:
        rules = side.rules(Path(folder), port)
        dsn = await database(postgres, "reactions", template="board")
        async with recount(dsn, settings_of(Path(folder), rules), on=cores().all) as service:
            await until(dsn, _BEGUN, len(rules))
            before, told = await value(dsn, _HEAD), await received(port)
            used = processor_seconds(service.pid), postgres_seconds(postgres)
            load = await open_loop(
                service.port, requests(service, seconds), rate=RATE, connections=CONNECTIONS, seconds=seconds
            )
            load.all_well()
            await projected(dsn)
            head = await value(dsn, _HEAD)
            if rules:
                await until(dsn, _NOTED, head)
            found = await received(port) - told
            if found != side.told(head - before):
                raise RuntimeError(f"{found} were told of {head - before} events")
            return Cost(
                (processor_seconds(service.pid) - used[0]) / seconds * 100,
                (postgres_seconds(postgres) - used[1]) / seconds * 100,
                load.percentile_ms(0.99),
            )


async def rate(postgres: EmbeddedPostgres, port: int) -> float:
    """Return how many messages a second one rule tells that begins at the log's first event."""
    with tempfile.TemporaryDirectory(prefix="recount-bench-") as folder:
        rules = [rule(Path(folder), port, "all", EVENTS)]
        dsn = await database(postgres, "reactions", template="board")
        head, told = await value(dsn, _HEAD), await received(port)
        connection = await asyncpg.connect(dsn)
        await connection.execute("insert into log.reactions (name, position) values ('all', 0)")
        await connection.close()
        async with recount(dsn, settings_of(Path(folder), rules), on=cores().all):
            while await received(port) == told:
                await asyncio.sleep(0.01)
            first, began = await received(port), time.perf_counter()
            await until(dsn, _NOTED, head)
            return (await received(port) - first) / (time.perf_counter() - began)


def settings_of(folder: Path, rules: list[str]) -> dict[str, str]:
    """Return the settings of a service with these rules."""
    settings = {"RECOUNT_LOG_LEVEL": "warning"}
    if rules:
        path = folder / "reactions.toml"
        path.write_text('private_hosts = ["127.0.0.1"]\n\n' + "\n".join(rules))
        settings["RECOUNT_REACTIONS"] = str(path)
    return settings


def requests(service: Service, seconds: int) -> Iterator[bytes]:
    """Deliveries as the board goes on, other ones at each call."""
    seed = SEED + 1 + next(_TURNS)
    for body in simulate(seed=seed, events=RATE * seconds, items=2_000, users=5_000, product_id=PRODUCT):
        yield post("/webhooks", body, headers=service.key_header)


_TURNS: Final = itertools.count()


async def value(dsn: str, query: str) -> int:
    """Return a number that the database says."""
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval(query))
    finally:
        await connection.close()


async def until(dsn: str, query: str, number: int) -> None:
    """Wait until the database says a number that is as high."""
    connection = await asyncpg.connect(dsn)
    try:
        async with asyncio.timeout(TOLD_SECONDS_MAX):
            while int(await connection.fetchval(query)) < number:
                await asyncio.sleep(0.1)
    finally:
        await connection.close()


async def received(port: int) -> int:
    """Return how many messages the receiver took."""
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/told") as answer:
        return int(await answer.text())


async def receive(port: int) -> None:
    """Take each message, and say how many there were, until the process is ended."""
    taken = 0

    async def take(request: web.Request) -> web.Response:
        nonlocal taken
        await request.read()
        taken += 1
        return web.Response()

    async def tell_count(_: web.Request) -> web.Response:
        return web.Response(text=str(taken))

    application = web.Application()
    application.router.add_post("/", take)
    application.router.add_get("/told", tell_count)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--receive"]:
        uvloop.run(receive(int(sys.argv[2])))
    else:
        main("reactions", bench)
