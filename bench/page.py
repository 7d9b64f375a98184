"""What a step of dragging the time bar costs a person: from the move of the hand to that board painted.

The demo's 50,000 events, the whole service, a headless Chromium with motion as most people have it. A step
begins with the browser's own time of the pointer's move and ends when the frame with that board has been
painted; between them it is parted by the page's measure of itself and by what the browser knows of its
request. The Chromium, the script that moves its mouse, the service and Postgres share this machine's cores.
Nothing listens in on the requests: a script that lets each of them through adds some 10 ms to it.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from bench.harness import Options, Report, bench_postgres, cores, database, main, settled
from bench.ours import projected, recount
from service.log.database import connect, migrate, open_pool
from service.log.event_store import EventStore
from service.operate import demo
from service.simulator import LABELS
from tests.given.chromium import Driver, chromium, missing

STEPS: Final = 120
QUICK_STEPS: Final = 40
ENDING: Final = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)

_OPEN: Final = """
    await page.goto(url);
    await page.waitForSelector('body[data-ready] .board tbody tr');
    await page.waitForLoadState('networkidle');
    await page.evaluate(() => {
        performance.setResourceTimingBufferSize(5000);
        performance.clearResourceTimings();
        const moves = [];
        for (const type of ['pointerdown', 'pointerrawupdate', 'pointermove', 'pointerup'])
            addEventListener(type, ({timeStamp}) => moves.push([timeStamp, performance.now()]), true);
        window.steps = [];
        const painted = new MessageChannel();
        const drawn = [];
        painted.port1.onmessage = () => window.steps.push({...drawn.shift(), painted: performance.now()});
        const measure = performance.measure.bind(performance);
        performance.measure = (name, options) => {
            const {startTime: begun, duration} = measure(name, options);
            const [input] = moves.findLast(([, seen]) => seen <= begun);
            drawn.push({input, begun, drawn: begun + duration});
            requestAnimationFrame(() => painted.port2.postMessage(null));
        };
    });
"""

_DRAG: Final = """
    const box = await page.locator('.track').boundingBox();
    const at = (share) => [box.x + box.width * share, box.y + 20];
    const steps = () => page.evaluate(() => window.steps.length);
    await page.mouse.move(...at(0.97));
    await page.mouse.down();
    await page.waitForFunction(() => window.steps.length);
    for (let i = 1; i <= count; i++) {
        const before = await steps();
        await page.mouse.move(...at(0.97 - 0.9 * i / count));
        if (waits) await page.waitForFunction((seen) => window.steps.length > seen, before);
        else await page.waitForTimeout(16);
    }
    await page.mouse.up();
    await page.waitForLoadState('networkidle');
    return page.evaluate(() => {
        const asked = performance.getEntriesByType('resource').filter(({name}) => name.endsWith('/graphql'));
        return window.steps.map(({input, begun, drawn, painted}) => {
            const step = {duration: painted - input, painting: painted - drawn};
            const own = asked.findLast(
                ({startTime, responseEnd}) => startTime >= begun && responseEnd <= drawn);
            if (!own) return step;
            const {requestStart, responseStart, responseEnd} = own;
            return {
                ...step, before: requestStart - input, answer: responseStart - requestStart,
                transfer: responseEnd - responseStart, drawing: drawn - responseEnd,
            };
        });
    });
"""

_PARTS: Final = {
    "before": "of it until the request leaves",
    "answer": "of it the service's answer",
    "transfer": "of it the transfer",
    "drawing": "of it reading and drawing",
    "painting": "of it the frame: layout and painting",
}


async def bench(options: Options, report: Report) -> None:
    """Drag through the demo's board, waiting for each step and not."""
    if why := missing():
        raise SystemExit(f"the page is not measured: {why}")
    async with bench_postgres() as postgres:
        dsn = await database(postgres, "page")
        events = await _written(dsn)
        await settled(dsn)
        async with recount(dsn, {"RECOUNT_LABELS": str(LABELS)}, on=cores().all) as service:
            await projected(dsn)
            count = options.pick(STEPS, QUICK_STEPS)
            for side, waits in (("each step is waited for", True), ("60 moves a second", False)):
                steps: list[dict[str, float]] = []
                for _ in range(options.runs):
                    async with chromium(intercept=False) as browser:
                        steps += await _drag(await browser.tab(), service.port, count, waits)
                _add(report, f"a step of dragging, {events:,} events", side, steps)


async def _written(dsn: str) -> int:
    connection = await connect(dsn)
    await migrate(connection)
    await connection.close()
    pool = await open_pool(dsn, min_size=1, max_size=2, application_name="bench")
    try:
        store = EventStore(pool)
        board = await demo.begin(pool, store, ENDING)
        await demo.write_history(board, pool, store, lambda done, total: None)
        await store.close()
        return board.events
    finally:
        await pool.close()


async def _drag(driver: Driver, port: int, count: int, waits: bool) -> list[dict[str, float]]:
    await driver.run(_OPEN, url=f"http://127.0.0.1:{port}/")
    steps: list[dict[str, Any]] = await driver.run(_DRAG, count=count, waits=waits)
    return steps


def _add(report: Report, what: str, side: str, steps: list[dict[str, float]]) -> None:
    durations = sorted(step["duration"] for step in steps)
    report.add(what, side, durations, unit="ms")
    for share, name in ((0.9, "p90"), (0.99, "p99"), (1.0, "longest")):
        place = min(len(durations) - 1, int(share * len(durations)))
        report.add(f"{what}: {name} of {len(durations)}", side, durations[place], unit="ms")
    for part, name in _PARTS.items():
        found = [step[part] for step in steps if part in step]
        report.add(f"{what}: {name}", side, found, unit="ms")


if __name__ == "__main__":
    main("page", bench)
