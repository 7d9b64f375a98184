"""How ours grows: one log of one board, made longer from 10^5 to 5·10^6 events, and what it does then.

At 10^5, 10^6 and 5·10^6 events: ingest, rebuild, questions now and as of the past, disk a row, memory. On
the way, where the promises are made: rebuilds of 2·10^6 events, and reads of the past at 10^6 and 2·10^6.
From 10^6 on the board keeps its 10,000 items and only its history grows: what costs more then, costs more
because of the log's length. Over HTTP it is `recount serve` on one core, asked by one client.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Final, NamedTuple

import asyncpg

from bench import asof
from bench.board import PRODUCT, deliveries
from bench.harness import Options, Report, Samples, main, say, seconds_of
from bench.load import ask, closed_loop, post
from bench.long_log import SETTINGS, LongLog
from bench.ours import projected, recount
from bench.processes import memory_mib
from bench.rebuild import compare, peak_memory, rebuilt, report_growth
from bench.throwaway import bench_postgres, database, settled


class Length(NamedTuple):
    """How long the log is, and what is measured then."""

    events: int
    rebuilds: int = 0  # of everything; where none, everything is compared with a part
    grows: bool = True
    looks_back: bool = False


LENGTHS: Final = (
    Length(100_000, rebuilds=5),
    Length(1_000_000, rebuilds=2, looks_back=True),
    Length(2_000_000, grows=False, looks_back=True),
    Length(5_000_000, rebuilds=1),
)
QUICK_LENGTHS: Final = (
    Length(5_000, rebuilds=1, looks_back=True),
    Length(30_000, grows=False, looks_back=True),
    Length(60_000, rebuilds=1),
)

Measured = dict[tuple[str, str], list[float]]

_BYTES: Final = """
select sum(pg_total_relation_size(c.oid)) filter (where n.nspname = 'log') as log,
       sum(pg_total_relation_size(c.oid)) filter (where n.nspname = 'read_model') as read_model
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'm')
"""
_MOST_VOTED: Final = "{ items(first: 1, orderBy: {field: VOTES, direction: DESC}) { nodes { sleekplanId } } }"


async def bench(options: Options, report: Report) -> None:
    """Take every measurement at every length."""
    lines: dict[str, list[tuple[float, float]]] = {}
    rebuilds: dict[int, Sequence[float]] = {}
    past: dict[int, dict[str, list[float]]] = {}
    async with bench_postgres(SETTINGS) as postgres:
        dsn = await database(postgres, "growth")
        log = LongLog(dsn)
        for length in QUICK_LENGTHS if options.quick else LENGTHS:
            events = length.events
            say(f"{events:,} events: filled in {await seconds_of(log.grow(events)):.0f} s")
            measured: Measured = {}
            if length.rebuilds:
                async with peak_memory(postgres.pid or 0) as peak:
                    seconds = [await rebuilt(dsn) for _ in range(length.rebuilds)]
                rebuilds[events] = tuple(events / each for each in seconds)
                measured["rebuild, everything", "events/s"] = list(rebuilds[events])
                measured["most memory that Postgres's processes held of their own", "MiB"] = [peak[0]]
            else:
                rebuilds[events] = (await compare(dsn, events, options, report)).values
            await settled(dsn)
            if length.looks_back:
                past[events] = await asof.look_back(dsn, events)
            if length.grows:
                measured |= await _disk(dsn, events)
                measured |= await _served(log, events, options)
            for (what, unit), values in measured.items():
                report.add(what, f"{events:,} events", values, unit=unit)
                lines.setdefault(f"{what}, {unit}", []).append((events, Samples(tuple(values)).median))
            if length.looks_back and len(past) > 1:
                asof.report_on(past, report)
            report.write()
    report_growth(rebuilds, report)
    for what, points in lines.items():
        report.curve("growth", what, points, x="events in the log", y=what)


async def _served(log: LongLog, events: int, options: Options) -> Measured:
    """Ask the service, then deliver to it: what is delivered stays in the log."""
    measured: Measured = {}
    async with recount(log.dsn) as service:
        for what, text in (await questions(service.port, events)).items():
            times = [await _p50_ms(service.port, text, options) for _ in range(options.runs)]
            measured[what, "ms p50"] = times
        measured["memory of the service, after the questions", "MiB"] = [memory_mib(service.pid)]
        fresh = deliveries(log.fresh(5_000))
        rates = []
        for _ in range(options.runs):
            requests = (post("/webhooks", body, headers=service.key_header) for body in fresh)
            seconds = 0.5 if options.quick else 2
            load = await closed_loop(service.port, requests, connections=64, seconds=seconds)
            rates.append(load.all_well().per_second)
            await projected(log.dsn)
        measured["ingest, 64 connections, projecting too", "events/s"] = rates
    return measured


async def questions(port: int, events: int) -> dict[str, str]:
    """Return what is asked: a list, an item, each now and as of the middle of the log."""
    _, body = await ask(port, post("/graphql", json.dumps({"query": _MOST_VOTED}).encode()))
    item = json.loads(body)["data"]["items"]["nodes"][0]["sleekplanId"]
    then = f"asOf: {{position: {events // 2}}}"
    product = f'productId: "{PRODUCT}"'
    order = "orderBy: {field: VOTES, direction: DESC}, first: 20"
    fields = "sleekplanId title status { key } votes { up down net } commentCount updatedAt"
    return {
        "20 items by votes": f"{{ items({product}, {order}) {{ nodes {{ {fields} }} }} }}",
        "20 items by votes, as of the middle of the log": (
            f"{{ items({product}, {order}, {then}) {{ nodes {{ {fields} }} }} }}"
        ),
        "one item": f'{{ item({product}, sleekplanId: "{item}") {{ {fields} }} }}',
        "one item, as of the middle of the log": (
            f'{{ item({product}, sleekplanId: "{item}", {then}) {{ {fields} }} }}'
        ),
        "its newest 100 events": (
            f'{{ item({product}, sleekplanId: "{item}")'
            " { timeline(last: 100) { nodes { position type } } } }"
        ),
    }


async def _p50_ms(port: int, text: str, options: Options) -> float:
    request = post("/graphql", json.dumps({"query": text}).encode())
    status, body = await ask(port, request)
    if status != 200 or json.loads(body).get("errors"):
        raise RuntimeError(f"{text} was answered {status} {body[:400]!r}")
    seconds = 0.2 if options.quick else 0.7
    load = await closed_loop(port, itertools.repeat(request), connections=1, seconds=seconds)
    return load.all_well().percentile_ms(0.5)


async def _disk(dsn: str, events: int) -> Measured:
    connection = await asyncpg.connect(dsn)
    try:
        row = await connection.fetchrow(_BYTES)
        assert row
    finally:
        await connection.close()
    return {
        (f"disk of the {what}", "bytes an event"): [float(row[name]) / events]
        for what, name in (("log", "log"), ("read model", "read_model"))
    }


if __name__ == "__main__":
    main("growth", bench)
