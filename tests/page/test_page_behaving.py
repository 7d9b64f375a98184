"""How the page behaves: where panel and focus are, several tabs, long words, small screens, hidden tabs."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from tests.given.folders import PAYLOADS
from tests.given.made_once import copied
from tests.given.paged import (
    ANSWERED,
    SETTLED,
    board_by_api,
    gone_to,
    moment_of,
    opened,
    rows,
    small_board,
    told_to,
    votes,
)
from tests.given.running import running

pytestmark = pytest.mark.browser

PAST = "at=2026-03-02T10:00:00Z&position=50000"
# Asked of a frame that was drawn: a bar may have grown, and what stands below it not moved yet.
IN_SIGHT = """async (element) => {
    await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
    const { top, bottom } = element.getBoundingClientRect();
    const bar = document.querySelector('#bar');
    const under = getComputedStyle(bar).position === 'sticky' ? bar.getBoundingClientRect().bottom : 0;
    const seen = top >= under - 1 && top < innerHeight && bottom > 0;
    return seen || { top, bottom, under, innerHeight, scrollY };
}"""
LONG = "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenhalterung" * 3
URL = "https://www.example.com/" + "a-long-way-down/" * 12 + "?" + "q=1&" * 30


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1024, 768), (390, 844)])
async def test_an_item_is_opened_where_the_eye_is_and_closed_where_it_was(history, browsers, width, height):
    driver = await browsers.tab(viewport={"width": width, "height": height}, reducedMotion="reduce")
    await opened(driver, history)

    found = await driver.run(
        f"""const title = page.locator('.board a.title').nth(22);
        await title.scrollIntoViewIfNeeded();
        await title.click();
        await page.locator('#item .facts').waitFor();
        const opened = await page.locator('#item h2').evaluate({IN_SIGHT});
        await page.getByRole('button', {{ name: 'Close', exact: true }}).click();
        await page.waitForFunction(() => location.pathname === '/');
        const here = () => page.evaluate(
            () => document.activeElement === document.querySelectorAll('.board a.title')[22]);
        const closed = [await here(), await title.evaluate({IN_SIGHT})];
        await title.press('Enter');
        await page.locator('#item .facts').waitFor();
        await page.keyboard.press('Escape');
        await page.waitForFunction(() => location.pathname === '/');
        return [opened, ...closed, await here()];"""
    )

    assert found == [True] * 4


@pytest.mark.parametrize(
    ("width", "said", "how"),
    [
        (1440, "at=2026-11-01T10:00:00Z&position=50000", "page.goBack()"),
        (390, "", "page.keyboard.press('Escape')"),
    ],
)
async def test_a_row_far_down_has_the_rank_of_the_api_and_is_come_back_to(
    history, browsers, width, said, how
):
    driver = await browsers.tab(viewport={"width": width, "height": 850}, reducedMotion="reduce")
    as_of = {"time": "2026-11-01T10:00:00Z", "position": 50000} if said else None
    order = "first: 500, orderBy: {field: VOTES, direction: DESC}"
    items = (
        await history.ask(
            f"query($asOf: AsOf) {{ items(asOf: $asOf, {order}) {{ nodes {{ id rank }} }} }}", asOf=as_of
        )
    )["items"]["nodes"]
    await opened(driver, history, f"?{said}")

    ranks, back = await driver.run(
        f"""const far = await page.waitForFunction(() => {{
            const group = [...document.querySelector('.board').tBodies].slice(3).at(-1);
            if (!group) scrollTo(0, document.documentElement.scrollHeight);
            group?.scrollIntoView();
            return group?.rows.length && group;
        }});
        const ranks = await far.evaluate((group) => [...group.rows]
            .map((row) => [row.dataset.id, Number(row.querySelector('.rank').textContent)]));
        const title = page.locator(`.board tr[data-id="${{ranks[3][0]}}"] a.title`);
        await title.click();
        await page.locator('#item .facts').waitFor();
        await {how};
        await page.waitForFunction(() => location.pathname === '/');
        await title.waitFor();
        const element = await title.elementHandle();
        await page.waitForFunction((element) => document.activeElement === element, element);
        await idle();
        return [ranks, await title.evaluate({IN_SIGHT})];"""
    )

    assert back is True
    assert ranks == [[item["id"], item["rank"]] for item in items if item["id"] in dict(ranks)]


async def test_what_was_not_answered_is_asked_again_until_it_is(history, browser):
    await opened(browser, history, f"?{PAST}")
    await browser.run(
        """await page.route('**/graphql*', (route) => route.abort());
        const track = await page.locator('.track').boundingBox();
        await page.mouse.click(track.x + track.width * 0.7, track.y + 20);
        await page.getByText('The service does not answer.').first().waitFor();
        await page.unrouteAll({ behavior: 'wait' });
        await page.waitForFunction(() => !document.querySelector('#board .trouble').textContent);"""
    )

    assert await rows(browser) == await board_by_api(history, await moment_of(browser))
    assert all("net::ERR_FAILED" in problem for problem in await browser.problems())


async def test_an_item_opened_at_the_end_of_the_page_begins_below_the_bar(history, browsers):
    driver = await browsers.tab(viewport={"width": 1440, "height": 900}, reducedMotion="reduce")
    await opened(driver, history)

    # Few rows, that the page ends where the panel stands, and an item that fills it.
    found = await driver.run(
        f"""await page.locator('.board a.title').nth(12).waitFor();
        await page.evaluate(() => {{
            const held = new CSSStyleSheet();
            held.replaceSync('.board tr:nth-child(n + 30) {{ display: none }} '
                + '#item::after {{ content: ""; display: block; height: 200vh }}');
            document.adoptedStyleSheets = [held];
        }});
        await page.locator('.board a.title').nth(20).click();
        await page.locator('#item .facts').waitFor();
        const left = await page.evaluate(() => {{
            scrollTo(0, document.documentElement.scrollHeight);
            return document.documentElement.scrollHeight - innerHeight - scrollY;
        }});
        return [left, await page.locator('#item h2').evaluate({IN_SIGHT})];"""
    )

    assert found == [0, True]


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
        await opened(browser, service, "changes?since=2017-01-01T00:00:00Z")
        await browser.run(
            """await page.waitForFunction(() => document.body.dataset.connection === 'open');
            await page.locator('#changes .differences').waitFor();
            await page.evaluate(() => {
                window.look = (hidden) => {
                    Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
                    document.dispatchEvent(new Event('visibilitychange'));
                };
                window.look(true);
            });
            await idle();
            page.asked = 0;
            page.on('request', (request) => { if (request.url().endsWith('read')) page.asked++; });"""
        )
        for _ in range(3):
            await told_to(service, next(voting))
        told = json.loads((PAYLOADS / "item.create.json").read_text())
        told["data"]["feedback_id"] = 4_711
        await told_to(service, json.dumps(told).encode())
        before, asked = await browser.run(
            """await page.waitForTimeout(1_500);
            page.told = await page.locator('#changes').textContent();
            return [await page.locator('.board tbody').textContent(), page.asked];"""
        )
        after = await browser.run(
            """await page.evaluate(() => window.look(false));
            await page.waitForFunction(
                (before) => document.querySelector('.board tbody').textContent !== before, before);
            await page.waitForFunction(
                (told) => document.querySelector('#changes').textContent !== told, page.told);
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
    told["data"] |= {"title": LONG, "description": URL, "type": "t" * 300, "total_up": 123_456}
    comment = json.loads((PAYLOADS / "comment.create.json").read_text())
    comment["data"] |= {"feedback_id": told["data"]["feedback_id"], "comment": f"{URL} {LONG}"}
    async with small_board(tmp_path) as service:
        await told_to(service, json.dumps(told).encode())
        told |= {"action": "item.update", "timestamp": str(int(told["timestamp"]) + 60_000)}
        told["data"] |= {"title": f"{LONG}!", "description": f"{URL}!", "status": "s" * 250}
        await told_to(service, json.dumps(told).encode())
        comment["timestamp"] = told["timestamp"]
        await told_to(service, json.dumps(comment).encode())
        entry = json.loads((PAYLOADS / "changelog.create.json").read_text())
        entry["data"]["title"] = LONG * 3
        entry["timestamp"] = told["timestamp"]
        await told_to(service, json.dumps(entry).encode())
        widths = {}
        item = told["data"]["feedback_id"]
        await opened(driver, service)
        # A figure is in one line, within its row.
        assert await driver.run(
            """return page.locator('td.votes').first().evaluate((cell) => {
                const lines = document.createRange();
                lines.selectNodeContents(cell);
                const [{ left, right }] = lines.getClientRects();
                const row = cell.parentElement.getBoundingClientRect();
                const state = cell.parentElement.querySelector('.state .status').getBoundingClientRect();
                const beside = state.top < cell.getBoundingClientRect().bottom ? state.right : row.left;
                const count = lines.getClientRects().length;
                return [cell.textContent, count, left >= beside, right <= row.right + 1];
            })"""
        ) == ["123,456", 1, True, True]
        for path, panel in (
            ("", "#board"),
            (f"items/{item}", "#item"),
            ("changes?since=2017-01-01T00:00:00Z", "#changes"),
            ("feed", "#feed"),
            ("ask/rising", "[data-question=rising]"),
            ("ask/ranks", "[data-question=ranks]"),
            ("ask/flow", "[data-question=flow]"),
        ):
            await gone_to(driver, path, panel)
            await driver.run(
                f"""for (const summary of await page.locator('#item details.part summary').all())
                    if (await summary.isVisible()) await summary.click();
                {ANSWERED};""",
                panel=panel,
            )
            widths[path] = await driver.run(
                """return page.evaluate(() =>
                    [document.documentElement, ...document.querySelectorAll('[role=tabpanel]')]
                    .filter((part) => part.scrollWidth > part.clientWidth + 1 && part.clientWidth)
                    .map((part) => `${part.id || 'page'} ${part.scrollWidth} in ${part.clientWidth}`))"""
            )
        # What stands below the pointer on the time bar.
        hovered = await driver.run(
            """const note = page.locator('.notes span').first();
            await note.hover({ force: true });
            await page.locator('.hover').waitFor({ state: 'attached' });
            await page.mouse.move(0, 0);
            await note.hover({ force: true });
            await page.locator('.hover', { hasText: 'Donaudampfschiff' }).waitFor();
            return page.evaluate(() => document.documentElement.scrollWidth);"""
        )
        await driver.run("await page.goto('about:blank')")

    assert {path: wide for path, wide in widths.items() if wide} == {}
    assert hovered == width


