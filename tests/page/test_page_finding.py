"""What is looked for on the board: words, filters and order, as of the moment and in the address."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from tests.given.paged import ROWS, opened, rows

pytestmark = pytest.mark.browser

FOUND = """query Found(
  $asOf: AsOf, $filter: ItemFilter, $orderBy: ItemOrderBy!, $window: Window, $first: Int = 25
) {
  items(asOf: $asOf, filter: $filter, orderBy: $orderBy, window: $window, first: $first) {
    totalCount
    nodes { id title tags type status { key } }
  }
}"""
MOMENT = {"time": "2026-06-02T10:00:00Z", "position": 50000}
PAST = "at=2026-06-02T10:00:00Z&position=50000"
EVERY = 500


def by(field: str) -> dict[str, str]:
    return {"field": field, "direction": "DESC"}


async def as_the_page_asks(browser, **variables):
    """Return what is found without private notes, of which the words of comments are searched too."""
    return await browser.run(
        """return page.evaluate(async ([query, variables]) => (await (await fetch('/graphql?scopes=read', {
            method: 'POST', headers: { 'Content-Type': 'application/json' },
            body: JSON.stringify({ query, variables }),
        })).json()).data, [query, variables])""",
        query=FOUND,
        variables=variables,
    )


@pytest.mark.parametrize(
    ("said", "filter_", "order"),
    [
        ({"search": "calendar"}, {"search": "calendar"}, "RELEVANCE"),
        ({"search": "calendar", "sort": "votes"}, {"search": "calendar"}, "VOTES"),
        ({"role": "done"}, {"statusRole": ["DONE"]}, "VOTES"),
        ({"deleted": "only"}, {"deleted": True}, "VOTES"),
        ({"deleted": "too", "sort": "new"}, {"deleted": None}, "CREATED_AT"),
        ({"sort": "gain", "window": "P90D"}, {}, "VOTES_IN_WINDOW"),
        ({"sort": "waiting", "role": "roadmap"}, {"statusRole": ["ROADMAP"]}, "TIME_IN_STATUS"),
    ],
)
async def test_an_address_says_what_is_looked_for_as_of_its_moment(history, browser, said, filter_, order):
    window = {"last": said["window"]} if "window" in said else None

    await opened(browser, history, f"?{PAST}&{urlencode(said)}")
    answer = await as_the_page_asks(browser, asOf=MOMENT, filter=filter_, orderBy=by(order), window=window)

    assert [row[0] for row in await rows(browser)] == [item["id"] for item in answer["items"]["nodes"]]
    assert f"{answer['items']['totalCount']:,} item" in await browser.run(
        "return page.locator('#board .count').textContent()"
    )


async def test_status_and_type_are_chosen_from_what_the_board_has(history, browser):
    items = (await history.ask(FOUND, orderBy=by("LAST_ACTIVITY_AT"), first=EVERY))["items"]["nodes"]
    item = next(item for item in items if item["type"] and item["status"])
    await opened(browser, history)

    for name, value in (("Status", item["status"]["key"]), ("Type", item["type"])):
        await browser.run(
            """const select = page.getByRole('combobox', { name, exact: true });
            await select.locator(`option[value="${value}"]`).waitFor({ state: 'attached' });
            await select.selectOption(value);
            await page.waitForFunction(
                ([name, value]) => new URLSearchParams(location.search).get(name.toLowerCase()) === value,
                [name, value]);""",
            name=name,
            value=value,
        )

    wanted = {"status": {"eq": item["status"]["key"]}, "type": {"eq": item["type"]}}
    found = (await history.ask(FOUND, filter=wanted, orderBy=by("VOTES")))["items"]["nodes"]
    await browser.run(
        f"""await page.waitForFunction(
            (ids) => JSON.stringify({ROWS}.map(([id]) => id)) === JSON.stringify(ids), ids);""",
        ids=[item["id"] for item in found],
    )


async def test_what_is_chosen_is_an_argument_of_the_api(history, browser):
    await opened(browser, history)

    found = await browser.run(
        """return page.evaluate(async () => (await import('/page/finder.js')).itemsOf(
            { search: 'a', role: 'done', type: 'b', tag: 'c', deleted: 'too', sort: 'gain' }, 'P7D'))"""
    )

    assert found == {
        "filter": {
            "search": "a",
            "statusRole": ["DONE"],
            "type": {"eq": "b"},
            "tags": {"has": "c"},
            "deleted": None,
        },
        "orderBy": by("VOTES_IN_WINDOW"),
        "window": {"last": "P7D"},
    }


async def test_what_is_typed_is_looked_for_and_cleared_again(history, browser):
    await opened(browser, history)

    await browser.run(
        """await page.locator('[role=slider]').focus();
        await page.keyboard.press('/');
        await page.keyboard.type('calendar');
        await page.waitForFunction(() => location.search === '?search=calendar');
        await page.locator('#board .count', { hasText: 'found' }).waitFor();
        await page.keyboard.press('ArrowDown');
        await page.waitForFunction(() => document.activeElement.matches('.board a.title'));
        await page.keyboard.press('Control+K');
        await page.keyboard.type('offline');
        // Before anything can have been found.
        await page.keyboard.press('Enter');
        await page.waitForFunction(() => /offline/i.test(document.activeElement.textContent)
            && document.activeElement === document.querySelector('.board a.title'));
        await page.keyboard.press('Control+K');
        await page.waitForFunction(() => document.activeElement.type === 'search');
        await page.keyboard.type('no item has such words at all');
        await page.getByText('No item matches.').waitFor();
        await page.getByRole('button', { name: 'Show all', exact: true }).click();
        await page.waitForFunction(() => location.search === '');
        await page.waitForFunction(() => document.querySelectorAll('.board tbody tr').length >= 25);"""
    )


async def test_brackets_and_a_slash_are_keys_on_layouts_that_have_them_with_altgr(history, browser):
    await opened(browser, history, f"?{PAST}")

    await browser.run(
        """const press = (key, how) => page.evaluate(([key, how]) => document.querySelector('[role=slider]')
            .dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, ...how })), [key, how]);
        const before = await page.locator('.day').textContent();
        await press('[', { ctrlKey: true, altKey: true });
        await page.waitForFunction((before) => document.querySelector('.day').textContent !== before, before);
        await press('/', { altKey: true });
        await page.waitForFunction(() => document.activeElement.type === 'search');"""
    )


async def test_every_item_is_reached_by_scrolling_and_far_rows_are_folded(history, browser):
    answer = await history.ask(FOUND, filter={"deleted": None}, orderBy=by("VOTES"), first=EVERY)
    await opened(browser, history, "?deleted=too")

    reached = await browser.run(
        """const seen = new Set();
        // A screen at a time, and in the same breath: rows that come meanwhile and are passed are folded.
        for (let step = 0; seen.size < total && step < 1_000; step++) {
            const ids = await page.evaluate(async () => {
                await new Promise(requestAnimationFrame);
                const rows = [...document.querySelectorAll('.board tr[data-id]')];
                scrollBy(0, innerHeight);
                return rows.map(({ dataset }) => dataset.id);
            });
            for (const id of ids) seen.add(id);
        }
        await page.evaluate(() => scrollTo(0, 0));
        await page.waitForFunction(() => document.querySelector('.board tbody:empty')?.clientHeight);
        return [...seen];""",
        total=answer["items"]["totalCount"],
    )

    assert set(reached) == {item["id"] for item in answer["items"]["nodes"]}


async def test_rows_come_a_few_a_frame_and_a_drag_asks_for_those_in_sight(history, browser):
    """A hundred rows at once are a frame of 100 ms, and 200 rows a step of four times as long."""
    await opened(browser, history)

    at_once, asked = await browser.run(
        """await page.evaluate(() => {
            const board = document.querySelector('.board');
            const counts = [board.rows.length];
            window.added = [];
            new MutationObserver(() => added.push(counts[counts.push(board.rows.length) - 1] - counts.at(-2)))
                .observe(board, { childList: true, subtree: true });
        });
        await page.waitForFunction(() => {
            scrollTo(0, document.documentElement.scrollHeight);
            return document.querySelectorAll('.board tbody tr').length >= 200;
        });
        await page.evaluate(() => scrollTo(0, 0));
        const asking = page.waitForRequest((request) => request.postDataJSON()?.variables?.course === false);
        const track = await page.locator('.track').boundingBox();
        await page.mouse.move(track.x + track.width * 0.9, track.y + 20);
        await page.mouse.down();
        await page.mouse.move(track.x + track.width * 0.8, track.y + 20);
        const { first } = (await asking).postDataJSON().variables;
        await page.mouse.up();
        return [Math.max(...await page.evaluate(() => window.added)), first];"""
    )

    assert (at_once, asked) == (25, 25)


async def test_after_back_the_field_says_what_is_looked_for_also_while_the_focus_is_there(history, browser):
    await opened(browser, history)

    words = await browser.run(
        """await page.locator('.board a.title').first().click();
        await page.locator('#item .facts').waitFor();
        await page.keyboard.press('/');
        await page.keyboard.type('export');
        await page.waitForFunction(() => location.search.includes('search=export'));
        await page.goBack();
        await page.waitForFunction(() => !location.search.includes('search'));
        return page.getByLabel('Search items').inputValue();"""
    )

    assert words == ""
