"""What the page costs a person: a step of dragging, the first view, a search, a chart, 10,000 items.

The demo's 50,000 events, the whole service, a headless Chromium with motion as most people have it. All of it
ends with the frame that shows what was asked for, painted. A step
begins with the browser's own time of the pointer's move and ends when the frame with that board has been
painted; between them it is parted by the page's measure of itself and by what the browser knows of its
request. The Chromium, the script that moves its mouse, the service and Postgres share this machine's cores.
Nothing listens in on the requests: a script that lets each of them through adds some 10 ms to it.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any, Final

from bench.board import PRODUCT, fill_log
from bench.cores import cores
from bench.harness import Options, Report, main
from bench.ours import projected, recount
from bench.throwaway import bench_postgres, database, settled
from service.events import decode
from service.log.database import connect, migrate, open_pool
from service.log.event_store import EventStore
from service.operate import demo
from service.postgres.embedded import EmbeddedPostgres
from service.simulator import LABELS
from tests.given.chromium import Driver, chromium, missing

STEPS: Final = 120
QUICK_STEPS: Final = 40
LOOKS: Final = 10
QUICK_LOOKS: Final = 3
ITEMS: Final = 10_000
QUICK_ITEMS: Final = 1_000
EVENTS_OF_AN_ITEM: Final = 6
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
        const asked = performance.getEntriesByType('resource').filter(({name}) => name.includes('/graphql'));
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

_PAINTED: Final = """
    window.painted = () => new Promise((done) => requestAnimationFrame(() => {
        const told = new MessageChannel();
        told.port1.onmessage = () => done(performance.now());
        told.port2.postMessage(null);
    }));
    window.once = async (is) => {
        while (!is()) await new Promise(requestAnimationFrame);
        return window.painted();
    };
"""

_FIRST: Final = """
    await page.addInitScript(() => addEventListener('DOMContentLoaded', () => {
        const seen = new MutationObserver(() => {
            if (!document.querySelector('.board tbody tr')) return;
            seen.disconnect();
            requestAnimationFrame(() => {
                const told = new MessageChannel();
                told.port1.onmessage = () => (window.first = performance.now());
                told.port2.postMessage(null);
            });
        });
        seen.observe(document, { childList: true, subtree: true });
    }));
    await page.goto(url);
    await page.waitForFunction(() => window.first);
    await page.waitForLoadState('networkidle');
    return page.evaluate(() => {
        const of = (type) => performance.getEntriesByType(type);
        const loaded = [...of('resource'), ...of('navigation')]
            .filter(({name}) => !name.includes('/graphql'));
        const sum = (size) => loaded.reduce((all, each) => all + each[size], 0) / 1000;
        return {first: window.first, bytes: sum('decodedBodySize'), sent: sum('transferSize')};
    });
"""

_SEARCH: Final = """
    await page.evaluate(() => { PAINTED });
    const found = [];
    for (const word of words) {
        await page.locator('.finder input').fill('');
        await page.waitForFunction(() => !location.search.includes('search='));
        await page.waitForLoadState('networkidle');
        found.push(await page.evaluate(async (word) => {
            const field = document.querySelector('.finder input');
            const rows = document.querySelector('.board tbody');
            const before = rows.textContent;
            field.focus();
            field.value = word;
            const begun = performance.now();
            field.dispatchEvent(new InputEvent('input', {bubbles: true}));
            return await window.once(() => rows.textContent !== before) - begun;
        }, word));
    }
    return found;
""".replace("PAINTED", _PAINTED.replace("\n", " "))

_CHART: Final = """
    await page.goto(url);
    await page.waitForSelector('body[data-ready] .board tbody tr');
    await page.waitForLoadState('networkidle');
    await page.evaluate(() => { PAINTED });
    return page.evaluate(async (question) => {
        const begun = performance.now();
        document.querySelector('#tab-ask').click();
        await window.once(() => document.querySelector('.questions button'));
        [...document.querySelectorAll('.questions button')]
            .find(({textContent}) => textContent === question).click();
        return await window.once(() => document.querySelector('.report .plot canvas')?.width
            && document.querySelector('.report h2').textContent === question) - begun;
    }, question);
""".replace("PAINTED", _PAINTED.replace("\n", " "))

_SCROLL: Final = """
    await page.evaluate(() => {
        window.frames = [];
        let before = performance.now();
        const turn = (now) => {
            window.frames.push(now - before);
            before = now;
            requestAnimationFrame(turn);
        };
        requestAnimationFrame(turn);
    });
    const begun = Date.now();
    const box = await page.locator('.board').boundingBox();
    await page.mouse.move(box.x + 200, 500);
    // Rows that are far from the eye are counted by what their groups hold when they are near.
    const count = () => page.evaluate(() => 200 + 25 * (document.querySelector('.board').tBodies.length - 1));
    const said = await page.locator('#board .count').textContent();
    const total = Number(said.replace(/\\D/g, ''));
    while (await count() < total && Date.now() - begun < 35_000) {
        await page.mouse.wheel(0, 2400);
        await page.waitForTimeout(20);
    }
    const [took, listed] = [Date.now() - begun, await count()];
    await page.evaluate(() => window.frames.splice(0, 2));
    const down = await page.evaluate(() => window.frames.splice(0));
    const up = [];
    for (let i = 0; i < 40; i++) {
        await page.mouse.wheel(0, -12_000);
        await page.waitForTimeout(30);
    }
    up.push(...await page.evaluate(() => window.frames));
    return {down, up, took, listed, nodes: await page.evaluate(() => document.querySelectorAll('*').length)};