async def test_a_title_of_pages_is_cut_in_lists_and_one_that_nobody_sees_can_be_chosen(tmp_path, browser):
    told = json.loads((PAYLOADS / "item.create.json").read_text())
    titles = {71: "word " * 1000, 72: "", 73: "\u200b ", 74: "\U0001f469\u200d\U0001f680" * 300}
    async with small_board(tmp_path) as service:
        for number, title in titles.items():
            told["data"] |= {"feedback_id": number, "title": title}
            await told_to(service, json.dumps(told).encode())
        await opened(browser, service)
        shown = await browser.run("return page.locator('.board a.title').allTextContents()")
        feed = await browser.run("return page.locator('#feed .what').allTextContents()")
        await browser.run(
            """await page.getByRole('link', {name: '(no title)'}).first().click();
            await page.waitForURL(/items\\/7[23]/);
            await page.goto(new URL('/items/71', page.url()).href);"""
        )
        whole = await browser.run("return page.locator('#item h2', {hasText: 'word'}).textContent()")
        await browser.run("await page.goto('about:blank')")

    assert shown.count("(no title)") == 2
    assert max(map(len, [*shown, *feed])) <= 600
    assert f"{titles[71][:199]}…" in shown
    assert whole == titles[71]


@pytest.mark.parametrize(("width", "height"), [(720, 450), (640, 400), (512, 384), (320, 640)])
async def test_with_everything_twice_as_large_nothing_is_cut_off_and_the_board_has_room(
    history, browsers, width, height
):
    """A screen of twice these pixels at 200 %; 320 is one of 1,280 at 400 %."""
    driver = await browsers.tab(
        viewport={"width": width, "height": height}, deviceScaleFactor=2, reducedMotion="reduce"
    )
    item = (await history.ask("{ items(first: 1) { nodes { sleekplanId } } }"))["items"]["nodes"][0]
    await opened(driver, history, f"?{PAST}")
    for path, panel in (
        ("", "#board"),
        (f"items/{item['sleekplanId']}", "#item"),
        ("changes", "#changes"),
        ("ask/flow", "[data-question=flow]"),
    ):
        await gone_to(driver, f"{path}?{PAST}", panel)
        assert await driver.run("return page.evaluate(() => document.documentElement.scrollWidth)") == width
        room = await driver.run(
            """return page.evaluate(() => {
                scrollTo(0, document.documentElement.scrollHeight);
                const bar = document.querySelector('#bar');
                return innerHeight - (getComputedStyle(bar).position === 'sticky' ? bar.offsetHeight : 0);
            })"""
        )
        assert room > height * 0.7


