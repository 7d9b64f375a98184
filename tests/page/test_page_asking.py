"""What the page asks of the board: each question as of its moment, in numbers, as a file, with its query."""

from __future__ import annotations

import csv
import io

import pytest

from tests.given.paged import gone_to, opened

pytestmark = pytest.mark.browser

PAST = "at=2026-06-02T10:00:00Z&position=50000"
MOMENT = {"time": "2026-06-02T10:00:00Z", "position": 50000}
QUESTIONS = ("rising", "ranks", "flow", "times", "promises", "satisfaction")
CHARTED = ("ranks", "flow", "times", "satisfaction")

NUMBERS = """const place = `[data-question=${question}]`;
    await page.locator(`${place} .numbers, ${place} .empty`).waitFor({ state: 'attached' });
    return page.evaluate((place) => [...document.querySelectorAll(`${place} .numbers tr`)].map(
        (row) => [...row.children].map((cell) => cell.textContent)), place)"""


async def numbers(driver, question):
    found: list[list[str]] = await driver.run(NUMBERS, question=question)
    return found


async def test_what_rises_is_told_beside_what_it_gained_before(history, browser):
    movers = (
        await history.ask(
            """query($asOf: AsOf) { movers(asOf: $asOf, window: {last: "P91D"}, metric: COMMENTS, first: 30) {
              item { title } gained gainedPrevious rankNow rankBefore } }""",
            asOf=MOMENT,
        )
    )["movers"]

    await opened(browser, history, f"ask/rising?{PAST}&over=P91D&metric=COMMENTS")

    _, *rows = await numbers(browser, "rising")
    assert [row[0] for row in rows] == [mover["item"]["title"] for mover in movers]
    assert [int(row[3]) for row in rows] == [mover["rankNow"] for mover in movers]
    assert rows[0][1] == f"+{movers[0]['gained']}"


async def test_ranks_over_months_are_lines_and_a_table(history, browser):
    series = (
        await history.ask(
            """query($asOf: AsOf) { rankHistory(asOf: $asOf, bucket: MONTH, window: {last: "P365D"}, top: 5) {
              item { title } points { t rank } } }""",
            asOf=MOMENT,
        )
    )["rankHistory"]

    def known(each):
        return {point["t"]: point["rank"] for point in each["points"]}

    times = sorted({at for each in series for at in known(each)})

    await opened(browser, history, f"ask/ranks?{PAST}&top=5")

    _, *rows = await numbers(browser, "ranks")
    assert rows == [
        [each["item"]["title"], *(str(known(each).get(at) or "–") for at in times)] for each in series
    ]


async def test_the_backlog_adds_up_to_the_board(history, browser):
    backlog = (
        await history.ask(
            """query($asOf: AsOf) { statusBacklog(asOf: $asOf, bucket: WEEK, window: {last: "P91D"}) {
              byStatus { items } } }""",
            asOf=MOMENT,
        )
    )["statusBacklog"]

    await opened(browser, history, f"ask/flow?{PAST}&over=P91D")

    _, *rows = await numbers(browser, "flow")
    assert [sum(map(int, row[1:])) for row in rows] == [
        sum(each["items"] for each in point["byStatus"]) for point in reversed(backlog)
    ]


async def test_promises_are_those_that_stand_on_the_roadmap_for_longer(history, browser):
    items = (
        await history.ask(
            """query($asOf: AsOf) { items(
              asOf: $asOf, first: 200, orderBy: {field: TIME_IN_STATUS, direction: DESC},
              filter: {statusRole: [ROADMAP], inStatusLongerThan: "P180D"}) { nodes { title } } }""",
            asOf=MOMENT,
        )
    )["items"]["nodes"]

    await opened(browser, history, f"ask/promises?{PAST}&over=P180D")

    rows = await numbers(browser, "promises")
    assert [row[0] for row in rows[1:]] == [item["title"] for item in items]


async def test_a_promise_says_how_many_votes_it_gained_since_it_was_made(history, browser):
    promises = (
        await history.ask(
            """query($asOf: AsOf) { items(
              asOf: $asOf, first: 6, orderBy: {field: TIME_IN_STATUS, direction: DESC},
              filter: {statusRole: [ROADMAP], inStatusLongerThan: "P30D"}
            ) { nodes { id status { key } } } }""",
            asOf=MOMENT,
        )
    )["items"]["nodes"]
    gained = [
        (
            await history.ask(
                """query($id: ID!, $key: String!, $asOf: AsOf) {
                  item(id: $id, asOf: $asOf) { votesSince(statusEntered: $key) { net } } }""",
                id=promise["id"],
                key=promise["status"]["key"],
                asOf=MOMENT,
            )
        )["item"]["votesSince"]["net"]
        for promise in promises
    ]

    await opened(browser, history, f"ask/promises?{PAST}&over=P30D")

    heads, *rows = await numbers(browser, "promises")
    told = [row[heads.index("Gained since")] for row in rows[: len(gained)]]
    assert [int(text.replace("−", "-").replace("±", "")) for text in told] == gained


