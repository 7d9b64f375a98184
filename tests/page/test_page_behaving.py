"""How the page behaves: where panel and focus are, several tabs, long words, small screens, hidden tabs."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from tests.given.folders import PAYLOADS
from tests.given.paged import opened, small_board, told_to, votes

pytestmark = pytest.mark.browser

PAST = "at=2026-03-02T10:00:00Z&position=50000"
IN_SIGHT = """(element) => {
    const { top, bottom } = element.getBoundingClientRect();
    const bar = document.querySelector('#bar');
    const under = getComputedStyle(bar).position === 'sticky' ? bar.getBoundingClientRect().bottom : 0;
    return top >= under - 1 && top < innerHeight && bottom > 0;
}"""
LONG = "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenhalterung" * 3
URL = "https://www.example.com/" + "a-long-way-down/" * 12 + "?" + "q=1&" * 30


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1024, 768), (390, 844)])
async def test_an_item_is_opened_where_the_eye_is_and_closed_where_it_was(history, browsers, width, height):
    driver = await browsers.tab(viewport={"width": width, "height": height}, reducedMotion="reduce")
    await opened(driver, history)

    found = await driver.run(
        f"""const title = page.locator('.board button.title').nth(22);
        await title.scrollIntoViewIfNeeded();
        const place = () => page.evaluate(() => scrollY);
        await title.click();
        await page.locator('#item .facts').waitFor();
        const opened = await page.locator('#item h2').evaluate({IN_SIGHT});
        await page.getByRole('button', {{ name: 'Close', exact: true }}).click();
        await page.waitForFunction(() => location.pathname === '/');
        const here = () => page.evaluate(
            () => document.activeElement === document.querySelectorAll('.board button.title')[22]);
        const closed = [await here(), await title.evaluate({IN_SIGHT})];
        await title.press('Enter');
        await page.locator('#item .facts').waitFor();
        await page.keyboard.press('Escape');
        await page.waitForFunction(() => location.pathname === '/');
        return [opened, ...closed, await here()];"""
    )

    assert found == [True] * 4


async def test_several_tabs_and_a_reload_are_one_visit(history, browser):
    await opened(browser, history)
    told = await browser.run(
        """const begun = async (on) => {
            await on.goto(`${address}/changes`);
            await on.locator('#changes .quiet', { hasText: 'From position' }).waitFor();
            return on.locator('#changes .quiet', { hasText: 'From position' }).textContent();
        };
        await page.evaluate(() => localStorage.setItem(
            'recount:looked', JSON.stringify([1, 49000, Date.now() - 20 * 3_600_000])));
        const first = await begun(page);
        const other = await page.context().newPage();
        const second = await begun(other);
        await other.close();
        return [first, second, await begun(page)];""",
        address=history.address,
    )

    assert [text.split(" to ")[0] for text in told] == ["From position 49,000"] * 3


async def test_a_position_of_another_log_is_not_where_one_last_looked(history, browser):
    await opened(browser, history)
    await browser.run(
        """await page.evaluate(() => localStorage.setItem(
            'recount:looked', JSON.stringify([1, 900_000_000, Date.now() - 20 * 3_600_000])));"""
    )
    await opened(browser, history, "changes")

    await browser.run("await page.locator('#changes .quiet', { hasText: 'From' }).first().waitFor()")
    assert await browser.run("return page.getByLabel('Since').inputValue()") == "week"


async def test_what_changed_never_runs_backwards(history, browser):
    await opened(browser, history, f"changes?{PAST}&since={quote('2026-05-01T00:00:00Z')}")
    said = await browser.run(
        """await page.locator('#changes .empty').waitFor();
        return page.locator('#changes .empty').textContent();"""
    )
    assert said.startswith("From 1 May 2026, 00:00 to 2 Mar 2026, 10:00 would run backwards.")

    # Of the past, where one looked last would be later than the moment.
    await browser.run(
        """await page.evaluate(() => localStorage.setItem(
            'recount:looked', JSON.stringify([1, 49000, Date.now() - 20 * 3_600_000])));"""
    )
    await opened(browser, history, f"changes?{PAST}&since=look")
    said = await browser.run(
        """await page.locator('#changes .quiet', { hasText: 'From' }).waitFor();
        return page.locator('#changes .quiet', { hasText: 'From' }).textContent();"""
    )
    assert said.startswith("From 23 Feb 2026, 10:00 to 2 Mar 2026, 10:00:")
    assert await browser.run("return page.getByLabel('Since').inputValue()") == "week"


async def test_since_when_is_picked_in_the_readers_zone(history, browsers):
    driver = await browsers.tab(timezoneId="Asia/Tokyo", reducedMotion="reduce")
    await opened(driver, history, f"changes?{PAST}")

    await driver.run(
        """await page.getByRole('button', { name: 'UTC' }).click();
        await page.getByLabel('Date and time in Asia/Tokyo').fill('2026-02-20T09:00:00');
        await page.keyboard.press('Enter');
        await page.locator('#changes .quiet', { hasText: 'From 20 Feb 2026, 00:00 to' }).waitFor();
        await page.waitForFunction(() => location.search.includes('since=2026-02-20T00:00:00.000Z'));"""
    )
    assert await driver.problems() == []


async def test_a_tab_that_nobody_looks_at_asks_nothing_and_has_it_all_once_it_is_looked_at(tmp_path, browser):
    voting = votes(1)
    async with small_board(tmp_path) as service:
        await told_to(service, (PAYLOADS / "item.create.json").read_bytes())
        await opened(browser, service)
        await browser.run(
            """await page.waitForFunction(() => document.body.dataset.connection === 'open');
            await page.evaluate(() => {
                window.look = (hidden) => {
                    Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
                    document.dispatchEvent(new Event('visibilitychange'));
                };
                window.look(true);
            });
            await page.waitForLoadState('networkidle');
            page.asked = 0;
            page.on('request', (request) => { if (request.url().endsWith('read')) page.asked++; });"""
        )
        for _ in range(3):
            await told_to(service, next(voting))
        before, asked = await browser.run(
            """await page.waitForFunction(() => document.querySelectorAll('#feed .events li').length === 4);
            await page.waitForTimeout(1_500);
            return [await page.locator('.board tbody').textContent(), page.asked];"""
        )
        after = await browser.run(
            """await page.evaluate(() => window.look(false));
            await page.waitForFunction(
                (before) => document.querySelector('.board tbody').textContent !== before, before);
            return page.locator('.board tbody').textContent();""",
            before=before,
        )
        await browser.run("await page.goto('about:blank')")

    assert asked == 0
    assert after != before


@pytest.mark.parametrize("width", [320, 390, 1024, 1440])
async def test_long_words_and_addresses_stay_within_the_screen(tmp_path, browsers, width):
    driver = await browsers.tab(viewport={"width": width, "height": 800}, reducedMotion="reduce")
    told = json.loads((PAYLOADS / "item.create.json").read_text())
    told["data"] |= {"title": LONG, "description": URL, "type": "t" * 60}
    comment = json.loads((PAYLOADS / "comment.create.json").read_text())
    comment["data"] |= {"feedback_id": told["data"]["feedback_id"], "comment": f"{URL} {LONG}"}
    async with small_board(tmp_path) as service:
        await told_to(service, json.dumps(told).encode())
        told |= {"action": "item.update", "timestamp": str(int(told["timestamp"]) + 60_000)}
        told["data"] |= {"title": f"{LONG}!", "description": f"{URL}!", "status": "s" * 60}
        await told_to(service, json.dumps(told).encode())
        comment["timestamp"] = told["timestamp"]
        await told_to(service, json.dumps(comment).encode())
        widths = {}
        item = told["data"]["feedback_id"]
        for path in (
            "",
            f"items/{item}",
            "changes?since=2017-01-01T00:00:00Z",
            "feed",
            "ask/rising",
            "ask/ranks",
        ):
            await opened(driver, service, path)
            await driver.run(
                """await page.waitForLoadState('networkidle');
                for (const summary of await page.locator('#item details.part summary').all())
                    if (await summary.isVisible()) await summary.click();
                await page.waitForLoadState('networkidle');"""
            )
            widths[path] = await driver.run(
                """return page.evaluate(() =>
                    [document.documentElement, ...document.querySelectorAll('[role=tabpanel]')]
                    .filter((part) => part.scrollWidth > part.clientWidth + 1 && part.clientWidth)
                    .map((part) => `${part.id || 'page'} ${part.scrollWidth} in ${part.clientWidth}`))"""
            )
        await driver.run("await page.goto('about:blank')")

    assert {path: wide for path, wide in widths.items() if wide} == {}


@pytest.mark.parametrize(("width", "height"), [(720, 450), (640, 400), (512, 384), (320, 640)])
async def test_with_everything_twice_as_large_nothing_is_cut_off_and_the_board_has_room(
    history, browsers, width, height
):
    """A screen of twice these pixels at 200 %; 320 is one of 1,280 at 400 %."""
    driver = await browsers.tab(
        viewport={"width": width, "height": height}, deviceScaleFactor=2, reducedMotion="reduce"
    )
    item = (await history.ask("{ items(first: 1) { nodes { sleekplanId } } }"))["items"]["nodes"][0]
    for path in (f"?{PAST}", f"items/{item['sleekplanId']}?{PAST}", f"changes?{PAST}", f"ask/flow?{PAST}"):
        await opened(driver, history, path)
        await driver.run("await page.waitForLoadState('networkidle')")
        assert await driver.run("return page.evaluate(() => document.documentElement.scrollWidth)") == width
        room = await driver.run(
            """return page.evaluate(() => {
                scrollTo(0, document.documentElement.scrollHeight);
                const bar = document.querySelector('#bar');
                return innerHeight - (getComputedStyle(bar).position === 'sticky' ? bar.offsetHeight : 0);
            })"""
        )
        assert room > height * 0.7