async def test_where_two_logs_answer_in_turn_the_page_does_not_begin_anew_for_ever(tmp_path, browser):
    async with running(tmp_path / "longer") as service:
        for _, each in zip(range(3), votes(1), strict=False):
            await told_to(service, each)
        port = int(service.address.rpartition(":")[2])
        await opened(browser, service, "")
        await browser.run("await page.waitForFunction(() => document.body.dataset.connection === 'open')")

    for number in range(2):
        async with running(tmp_path / f"shorter-{number}", port=port) as service:
            await service.post((PAYLOADS / "item.create.json").read_bytes())
            if number == 0:
                await browser.run(
                    """await page.getByText('This is what it holds now').waitFor();
                    // Until it has this log's event, it can go on in another log that has none yet.
                    await page.waitForFunction(() =>
                        document.querySelector('#feed .events li')?.dataset.position === '1');
                    // The next service refuses what happens before it has answered what was missed.
                    const missed = (request) => request.postData()?.includes('query Newest');
                    page.answered = page.waitForResponse((response) => missed(response.request()));
                    await page.route('**/graphql*', async (route) => {
                        if (missed(route.request()))
                            await page.waitForFunction(() => document.body.dataset.connection === 'refused');
                        await route.continue();
                    });
                    // However long the next service takes to start, it was but now.
                    const now = Date.now() + 600_000;
                    await page.evaluate((now) => sessionStorage.setItem('recount:begun-anew', now), now)"""
                )
            else:
                await browser.run(
                    """await page.answered;
                    await page.getByText('answer at this address in turn').waitFor();
                    await page.unroute('**/graphql*');
                    await page.goto('about:blank')"""
                )
    await browser.run("problems.splice(0)")  # the browser itself reports the refused connections


