"""The page as tests open it, drag it and read its board, beside what the API says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from service.simulator import LABELS
from tests.given.chromium import Driver
from tests.given.folders import PAYLOADS
from tests.given.running import Running, running

PROJECTED = "query($position: Position!) { items(first: 1, minPosition: $position) { totalCount } }"

BOARD = """query Board($asOf: AsOf, $minPosition: Position) {
  items(asOf: $asOf, minPosition: $minPosition, first: 25, orderBy: {field: VOTES, direction: DESC}) {
    nodes { id title votes { net } }
  }
}"""

ROWS = """[...document.querySelectorAll('.board tbody tr')].map((row) =>
    [row.dataset.id, ...['a.title', '.votes'].map((part) => row.querySelector(part).textContent)])"""
SETTLED = "document.body.dataset.ready === 'true' && document.querySelector('.board tbody tr')"


async def projected(service: Running, position: int) -> None:
    """Wait until what stands at a position is what the page shows: a delivery is answered before."""
    await service.ask(PROJECTED, position=position)


async def told_to(service: Running, body: bytes) -> None:
    """Deliver a body, and wait until the page would show it."""
    _, answer = await service.post(body)
    await projected(service, answer["position"])


async def opened(driver: Driver, service: Running, address: str = "") -> None:
    await driver.run(
        f"await page.goto(url); await page.waitForFunction(() => {SETTLED});",
        url=f"{service.address}/{address}",
    )


ANSWERED = """await page.waitForFunction((selector) => {
    const panel = document.querySelector(selector);
    return panel?.checkVisibility() && !document.querySelector('main [aria-busy=true]')
        && [...panel.querySelectorAll('.query pre')].some(({ textContent }) => textContent);
}, panel)"""
"""Wait until a panel is shown and has its answer."""


async def gone_to(driver: Driver, address: str, panel: str) -> None:
    """Go to another address as Back does, until its panel has its answer; a load takes far longer."""
    await driver.run(
        f"""await page.evaluate((address) => {{
            history.pushState(null, '', address);
            dispatchEvent(new PopStateEvent('popstate'));
        }}, address);
        // Once all has been asked for, the page writes the address as it would.
        await page.waitForFunction(() => !location.search.includes('going'));
        {ANSWERED};""",
        address=f"/{address}{'&' if '?' in address else '?'}going",
        panel=panel,
    )


async def rows(driver: Driver) -> list[list[str]]:
    found: list[list[str]] = await driver.run(f"return page.evaluate(() => {ROWS})")
    return found


async def board_by_api(service: Running, as_of: dict[str, Any] | None) -> list[list[str]]:
    position = as_of["position"] if as_of else None
    items = (await service.ask(BOARD, asOf=as_of, minPosition=position))["items"]["nodes"]
    return [[item["id"], item["title"], f"{item['votes']['net']:,}"] for item in items]


async def moment_of(driver: Driver) -> dict[str, Any]:
    """Wait until the address tells a moment in the past, and return it as `AsOf`."""
    said = await driver.run(
        """await page.waitForFunction(() => new URLSearchParams(location.search).has('at'));
        return page.evaluate(() => Object.fromEntries(new URLSearchParams(location.search)));"""
    )
    return {"time": said["at"], "position": int(said["position"])}


DRAG = """
    const box = await page.locator('.track').boundingBox();
    const at = (share) => [box.x + box.width * share, box.y + 20];
    // What was shown before it is counted: else the next move would be taken to be shown.
    const shown = async (does) => {
        const before = await page.evaluate(() => performance.getEntriesByName('recount:step').length);
        await does();
        await page.waitForFunction(
            (seen) => performance.getEntriesByName('recount:step').length > seen, before);
    };
    await page.mouse.move(...at(from));
    await shown(() => page.mouse.down());
    for (let i = 1; i <= steps; i++)
        await shown(() => page.mouse.move(...at(from + (to - from) * i / steps)));
    // A hand that rests writes the address as well: that of this moment comes once it is off the bar.
    await page.evaluate(() => history.replaceState(null, '', '?dragging'));
    await page.mouse.up();
    await page.waitForFunction(() => !location.search.includes('dragging'));
    return page.evaluate(() => performance.getEntriesByName('recount:step').map(({duration}) => duration));
"""


@asynccontextmanager
async def small_board(folder: Path, port: int = 0) -> AsyncIterator[Running]:
    async with running(folder / "data", port=port, env={"RECOUNT_LABELS": str(LABELS)}) as service:
        yield service


def votes(first: int) -> Iterator[bytes]:
    """Votes of people nobody has named, each another delivery."""
    told = json.loads((PAYLOADS / "vote.create.json").read_text())
    while True:
        told["timestamp"] = str(int((datetime.now(UTC) + timedelta(milliseconds=first)).timestamp() * 1000))
        yield json.dumps(told).encode()
        first += 1