"""

_PARTS: Final = {
    "before": "of it until the request leaves",
    "answer": "of it the service's answer",
    "transfer": "of it the transfer",
    "drawing": "of it reading and drawing",
    "painting": "of it the frame: layout and painting",
}


async def bench(options: Options, report: Report) -> None:
    """Drag through the demo's board, waiting for each step and not; then open, search, draw, and scroll."""
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
                    async with chromium() as browser:
                        steps += await _drag(await browser.tab(), service.port, count, waits)
                _add(report, f"a step of dragging, {events:,} events", side, steps)
            await _look(options, report, service.port, f"{events:,} events")
        await _many(options, report, postgres)


async def _look(options: Options, report: Report, port: int, log: str) -> None:
    """Measure the first view, each time with nothing kept, a search, and a chart."""
    url, looks = f"http://127.0.0.1:{port}/", options.pick(LOOKS, QUICK_LOOKS)
    async with chromium() as browser:
        views = [await (await browser.tab()).run(_FIRST, url=url) for _ in range(looks)]
        report.add(f"the first view, {log}", "until the board is painted", _of(views, "first"), unit="ms")
        report.add(f"the first view, {log}", "what it loads", views[-1]["bytes"], unit="kB")
        report.add(f"the first view, {log}", "as it is sent, compressed", views[-1]["sent"], unit="kB")
        tab = await browser.tab()
        await tab.run(_OPEN, url=url)
        words = ["calendar", "export", "dark mode", "invoice", "notification"] * (1 + looks // 5)
        found = await tab.run(_SEARCH, words=words)
        report.add(
            f"a search, {log}", "from the last key, of which 200 ms wait for another", found, unit="ms"
        )
        for question in ("Flow", "Ranks"):
            drawn = [
                await (await browser.tab()).run(_CHART, url=url, question=question) for _ in range(looks)
            ]
            report.add(f"a chart, {log}", f"{question}, nothing of it loaded", drawn, unit="ms")


async def _many(options: Options, report: Report, postgres: EmbeddedPostgres) -> None:
    """Measure a board of many items: a step of dragging, a search, and scrolling through all of them."""
    items = options.pick(ITEMS, QUICK_ITEMS)
    dsn = await database(postgres, "many")
    await fill_log(dsn, items * EVENTS_OF_AN_ITEM, items=items, users=items // 5)
    await _ideas(dsn, items)
    await settled(dsn)
    async with recount(dsn, {"RECOUNT_LABELS": str(LABELS)}, on=cores().all) as service:
        await projected(dsn)
        async with chromium() as browser:
            steps = await _drag(await browser.tab(), service.port, options.pick(STEPS, QUICK_STEPS), True)
            _add(report, f"a step of dragging, {items:,} items", "each step is waited for", steps)
            tab = await browser.tab()
            await tab.run(_OPEN, url=f"http://127.0.0.1:{service.port}/?deleted=too")
            found = await tab.run(_SCROLL)
    what = f"scrolling through {items:,} items"
    report.add(what, "down, each page loaded as it is reached: all of it", found["took"] / 1000, unit="s")
    for side in ("down", "up"):
        frames = sorted(found[side])
        report.add(what, f"{side}: a frame", frames, unit="ms")
        report.add(
            f"{what}: p99 of {len(frames)}", f"{side}: a frame", frames[len(frames) * 99 // 100], unit="ms"
        )
    report.add(what, "rows listed at the end, to 25", found["listed"], unit="rows")
    report.add(what, "elements of the page at the end", found["nodes"], unit="elements")


async def _ideas(dsn: str, items: int) -> None:
    """Add so many items: traffic alone makes a new one now and then."""
    pool = await open_pool(dsn, min_size=1, max_size=2, application_name="bench")
    try:
        store = EventStore(pool)
        told = [_idea(number) for number in range(1, items + 1)]
        while told:
            await store.append([decode(body, ENDING) for body in told[:1_000]], timeout=60)
            del told[:1_000]
        await store.close()
    finally:
        await pool.close()


def _idea(number: int) -> bytes:
    data = {"feedback_id": 1_000_000 + number, "title": f"Idea number {number}", "status": "open"}
    at = int(ENDING.timestamp()) - number * 600
    return json.dumps(
        {"product_id": PRODUCT, "action": "item.create", "timestamp": at, "data": data}
    ).encode()


def _of(found: list[dict[str, Any]], name: str) -> list[float]:
    return [each[name] for each in found]


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