@pytest.mark.parametrize("question", QUESTIONS)
async def test_each_question_has_a_link_its_query_and_its_numbers_as_a_file(history, browser, question):
    await opened(browser, history, "?at=2026-11-18T10:00:00Z&position=50000")
    await browser.run(
        """await page.getByRole('tab', { name: 'Ask' }).click();
        await page.locator(`.questions button`, { hasText: new RegExp(`^${question}$`, 'i') }).click();
        await page.waitForFunction((path) => location.pathname === path, `/ask/${question}`);""",
        question=question,
    )
    shown = await numbers(browser, question)

    saved, named, query = await browser.run(
        """const waited = page.waitForEvent('download');
        await page.getByRole('button', { name: 'Save as CSV' }).click();
        const download = await waited;
        const stream = await download.createReadStream();
        let text = '';
        for await (const part of stream) text += part;
        const query = await page.locator('.report .query pre').textContent();
        return [text, download.suggestedFilename(), query];"""
    )

    assert saved.startswith("\ufeff"), "a spreadsheet would misread its letters"
    rows = list(csv.reader(io.StringIO(saved[1:])))
    assert [len(row) for row in rows] == [len(row) for row in shown]
    assert rows[0] == shown[0]
    assert named.endswith("-2026-11-18.csv"), "files of several days could not be told apart"
    assert query.startswith("query ")
    if question in CHARTED:
        await browser.run("await page.locator('.report .plot canvas').waitFor()")
    await browser.run("await page.goBack(); await page.goBack()")


async def test_beside_a_question_the_other_views_can_be_clicked(history, browser):
    await opened(browser, history, "ask/ranks")
    await browser.run("await page.locator('.report .plot canvas').waitFor()")

    await browser.run("await page.getByRole('tab', { name: 'Feed' }).click()")

    await browser.run("await page.locator('#feed .events li').first().waitFor()")


async def test_a_cell_that_a_spreadsheet_would_run_is_marked_as_text(history, browser):
    await opened(browser, history)

    told = await browser.run(
        """return page.evaluate(async () => (await import('/page/ask/report.js')).csv(
            [['=1+1', 'a "word", and more', -3], ['@cell', 'plain', null]]))"""
    )

    assert list(csv.reader(io.StringIO(told))) == [
        ["'=1+1", 'a "word", and more', "-3"],
        ["'@cell", "plain", ""],
    ]


async def test_axe_finds_nothing_serious_in_any_question_nor_is_one_wider_than_a_small_screen(
    history, browsers
):
    driver = await browsers.tab(reducedMotion="reduce", viewport={"width": 320, "height": 740})
    await opened(driver, history, f"ask/{QUESTIONS[0]}?{PAST}")
    found: dict[str, tuple[list[str], int]] = {}
    for question in QUESTIONS:
        await gone_to(driver, f"ask/{question}?{PAST}", f"[data-question={question}]")
        await numbers(driver, question)
        wide = await driver.run("return page.evaluate(() => document.documentElement.scrollWidth)")
        parts = ["#ask"] if found else []
        serious = await driver.run(
            "return [...await axe(...parts), ...await axeInDark(...parts)]", parts=parts
        )
        found[question] = (serious, wide)

    assert found == dict.fromkeys(QUESTIONS, ([], 320))


async def test_a_question_that_is_not_answered_yet_says_that_it_is_asked(history, browser):
    await opened(browser, history, f"ask/rising?{PAST}")

    found = await browser.run(
        """let release;
        const held = new Promise((resolve) => { release = resolve; });
        await page.route('**/graphql*', async (route) => {
            if (route.request().postData()?.includes('satisfactionSeries')) await held;
            await route.fallback();
        });
        await page.getByRole('button', { name: 'Satisfaction' }).click();
        const waiting = page.locator('[data-question=satisfaction] [aria-busy=true]');
        await waiting.waitFor({ state: 'attached' });
        const said = await waiting.evaluate((body) => getComputedStyle(body, '::before').content);
        release();
        await page.locator('[data-question=satisfaction] .plot').waitFor();
        await page.unroute('**/graphql*');
        return [said, await waiting.count()];"""
    )

    assert found == ['"Asking …"', 0]
