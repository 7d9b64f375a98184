"""Answers that come late or never: what is shown was asked for last, and what is missing is asked for."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.given.paged import ANSWERED, opened

pytestmark = pytest.mark.browser

PAST = "at=2026-06-02T10:00:00Z&position=50000"
ITEMS = """query($asOf: AsOf) { items(asOf: $asOf, first: 20, orderBy: {field: VOTES, direction: DESC}) {
  nodes { sleekplanId productId title comments(first: 0, filter: {deleted: null}) { totalCount } }
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


async def test_an_error_in_the_place_of_comments_is_said_there(history, browser):
    first, _ = await two_items(history)
    await opened(browser, history, f"items/{first['sleekplanId']}?{PAST}")

    await browser.run(
        """await page.route('**/graphql?*', (route) => route.request().postData()?.includes('query Comments')
            ? route.fulfill({ json: { data: { item: null }, errors: [{ message: 'a fault of ours' }] } })
            : route.fallback());
        await page.locator('#item summary', { hasText: 'Comments' }).click();
        await page.locator('#item .part .trouble', { hasText: 'a fault of ours' }).waitFor();
        await idle();"""
    )

    assert await browser.problems() == []


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


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (502, '{"message": "Bad gateway"}'),
        (200, "null"),
        (503, '{"data": null, "errors": [{"message": "away", "extensions": {"code": "POSTGRES_AWAY"}}]}'),
        (
            200,
            '{"data": {"item": null}, "errors": [{"message": "", "extensions": {"code": "POSTGRES_AWAY"}}]}',
        ),
    ],
)
async def test_what_is_no_answer_of_the_services_or_says_to_ask_again_is_asked_again(
    history, browser, status, body
):
    first, _ = await two_items(history)

    title, notice, address = await browser.run(
        """let broken = true;
        await page.route('**/graphql?*', (route) =>
            broken ? route.fulfill({ status, body, contentType: 'application/json' }) : route.fallback());
        const answered = () => page.waitForResponse((answer) => answer.url().includes('graphql?'));
        const asked = answered();
        await page.goto(address);
        await asked;
        broken = false;
        await page.locator('.board tbody tr').first().waitFor();
        broken = true;
        const again = answered();
        await page.evaluate((address) => {
            history.pushState(null, '', address);
            dispatchEvent(new PopStateEvent('popstate'));
        }, there);
        await again;
        broken = false;
        await page.locator('#item .facts').waitFor();
        return [await page.locator('#item h2').textContent(), await page.locator('#notice').textContent(),
            page.url()];""",
        address=f"{history.address}/?product={first['productId']}",
        there=f"/items/{first['sleekplanId']}?product={first['productId']}&{PAST}",
        status=status,
        body=body,
    )

    assert title == first["title"]
    assert notice == ""
    assert f"product={first['productId']}" in address
    assert all("Failed to load resource" in problem for problem in await browser.problems())


@pytest.mark.parametrize(("view", "name"), [("changes", "views/changes.js"), ("ask", "ask/rising.js")])
async def test_a_part_of_the_page_that_cannot_be_loaded_is_said_to_be_and_loaded_later(
    history, browser, view, name
):
    await opened(browser, history, f"?{PAST}")

    await browser.run(
        """await page.route(`**/page/${name}`, (route) => route.abort());
        await page.locator(`#tab-${view}`).click();
        await page.locator(`#${view} .trouble`, { hasText: 'is not there' }).waitFor();
        await page.unrouteAll();
        await page.locator(`#${view} h3, #${view} table`).first().waitFor();""",
        view=view,
        name=name,
    )

    assert all(FAILED in problem for problem in await browser.problems())


async def test_a_part_of_another_version_says_that_the_page_is_to_be_loaded_anew(history, browser):
    await opened(browser, history, f"?{PAST}")

    await browser.run(
        """await page.route('**/page/views/changes.js', async (route) => route.fulfill({
            contentType: 'text/javascript', body: 'import { nothing } from "../dom.js"' }));
        await page.locator('#tab-changes').click();
        await page.locator('#changes .trouble', { hasText: 'load this page anew' }).waitFor();"""
    )


async def test_who_went_elsewhere_before_a_step_was_answered_stays_there(history, browser):
    await opened(browser, history, f"?{PAST}")

    assert (
        await browser.run(
            f"""{HOLD}const steps = page.hold('Steps');
            await page.getByRole('button', {{ name: 'One event back' }}).click();
            const go = await steps;
            await page.getByRole('button', {{ name: 'Back to live' }}).click();
            await page.waitForFunction(() => document.querySelector('.day').textContent === 'Now');
            const came = page.waitForResponse(
                (answer) => answer.request().postData()?.includes('query Steps'));
            go();
            await came;
            await page.evaluate(() => new Promise((drawn) => {{
                requestAnimationFrame(() => requestAnimationFrame(drawn));
            }}));
            return page.locator('.day').textContent();"""
        )
        == "Now"
    )


async def test_a_clock_that_cannot_be_turned_to_leaves_the_moment_as_it_is(history, browser):
    await opened(browser, history, f"?{PAST}")

    clock, day = await browser.run(
        f"""{HOLD}page.held.Steps = () => 'away';
        const clock = page.getByLabel('Clock');
        await clock.selectOption('RECORDED');
        await page.locator('#board .trouble', {{ hasText: 'does not answer' }}).waitFor();
        return [await clock.inputValue(), await page.locator('.day').textContent()];"""
    )

    assert (clock, day) == ("OCCURRED", "Tuesday, 2 June 2026")
    assert all(FAILED in problem for problem in await browser.problems())
