"""A rebuild of items, votes and users beside the ways in which people write it, over the same log.

100,000 events, since the slow sides are slow. Of these a slow side takes a share in each run, and has taken
all at the end; the others take all in each. What each leaves is compared, row for row in numbers and sums,
before its time counts. Ours is measured twice: items, votes and users, which is what the others build, but
with their past; and everything. Both beside tables that go on answering, from the first event to the switch.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import asyncpg

from bench.board import fill_log
from bench.harness import Options, Report, in_turn, main, say, seconds_of
from bench.processes import output_of
from bench.rebuild import rebuilt
from bench.setup_peers import peer, peers_python
from bench.throwaway import bench_postgres, database, dsn_of, settled

EVENTS: Final = 100_000
QUICK_EVENTS: Final = 5_000
NAMES: Final = ("items", "votes", "users")
OURS: Final = "recount, items, votes and users with their past"
EVERYTHING: Final = "recount, everything with its past"
SCAN: Final = "the floor: a scan of the log reading one JSON key"
PEERS: Final = {
    "Python fold with COPY": "fold_copy",
    "upserts row by row": "upsert_rows",
    "eventsourcing's projection runner": "runner_eventsourcing",
}
SLOW: Final = ("upsert_rows", "runner_eventsourcing")
"""What costs the same for each event, however many: each run goes on where the last one ended."""

_CHECK: Final = {
    "items": """
        select count(*), sum(votes_up), sum(votes_down), sum(comments), sum(subscribers),
               count(*) filter (where deleted), sum(length(title)), sum(length(description)),
               count(distinct author_id), sum(extract(epoch from created_at)),
               sum(extract(epoch from updated_at))
          from {items}""",
    "votes": """
        select count(*), count(distinct user_id), count(distinct item_id), sum(value),
               sum(extract(epoch from cast_at)), sum(position)
          from {votes}""",
    "users": """
        select count(*), sum(length(name)), sum(length(mail)), count(img), sum(weight),
               sum(extract(epoch from created_at))
          from {users} where not deleted""",
}
"""What must be the same; of deleted users ours keeps a tombstone only."""


async def bench(options: Options, report: Report) -> None:
    """Measure ours and the others, each on a copy of one log."""
    events = options.pick(EVENTS, QUICK_EVENTS)
    python = peers_python()
    async with bench_postgres() as postgres:
        say(f"recording {events:,} events")
        dsn = await database(postgres, "log")
        await fill_log(dsn, events, items=events // 50, users=events // 20)
        await settled(dsn)
        live = await database(postgres, "ours", template="log")
        await rebuilt(live)
        await settled(live)

        def ours(names: tuple[str, ...] | None) -> Callable[[], Awaitable[float]]:
            async def once() -> float:
                return events / await rebuilt(live, names)

            return once

        async def run(file: str, count: int, *stretch: str) -> float:
            command: list[str | Path] = [python, peer(file), "--dsn", dsn_of(postgres, file), *stretch]
            said = json.loads(await output_of(command))
            if said["events"] != count:
                raise RuntimeError(f"{file} read {said['events']} events of {count}")
            return float(count / said["seconds"])

        def whole(file: str) -> Callable[[], Awaitable[float]]:
            async def once() -> float:
                await database(postgres, file, template="log")
                return await run(file, events)

            return once

        def in_shares(file: str) -> Callable[[], Awaitable[float]]:
            ends = [events * number // options.runs for number in range(options.runs + 1)]
            shares = pairwise(ends)

            async def once() -> float:
                after, last = next(shares)
                if after == 0:
                    await database(postgres, file, template="log")
                return await run(file, last - after, "--after", str(after), "--last", str(last))

            return once

        async def scan() -> float:
            return events / await seconds_of(_scan(dsn))

        rates = await in_turn(
            {OURS: ours(NAMES), EVERYTHING: ours(None), SCAN: scan}
            | {name: in_shares(file) if file in SLOW else whole(file) for name, file in PEERS.items()},
            options.runs,
        )
        await _check_equal(postgres)
        shares = f"each run {events // options.runs:,} of {events:,} events"
        notes = {name: shares for name, file in PEERS.items() if file in SLOW}
        report.compare("rebuild", rates, unit="events/s", ours=OURS, notes=notes)


async def _scan(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.fetchval("select count(data ->> 'feedback_id') from log.events")
    finally:
        await connection.close()


async def _check_equal(postgres: Any) -> None:
    """Raise unless every side left the same items, votes and users."""
    expected = await _sums(dsn_of(postgres, "ours"), ours=True)
    for name, file in PEERS.items():
        found = await _sums(dsn_of(postgres, file), ours=False)
        if found != expected:
            raise RuntimeError(f"{name} leaves other rows: {found} against ours {expected}")


async def _sums(dsn: str, *, ours: bool) -> dict[str, tuple[Any, ...]]:
    connection = await asyncpg.connect(dsn)
    try:
        names = {name: name for name in _CHECK}
        if ours:
            for row in await connection.fetch("select generation, tables from read_model.checkpoints"):
                names |= {table: f"read_model.{table}_{row['generation']}" for table in row["tables"]}
        return {
            name: tuple(await connection.fetchrow(text.format_map(names)) or ())
            for name, text in _CHECK.items()
        }
    finally:
        await connection.close()


if __name__ == "__main__":
    main("versus_rebuild", bench)
