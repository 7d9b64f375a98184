"""Answers that come late or never: what is shown was asked for last, and what is missing is asked for."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.given.paged import ANSWERED, opened

pytestmark = pytest.mark.browser

PAST = "at=2026-06-02T10:00:00Z&position=50000"
ITEMS = """query($asOf: AsOf) { items(asOf: $asOf, first: 20, orderBy: {field: VOTES, direction: DESC}) {
  nodes { sleekplanId title comments(first: 0, filter: {deleted: null}) { totalCount } }
} }"""
MOMENT = {"time": "2026-06-02T10:00:00Z", "position": 50000}
HOLD = """page.held = {};
    await page.route('**/graphql?*', async (route) => {
        const name = /query (\\w+)/.exec(route.request().postData() ?? '')?.[1];
        if (await page.held[name]?.(route.request()) === 'away') await route.abort();
        else await route.fallback();
    });
    // Hold what one query asks until it is let go.
    page.hold = (name) => new Promise((asked) => {
        page.held[name] = () => new Promise((go) => {
            delete page.held[name];
            asked(go);
        });
    });
    """
TO = """const to = (address) => page.evaluate((address) => {
        history.pushState(null, '', address);
        dispatchEvent(new PopStateEvent('popstate'));
    }, address);
    """
FAILED = "net::ERR_FAILED"


async def two_items(service):
    items = (await service.ask(ITEMS, asOf=MOMENT))["items"]["nodes"]
    return [item for item in items if item["comments"]["totalCount"] > 2][:2]


async def test_nothing_of_one_item_is_shown_below_another_however_late_that_ones_answers_come(
    history, browser
):
    first, second = await two_items(history)
    await opened(browser, history, f"items/{first['sleekplanId']}?{PAST}")

    found = await browser.run(
        f"""{HOLD}{TO}const seen = async () => [
            await page.locator('#item h2').textContent(), await page.locator('#item .facts').isVisible(),
            await page.locator('#item .thread').count()];
        await page.locator('#item summary', {{ hasText: 'Comments' }}).click();
        await page.locator('#item .thread').first().waitFor();
        const item = page.hold('Item'), comments = page.hold('Comments');
        await to(addresses[1]);
        const go = await item;
        const asked = await seen();
        go();
        const on = await comments;
        await page.waitForFunction((title) => HEADING === title, title);
        const drawn = await seen();
        on();
        await page.locator('#item .thread').first().waitFor();
        // Closed before it is answered, it does not come back.
        const late = page.hold('Item');
        await to(addresses[2]);
        const over = await late;
        await to(addresses[3]);
        over();
        await page.getByText('Choose an item on the board').waitFor();
        await page.waitForFunction(() => !document.querySelector('[aria-busy=true]'));
        return [asked, drawn, await page.getByText('Choose an item on the board').isVisible()];""".replace(
            "HEADING", "document.querySelector('#item h2').textContent"
        ),
        addresses=[
            *(f"/items/{item['sleekplanId']}?{PAST}" for item in (first, second)),
            f"/items/{first['sleekplanId']}?at=2026-06-03T10:00:00Z&position=50000",
            "/items?at=2026-06-03T10:00:00Z&position=50000",
        ],
        title=second["title"],
    )

    assert found == [["Item", False, 0], [second["title"], True, 0], True]


async def test_what_of_an_item_or_the_rows_below_was_not_answered_is_asked_for_again(history, browser):
    first, _ = await two_items(history)
    await opened(browser, history, f"?{PAST}")

    await browser.run(
        f"""{HOLD}{TO}page.held.Board = (request) => JSON.parse(request.postData()).variables.after && 'away';
        page.held.Comments = () => 'away';
        await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
        await page.locator('#board .trouble', {{ hasText: 'does not answer' }}).waitFor();
        page.held = {{}};
        await page.locator('.board tbody tr').nth(100).waitFor();
        page.held.Comments = () => 'away';
        await to(address);
        await page.locator('#item summary', {{ hasText: 'Comments' }}).click();
        await page.locator('#item .part .trouble', {{ hasText: 'does not answer' }}).waitFor();
        page.held = {{}};
        await page.locator('#item .thread').first().waitFor();""",
        address=f"/items/{first['sleekplanId']}?{PAST}",
    )

    assert all(FAILED in problem for problem in await browser.problems())


async def test_an_answer_that_is_no_longer_asked_for_does_not_come_over_a_word(history, browser):
    since = quote("2026-05-01T00:00:00Z")
    await opened(browser, history, f"changes?{PAST}&since={since}")

    said = await browser.run(
        f"""{HOLD}{TO}await page.locator('#changes .differences').first().waitFor();
        const asked = page.hold('Changes');
        await to(addresses[0]);
        const go = await asked;
        await to(addresses[1]);
        await page.locator('#changes .empty').waitFor();
        go();
        await page.waitForFunction(() => !document.querySelector('[aria-busy=true]'));
        return page.locator('#changes .empty').textContent();""",
        addresses=[
            f"/changes?at={day}T10:00:00Z&position=50000&since={since}"
            for day in ("2026-07-02", "2026-03-02")
        ],
    )

    assert said.startswith("From 1 May 2026, 00:00 to 2 Mar 2026, 10:00 would run backwards.")


async def test_what_goes_wrong_with_one_question_is_not_said_of_another(history, browser):
    await opened(browser, history, f"ask/rising?{PAST}")

    said = await browser.run(
        f"""{HOLD}const asked = new Promise((resolve) => {{
            page.held.Flow = () => new Promise((go) => resolve(() => go('away')));
        }});
        await page.getByRole('button', {{ name: 'Flow' }}).click();
        const fail = await asked;
        await page.getByRole('button', {{ name: 'Ranks' }}).click();
        await page.locator('[data-question=ranks] .plot').waitFor();
        const missed = page.waitForEvent('requestfailed');
        fail();
        await missed;
        await page.evaluate(() => new Promise((drawn) => {{
            requestAnimationFrame(() => requestAnimationFrame(drawn));
        }}));
        return page.locator('[data-question=ranks] .trouble').textContent();"""
    )

    assert said == ""
    assert all(FAILED in problem for problem in await browser.problems())


async def test_of_two_moments_that_promises_are_asked_of_the_later_asked_is_shown(history, browser):
    await opened(browser, history, f"ask/promises?{PAST}")

    shown = await browser.run(
        f"""{HOLD}{TO}await page.locator('.numbers').waitFor();
        const first = page.hold('Statuses');
        await to(addresses[0]);
        const go = await first;
        const answered = page.waitForResponse((answer) => {{
            const body = answer.request().postData() ?? '';
            return body.includes('query Promises') && body.includes('2026-01-02');
        }});
        await to(addresses[1]);
        // Once all is asked for, the page writes the address as it would.
        await page.waitForFunction(() => !location.search.includes('going'));
        go();
        await answered;
        {ANSWERED};
        return page.locator('#ask .query pre').textContent();""",
        addresses=[
            f"/ask/promises?position=50000&at={at}"
            for at in ("2026-09-02T10:00:00Z", "2026-01-02T10:00:00Z&going")
        ],
        panel="#ask",
    )

    assert "2026-01-02T10:00:00Z" in shown