@pytest.mark.parametrize(("since", "at"), [(0, ""), (4, "&at=2026-11-20T10:00:00Z")])
async def test_a_log_that_went_back_is_shown_anew_by_itself_and_said(tmp_path, browser, since, at):
    """A backup is restored while the page is open, shorter than what was shown or grown beyond it since."""
    voting = votes(1)
    async with running(tmp_path / "then") as service:
        await service.post((PAYLOADS / "item.create.json").read_bytes())
    await copied(tmp_path / "then", tmp_path / "backup")
    async with running(tmp_path / "backup" / "then") as service:
        for _ in range(since):
            await told_to(service, next(voting))
    async with running(tmp_path / "then") as service:
        port = int(service.address.rpartition(":")[2])
        for _ in range(3):
            await told_to(service, next(voting))
        await opened(browser, service, f"?sort=newest{at}")
        await browser.run("await page.waitForFunction(() => document.body.dataset.connection === 'open')")

    async with running(tmp_path / "backup" / "then", port=port) as service:
        told = await browser.run(
            f"""await page.getByText('This is what it holds now').waitFor();
            await page.waitForFunction(() => {SETTLED});
            await page.waitForFunction(() => document.body.dataset.connection === 'open');
            return page.locator('#notice').textContent()"""
        )
        assert told.startswith("The log no longer holds what was shown here")
        assert "newest" in await browser.run("return page.evaluate(() => location.search)")
        await told_to(service, next(voting))
        await browser.run(
            """await page.waitForFunction((position) =>
                document.querySelector('#feed .events li').dataset.position === position, position);
            await page.goto('about:blank')""",
            position=str(since + 2),
        )
    await browser.run("problems.splice(0)")  # the browser itself reports the refused connections
