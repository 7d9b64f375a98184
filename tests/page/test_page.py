"""The page used as a person would: dragged, stepped, played, read aloud, cut off and attacked."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from projections.lease import Lease
from service.events import decode
from service.log.database import open_pool
from service.log.event_store import EventStore
from service.postgres.embedded import attach
from tests.given.folders import PAYLOADS
from tests.given.paged import (
    ANSWERED,
    DRAG,
    ROWS,
    board_by_api,
    gone_to,
    moment_of,
    opened,
    projected,
    rows,
    small_board,
    told_to,
    votes,
)
from tests.given.ports import free_port
from tests.given.running import Running, running

pytestmark = pytest.mark.browser


async def test_dragging_shows_the_board_as_the_api_has_it_at_that_moment(history, browser):
    await opened(browser, history)
    live = await rows(browser)

    await browser.run(DRAG, **{"from": 0.98, "to": 0.4, "steps": 5})
    moment = await moment_of(browser)

    assert await rows(browser) == await board_by_api(history, moment)
    assert await rows(browser) != live
    assert await browser.run("return page.locator('.live-button').textContent()") == "Back to live"


async def test_each_step_of_dragging_shows_the_board_of_its_own_moment(history, browser):
    await opened(browser, history)

    steps = await browser.run(
        """const box = await page.locator('.track').boundingBox();
        const asked = [];
        page.on('request', (request) => {
            const body = request.postDataJSON();
            if (body?.query?.startsWith('query Board')) asked.push(body.variables.asOf);
        });
        const steps = [];
        const last = () => performance.getEntriesByName('recount:step').at(-1)?.startTime;
        const stepped = (before) => page.waitForFunction((before) => {
            const last = performance.getEntriesByName('recount:step').at(-1)?.startTime;
            return last !== before && ROWS;
        }, before).then((found) => found.jsonValue());
        const begun = await page.evaluate(last);
        await page.mouse.move(box.x + box.width * 0.9, box.y + 20);
        await page.mouse.down();
        await stepped(begun);
        for (const share of [0.8, 0.6, 0.61, 0.3]) {
            const before = await page.evaluate(last);
            await page.mouse.move(box.x + box.width * share, box.y + 20);
            steps.push(await stepped(before).then((rows) => [asked.at(-1), rows]));
        }
        await page.mouse.up();
        return steps;""".replace("ROWS", ROWS)
    )

    assert len({moment["time"] for moment, _ in steps}) == 4
    for moment, shown in steps:
        assert shown == await board_by_api(history, moment)


async def test_what_is_asked_while_the_hand_rests_makes_way_for_the_next_step(history, browser):
    await opened(browser, history)

    # The courses of votes are never answered here: a step that waited for them would not come.
    await browser.run(
        """await page.route('**/graphql*', async (route) => {
            if (!route.request().postDataJSON()?.variables?.course) await route.continue();
        });
        const box = await page.locator('.track').boundingBox();
        await page.mouse.move(box.x + box.width * 0.9, box.y + 20);
        await page.mouse.down();
        const courses = page.waitForRequest((request) => request.postDataJSON()?.variables?.course);
        await page.mouse.move(box.x + box.width * 0.7, box.y + 20);
        await courses;
        const before = await page.evaluate(() => performance.getEntriesByName('recount:step').length);
        await page.mouse.move(box.x + box.width * 0.5, box.y + 20);
        await page.waitForFunction(
            (before) => performance.getEntriesByName('recount:step').length > before, before);
        await page.mouse.up();
        await page.unroute('**/graphql*');"""
    )


async def test_an_arrow_key_goes_one_event_on_and_the_other_one_back(history, browser):
    await opened(browser, history, "?at=2026-03-02T10:00:00Z&position=50000")
    await browser.run("await page.locator('[role=slider]').focus(); await page.keyboard.press('ArrowRight')")
    filter_ = {"occurred": {"from": "2026-03-02T10:00:00.000001Z"}, "position": {"lte": 50000}}
    events = (
        await history.ask(
            """query Next($filter: EventFilter) {
              events(filter: $filter, first: 20, orderBy: {field: OCCURRED_AT, direction: ASC}) {
                nodes { occurredAt summary }
              }
            }""",
            filter=filter_,
        )
    )["events"]["nodes"]
    moments = sorted({event["occurredAt"] for event in events})

    await browser.run("await page.waitForFunction((at) => location.search.includes(at), at)", at=moments[0])
    assert events[0]["summary"] in await browser.run("return page.locator('.said').textContent()")
    await browser.run("await page.keyboard.press('ArrowRight')")
    await browser.run("await page.waitForFunction((at) => location.search.includes(at), at)", at=moments[1])
    assert await rows(browser) == await board_by_api(history, {"time": moments[1], "position": 50000})
    await browser.run("await page.keyboard.press('ArrowLeft')")
    await browser.run("await page.waitForFunction((at) => location.search.includes(at), at)", at=moments[0])


async def test_on_our_own_clock_an_arrow_key_goes_one_position_on(history, browser):
    await opened(browser, history, "?position=15000&clock=recorded")
    told = await history.ask(
        "{ events(filter: {position: {gte: 15000, lte: 15001}}) { nodes { recordedAt summary } } }"
    )
    first, second = told["events"]["nodes"]

    await browser.run(
        "await page.waitForFunction((at) => location.search.includes(at), at)", at=first["recordedAt"]
    )
    await browser.run("await page.locator('[role=slider]').focus(); await page.keyboard.press('ArrowRight')")
    await browser.run("await page.waitForFunction(() => location.search.includes('position=15001'))")

    assert await browser.run("return page.locator('.said').textContent()") == second["summary"]
    assert await rows(browser) == await board_by_api(history, {"position": 15001})


async def test_shift_and_arrow_go_a_day_and_the_ends_have_keys(history, browser):
    await opened(browser, history, "?at=2026-03-02T10:00:00.000Z&position=50000")

    await browser.run(
        """await page.locator('[role=slider]').focus(); await page.keyboard.press('Shift+ArrowLeft');
        await page.waitForFunction(() => location.search.includes('2026-03-01T10:00:00'));
        await page.keyboard.press('Home');
        await page.waitForFunction(() => document.querySelector('[role=slider]').getAttribute('aria-valuenow')
            === document.querySelector('[role=slider]').getAttribute('aria-valuemin'));
        await page.keyboard.press('End');
        await page.waitForFunction(() => location.search === '');"""
    )

    assert await browser.run("return page.locator('.day').textContent()") == "Now"


async def test_playing_moves_the_board_on_until_it_is_live_again(history, browser):
    await opened(browser, history, "?at=2026-09-02T10:00:00Z&position=50000")
    await browser.run("await page.locator('[aria-label=Speed]').selectOption('fast')")

    # The page tells each day that it shows: who looks now and then sees the fewer the slower the machine is.
    shown, paused = await browser.run(
        """await page.evaluate(() => {
            const day = document.querySelector('.day'), play = document.querySelector('[title^=Play]');
            window.shown = [];
            new MutationObserver(() => {
                window.shown.push(day.textContent);
                window.paused ||= play.textContent === 'Pause' && play.ariaPressed === 'true';
            }).observe(day, { childList: true, characterData: true, subtree: true });
        });
        await page.keyboard.press('Escape');
        await page.locator('[role=slider]').focus();
        await page.keyboard.press('Space');
        await page.waitForFunction(() => window.shown.at(-1) === 'Now', null, { timeout: 50_000 });
        return page.evaluate(() => [window.shown, window.paused]);"""
    )

    assert paused
    assert len(shown) > 5
    assert shown[-1] == "Now"
    assert (
        await browser.run("return page.getByRole('button', {name: 'Play'}).getAttribute('aria-pressed')")
        == "false"
    )


async def test_a_saved_moment_opens_as_it_was_even_after_an_older_event_arrived_late(history, browser):
    await opened(browser, history)
    await browser.run(DRAG, **{"from": 0.9, "to": 0.5, "steps": 2})
    moment = await moment_of(browser)
    before, address = await rows(browser), await browser.run("return page.url()")

    # A vote for the leader that happened before the saved moment, and that we learn of only now.
    leader = (
        await history.ask("query($id: ID!) { item(id: $id) { sleekplanId productId } }", id=before[0][0])
    )["item"]
    told = json.loads((PAYLOADS / "vote.create.json").read_text())
    at = datetime.fromisoformat(moment["time"]) - timedelta(hours=1)
    told |= {"product_id": leader["productId"], "timestamp": str(int(at.timestamp() * 1000))}
    told["data"]["feedback_item"] |= {
        "feedback_id": leader["sleekplanId"],
        "total_up": 9_999,
        "total_sum": 9_999,
    }
    status, answer = await history.post(json.dumps(told).encode())
    assert status == 200
    await projected(history, answer["position"])
    now = await board_by_api(history, {"time": moment["time"], "position": answer["position"]})

    await browser.run("await page.goto('about:blank')")
    await opened(browser, history, address.removeprefix(f"{history.address}/"))

    assert await rows(browser) == before
    assert now != before


async def test_an_item_shows_its_course_its_wordings_with_their_votes_and_its_events(history, browser):
    reworded = await history.ask(
        """{ items(first: 60) { nodes { sleekplanId title revisions(fields: ["title"]) { position } } } }"""
    )
    item = next(item for item in reworded["items"]["nodes"] if item["revisions"])
    await opened(browser, history)

    await browser.run(
        """await page.getByRole('link', {name: title, exact: true}).first().click();
        await page.waitForSelector('#item .events li');""",
        title=item["title"],
    )

    shown = await browser.run(
        """return page.evaluate(() => ({
            heading: document.querySelector('#item h2').textContent,
            curve: document.querySelector('#item svg.curve').getAttribute('aria-label'),
            bands: document.querySelectorAll('#item .band').length,
            periods: document.querySelectorAll('#item .periods li').length,
            split: document.querySelectorAll('#item .revisions .split strong').length,
            diffs: document.querySelectorAll('#item ins, #item del').length,
            provenance: document.querySelector('#item .provenance dl').textContent,
            query: document.querySelector('#item > .query pre').textContent,
            address: location.pathname}))"""
    )
    assert shown["heading"] == item["title"]
    assert shown["curve"].startswith("Votes from ")
    assert shown["bands"] == shown["periods"] > 0
    assert shown["split"] >= 2
    assert shown["diffs"] > 0
    assert "position" in shown["provenance"]
    assert "query Item(" in shown["query"]
    assert f'"sleekplanId": "{item["sleekplanId"]}"' in shown["query"]
    assert shown["address"] == f"/items/{item['sleekplanId']}"


async def test_what_changed_names_new_items_and_what_moved_since_a_week_before(history, browser):
    moment = {"time": "2026-03-02T10:00:00.000Z", "position": 50000}
    diff = (
        await history.ask(
            """query($from: AsOf!, $to: AsOf) { boardDiff(from: $from, to: $to) {
              addedCount added { title }
              changed { after { title } changes { field before after } }
            } }""",
            **{"from": {**moment, "time": "2026-02-23T10:00:00.000Z"}, "to": moment},
        )
    )["boardDiff"]
    moved = {
        each["after"]["title"]: " ".join(
            _moved(change) for change in each["changes"] if change["before"] != change["after"]
        )
        for each in diff["changed"]
        if {change["field"] for change in each["changes"]} <= {"votes", "commentCount"}
    }

    await opened(browser, history, "?at=2026-03-02T10:00:00.000Z&position=50000&view=changes&since=week")
    await browser.run("await page.waitForSelector('#changes .differences li')")

    text = await browser.run("return page.locator('#changes').innerText()")
    told = await browser.run(
        """return page.evaluate(() => [...[...document.querySelectorAll('#changes h3')]
            .find(({textContent}) => textContent.startsWith('Moved')).nextSibling.children]
            .map((line) => [line.querySelector('.title').textContent,
                [...line.querySelectorAll('.gain')].map(({textContent}) => textContent).join(' ')]))"""
    )
    assert f"{diff['addedCount']} new item" in text
    assert all(item["title"] in text for item in diff["added"])
    assert f"{len(moved)} moved by votes or comments alone" in text
    assert all(moved[title] == said for title, said in told)
    assert len(told) == min(60, len(moved))
    assert any("comment" in said for _, said in told)


def _moved(change):
    by = change["after"] - change["before"]
    noun = {"votes": "vote", "commentCount": "comment"}[change["field"]]
    return f"{by:+d} {noun}{'' if abs(by) == 1 else 's'}".replace("-", "−")


async def test_what_is_cut_is_told_with_how_much_there_is(history, browser):
    await opened(browser, history, "?at=2026-03-02T10:00:00.000Z&position=50000")
    await browser.run(
        """await page.route('**/graphql*', async (route) => {
            const { query } = route.request().postDataJSON();
            const answer = await route.fetch();
            const told = await answer.json();
            if (query.includes('boardDiff')) told.data.boardDiff.changedCount = 3512;
            if (query.includes('query Promises')) told.data.items.totalCount = 1043;
            return route.fulfill({ response: answer, json: told });
        });
        await page.getByRole('tab', { name: 'Changes' }).click();
        await page.locator('#changes .quiet', { hasText: '3,512 changed or moved, of which' }).waitFor();
        await page.getByRole('tab', { name: 'Ask' }).click();
        await page.getByRole('button', { name: 'Promises' }).click();
        await page.locator('#ask .quiet', { hasText: /^The first \\d+ of 1,043, / }).waitFor();
        await page.unrouteAll({ behavior: 'wait' });"""
    )


async def test_each_panel_shows_the_query_behind_it(history, browser):
    await opened(browser, history)

    for view in ("changes", "feed", "projections"):
        await browser.run("await page.locator(`#tab-${view}`).click()", view=view)
        query = await browser.run("return page.locator(`#${view} > .query pre`).textContent()", view=view)
        assert query.startswith(("query ", "subscription "))
    link = await browser.run("return page.locator('#board .query a').getAttribute('href')")
    assert link.startswith("/graphql?query=query+Board")


async def test_a_paused_feed_keeps_what_it_shows_and_resumes_across_a_restart_of_the_service(
    tmp_path, browser
):
    voting = votes(1)
    port = free_port()
    async with small_board(tmp_path, port) as service:
        await service.post((PAYLOADS / "item.create.json").read_bytes())
        await browser.run(
            "await page.goto(url); await page.waitForSelector('#feed .events li')", url=service.address
        )
        await browser.run("await page.waitForFunction(() => document.body.dataset.connection === 'open')")
        await service.post(next(voting))
        await browser.run(
            """await page.waitForFunction(() => document.querySelectorAll('#feed .events li').length === 2);
            // The votes are another product's.
            await page.getByLabel('Product').waitFor();
            await page.waitForFunction(() => document.body.dataset.connection === 'open');"""
        )

        await browser.run("await page.getByRole('button', {name: 'Pause'}).click()")
        for _ in range(3):
            await service.post(next(voting))
        await browser.run("await page.getByRole('button', {name: 'Resume, 3 new'}).waitFor()")
    await browser.run("await page.waitForFunction(() => document.body.dataset.connection === 'lost')")
    assert "Connection lost at position 5" in await browser.run(
        "return page.locator('#connection').textContent()"
    )

    # What happens before the page is back is replayed to it, once each, from where it had got; all that is
    # counted, also where how much it is cannot be learnt at first.
    await browser.run(
        """let times = 0;
        await page.route('**/graphql?*', async (route) => {
            if (!route.request().postData()?.includes('query Newest')) return route.fallback();
            if (!times++) return route.abort();
            await page.getByRole('button', {name: 'Resume, 7 new'}).waitFor();
            await route.fallback();
        })"""
    )
    async with small_board(tmp_path, port) as service:
        for _ in range(4):
            await service.post(next(voting))
        await browser.run("await page.getByRole('button', {name: 'Resume, 7 new'}).waitFor()")
        told = await browser.run(
            """await page.locator('#connection', {hasText: 'replayed'}).waitFor();
            return page.locator('#connection').textContent()"""
        )
        assert told == "Connected again: resumed after position 5, 4 events replayed."
        assert await browser.run("return page.locator('#feed .events li').count()") == 2

        await browser.run("await page.getByRole('button', {name: 'Resume, 7 new'}).click()")
        positions = await browser.run(
            """return page.locator('#feed .events li').evaluateAll(
                (lines) => lines.map((line) => Number(line.dataset.position)))"""
        )
        assert positions == [9, 8, 7, 6, 5, 4, 3, 2, 1]
        await browser.run("await page.goto('about:blank')")
    await browser.run("problems.splice(0)")  # the browser itself reports the refused connections


async def test_several_products_can_be_chosen_between_and_each_shows_its_own_board(tmp_path, browser):
    told = json.loads((PAYLOADS / "item.create.json").read_text())
    first, second = told["product_id"], 7_700_000_077
    title = told["data"]["title"]
    async with small_board(tmp_path) as service:
        await told_to(service, json.dumps(told).encode())
        await opened(browser, service)
        assert await browser.run("return page.getByLabel('Product').count()") == 0

        told |= {"product_id": second}
        told["data"]["title"] = "An item of the other product"
        await told_to(service, json.dumps(told).encode())
        await opened(browser, service)
        select = "page.getByLabel('Product')"
        assert await browser.run(f"return {select}.locator('option').allTextContents()") == [
            "all products",
            *(f"product {product}" for product in sorted([int(first), second])),
        ]
        assert len(await rows(browser)) == 2

        for product, wanted in ((second, "An item of the other product"), (int(first), title)):
            await browser.run(
                f"""await {select}.selectOption(product);
                await page.waitForFunction((product) => location.search.includes(`product=${{product}}`)
                    && document.querySelectorAll('.board tbody tr').length === 1, product);
                await page.locator('.board a.title', {{hasText: wanted}}).waitFor();""",
                product=str(product),
                wanted=wanted,
            )
            assert [row[1] for row in await rows(browser)] == [wanted]
            assert await browser.run("return page.locator('#feed .events li').count()") == 1
            assert await browser.run(f"return {select}.inputValue()") == str(product)
        await browser.run("await page.goto('about:blank')")


async def test_a_product_that_comes_while_the_page_is_open_can_be_chosen_and_its_items_opened(
    tmp_path, browser
):
    told = json.loads((PAYLOADS / "item.create.json").read_text())
    async with small_board(tmp_path) as service:
        await told_to(service, json.dumps(told).encode())
        await opened(browser, service, f"items/{told['data']['feedback_id']}")
        await browser.run(
            """await page.locator('#item .facts').waitFor();
            await page.waitForFunction(() => document.body.dataset.connection === 'open');"""
        )

        # Its item has the same number.
        other = told | {"product_id": 7_700_000_077, "data": told["data"] | {"title": "Of the other"}}
        await told_to(service, json.dumps(other).encode())

        found = await browser.run(
            """await page.getByLabel('Product').waitFor();
            await page.locator('#item .facts').waitFor();
            const before = await page.locator('#item h2').textContent();
            await page.locator('.board a.title', { hasText: 'Of the other' }).click();
            await page.waitForFunction(() => HEADING === 'Of the other');
            const found = [before, await page.evaluate(() => location.pathname),
                await page.getByLabel('Product').locator('option').count()];
            await page.goto('about:blank');
            return found;""".replace("HEADING", "document.querySelector('#item h2').textContent")
        )

    assert found == [told["data"]["title"], f"/items/{told['data']['feedback_id']}@7700000077", 3]


async def test_while_another_product_is_read_nothing_of_the_one_before_can_be_pressed(tmp_path, browser):
    told = json.loads((PAYLOADS / "item.create.json").read_text())
    products = [int(told["product_id"]), 7_700_000_077]
    async with small_board(tmp_path) as service:
        for product in products:
            await told_to(service, json.dumps(told | {"product_id": product}).encode())
        await opened(browser, service, f"?product={products[0]}")

        seen, back = await browser.run(
            """await page.waitForFunction(() => document.body.dataset.connection === 'open');
            let go;
            const asked = new Promise((resolve) => page.route('**/graphql?*', async (route) => {
                if (route.request().postData()?.includes('query Extent')) {
                    await new Promise((on) => resolve(go = on));
                    await page.unroute('**/graphql?*');
                }
                await route.fallback();
            }));
            await page.getByLabel('Product').selectOption(products[1]);
            await asked;
            const seen = await page.locator('.board').isVisible();
            go();
            await page.locator('.board a.title').waitFor();
            // Loaded anew, and gone back from before anything was answered.
            const early = new Promise((resolve) => page.route('**/graphql?*', async (route) => {
                await page.unroute('**/graphql?*');
                await new Promise((on) => resolve(go = on));
                await route.fallback();
            }));
            await page.evaluate((product) => history.pushState(null, '', `?product=${product}`), products[0]);
            await page.reload({ waitUntil: 'domcontentloaded' });
            await early;
            await page.evaluate(() => history.back());
            await page.waitForFunction((product) => location.search.includes(product), products[1]);
            go();
            await page.locator('.board a.title').waitFor();
            const found = [await page.getByLabel('Product').inputValue(), new URL(page.url()).search];
            await page.goto('about:blank');
            return [seen, found];""",
            products=[str(product) for product in products],
        )
        await browser.run("problems.splice(0)")  # the browser itself reports the line that was let go at once

    assert seen is False
    assert back == [str(products[1]), f"?product={products[1]}"]


async def test_of_two_products_chosen_in_a_breath_the_last_is_shown_and_followed_alone(tmp_path, browser):
    told = json.loads((PAYLOADS / "item.create.json").read_text())
    products = [int(told["product_id"]), 7_700_000_077]
    async with small_board(tmp_path) as service:

        async def tell(product: int, title: str) -> None:
            told["data"] |= {"title": title, "feedback_id": int(told["data"]["feedback_id"]) + 1}
            await told_to(service, json.dumps(told | {"product_id": product}).encode())

        for product in products:
            await tell(product, f"Of {product}")
        await opened(browser, service)
        # The answer about the one that was chosen first comes last.
        await browser.run(
            """await page.waitForFunction(() => document.body.dataset.connection === 'open');
            await page.evaluate((products) => {
                const ask = window.fetch;
                let came, first = new Promise((resolve) => { came = resolve; });
                window.fetch = async (...what) => {
                    const answer = await ask(...what);
                    const body = what[1].body ?? '';
                    if (!body.includes('query Extent')) return answer;
                    if (body.includes(products[1])) setTimeout(came);
                    if (body.includes(products[0])) await first;
                    return answer;
                };
                const select = document.querySelector('#product select');
                for (const product of products) {
                    select.value = product;
                    select.dispatchEvent(new Event('change'));
                }
            }, products.map(String));
            await page.locator('.board a.title', { hasText: `Of ${products[1]}` }).waitFor();
            await page.waitForFunction(() => document.querySelectorAll('.board tbody tr').length === 1);""",
            products=products,
        )
        await tell(products[0], "Nobody asked for")
        await tell(products[1], "Looked for")
        await browser.run("await page.locator('#feed .events li', { hasText: 'Looked for' }).waitFor()")
        feed = await browser.run("return page.locator('#feed .events li').allTextContents()")
        await browser.run("await page.goto('about:blank')")
        await browser.run("problems.splice(0)")  # the browser itself reports the line that was let go at once

    assert len(feed) == 2
    assert "Nobody asked for" not in str(feed)
    assert f"Of {products[0]}" not in str(feed)


@pytest.mark.parametrize("width", [320, 360])
async def test_on_small_screens_no_control_touches_the_bar_and_no_choice_is_cut_off(history, browsers, width):
    driver = await browsers.tab(viewport={"width": width, "height": 740}, hasTouch=True)
    await opened(driver, history, "?at=2026-03-02T10:00:00Z&position=50000")

    found = await driver.run(
        """return page.evaluate(() => {
            const box = (part) => document.querySelector(part).getBoundingClientRect();
            const words = document.createElement('canvas').getContext('2d');
            const cut = [...document.querySelectorAll('#bar select')].filter((select) => {
                words.font = getComputedStyle(select).font;
                const widths = [...select.options].map(({text}) => words.measureText(text).width);
                return select.clientWidth < Math.max(...widths) + 30;
            }).map((select) => select.getAttribute('aria-label'));
            const tabs = document.querySelector('#tabs');
            return {gap: box('.track').top - box('.controls').bottom, cut,
                hidden: tabs.scrollWidth - tabs.clientWidth};
        })"""
    )

    assert found["gap"] >= 4
    assert found["cut"] == []
    assert found["hidden"] == 0


async def test_a_hostile_title_is_text_everywhere_it_is_shown(tmp_path, browser):
    title = '<img src=x onerror="document.title=1"><script>document.title=1</script>{{7*7}}‮'
    async with small_board(tmp_path) as service:
        told = json.loads((PAYLOADS / "item.create.json").read_text())
        told["data"] |= {"title": title, "description": f"<p>{title}</p>"}
        await told_to(service, json.dumps(told).encode())
        told["action"], told["data"]["title"] = "item.update", f"{title} again"
        told["timestamp"] = str(int(told["timestamp"]) + 60_000)
        await told_to(service, json.dumps(told).encode())
        await opened(browser, service)

        for view in ("item", "changes", "feed"):
            await browser.run(
                """if (view === 'item') await page.locator('.board a.title').first().click();
                else await page.locator(`#tab-${view}`).click();
                await idle();""",
                view=view,
            )
        shown = await browser.run("return page.locator('.board a.title').first().textContent()")
        assert shown == f"{title} again"
        assert await browser.run("return page.title()") == "Board · Recount"
        assert (
            await browser.run(
                "return page.evaluate(() => document.querySelectorAll('main img, main script').length)"
            )
            == 0
        )
        assert await browser.problems() == []
        await browser.run("await page.goto('about:blank')")


async def test_a_service_that_wants_a_token_is_asked_with_the_one_typed_in(tmp_path, browser):
    token = "a-token-of-the-test-0123456789abcdef"
    async with running(tmp_path / "data", env={"RECOUNT_API_TOKENS": f"{token}:read"}) as service:
        await service.post((PAYLOADS / "item.create.json").read_bytes())
        await browser.run(
            "await page.goto(url); await page.locator('#token-field').waitFor()", url=service.address
        )
        assert not await browser.run("return page.locator('#bar').isVisible()")

        await browser.run(
            """await page.locator('#token-field').fill(token);
            await page.keyboard.press('Enter');
            await page.waitForFunction(() => document.body.dataset.connection === 'open');
            await page.locator('.board a.title').first().waitFor();""",
            token=token,
        )

        assert not await browser.run("return page.locator('#token').isVisible()")
        assert token not in await browser.run(
            "return page.evaluate(() => JSON.stringify([localStorage, sessionStorage]))"
        )
        problems = await browser.problems()
        assert all("401" in problem for problem in problems)
        await browser.run("await page.goto('about:blank')")


@pytest.mark.parametrize("width", [320, 1024, 1440])
async def test_axe_finds_nothing_serious_in_any_view_light_or_dark(history, width, browsers):
    driver = await browsers.tab(reducedMotion="reduce", viewport={"width": width, "height": 800})
    item = (await history.ask("{ items(first: 1) { nodes { sleekplanId } } }"))["items"]["nodes"][0]
    at = "at=2026-03-02T10:00:00Z&position=50000"
    await opened(driver, history, f"?{at}")
    found = {}
    # The board with an item and without it as a whole; of the others what is another there.
    for view, panel, parts in (
        ("?", "#board", []),
        (f"items/{item['sleekplanId']}?", "#item", []),
        ("changes?since=month&", "#changes", ["#tabs", "#changes"]),
        ("feed?", "#feed", ["#tabs", "#feed"]),
        ("projections?", "#projections", ["#tabs", "#projections"]),
    ):
        await gone_to(driver, view + at, panel)
        found[panel] = await driver.run(
            f"""for (const part of await page.$$('main details:not([open]) > summary'))
                if (await part.isVisible()) await part.click();
            {ANSWERED};
            return [...await axe(...parts), ...await axeInDark(...parts)];""",
            panel=panel,
            parts=parts,
        )
    await driver.run(
        """await page.locator('[role=slider]').focus();
        await page.keyboard.press('+');
        await page.getByRole('button', { name: 'Go to' }).click();
        await page.locator('dialog').waitFor();"""
    )
    found["picker"] = await driver.run(
        "return [...await axe('#bar', 'dialog'), ...await axeInDark('#bar', 'dialog')]"
    )

    assert {view: serious for view, serious in found.items() if serious} == {}


async def test_at_360_pixels_nothing_is_wider_than_the_screen_in_any_view(history, browsers):
    driver = await browsers.tab(viewport={"width": 360, "height": 740}, hasTouch=True)
    await opened(driver, history)
    for view in ("board", "item", "changes", "feed", "projections"):
        await driver.run(
            """await page.locator(`#tab-${view}`).click();
            if (view === 'item') {
                await page.locator('#tab-board').click();
                await page.locator('.board a.title').first().click();
                await page.waitForSelector('#item .curve');
            }
            await idle();""",
            view=view,
        )
        assert await driver.run("return page.evaluate(() => document.documentElement.scrollWidth)") == 360, (
            view
        )


async def test_the_page_can_be_used_by_keyboard_alone(history, browser):
    await opened(browser, history)

    reached = await browser.run(
        """const reached = [];
        await page.evaluate(() => document.body.focus());
        for (let i = 0; i < 14; i++) {
            await page.keyboard.press('Tab');
            reached.push(await page.evaluate(() => {
                const here = document.activeElement;
                const seen = getComputedStyle(here).outlineStyle !== 'none';
                const name = here.getAttribute('aria-label') ?? here.textContent;
                return [here.getAttribute('role') ?? here.tagName.toLowerCase(), name, seen];
            }));
        }
        return reached;"""
    )

    assert reached[0][:2] == ["a", "Skip to the board"]
    assert ["slider", "Moment shown", True] in reached
    assert any(role == "tab" for role, _, _ in reached)
    assert all(seen for _, _, seen in reached)
    slider = await browser.run("return page.locator('[role=slider]').getAttribute('aria-valuetext')")
    assert slider == "now, live"


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
async def test_rows_glide_only_where_motion_is_wanted(history, motion, browsers):
    driver = await browsers.tab(reducedMotion=motion)
    await opened(driver, history)

    glided = await driver.run(
        """await page.evaluate(() => {
            window.glides = 0;
            window.clock = performance.now() + 60_000;
            performance.now = () => window.clock;
            const animate = Element.prototype.animate;
            Element.prototype.animate = function (...how) {
                window.glides++;
                return animate.apply(this, how);
            };
        });
        await page.locator('[role=slider]').focus();
        const slowly = async (does) => {
            const before = await page.evaluate(() => {
                window.clock += 1_000;
                return performance.getEntriesByName('recount:step').length;
            });
            await does();
            await page.waitForFunction(
                (before) => performance.getEntriesByName('recount:step').length > before, before);
        };
        await slowly(() => page.keyboard.press('Home'));
        await slowly(() => page.keyboard.press('End'));
        await slowly(() => page.locator('.track').click({position: {x: 900, y: 20}}));
        await slowly(() => page.locator('.track').click({position: {x: 1150, y: 20}}));
        return page.evaluate(() => window.glides);"""
    )

    assert (glided > 0) == (motion == "no-preference")


async def test_rows_that_change_places_in_quick_succession_glide_only_at_the_first_change(history, browsers):
    driver = await browsers.tab(reducedMotion="no-preference")
    await opened(driver, history)
    # The page's clock stands still but for what is added here, so that no step is slow.
    await driver.run(
        """await page.evaluate(() => {
            window.glides = 0;
            window.clock = performance.now() + 60_000;
            performance.now = () => window.clock;
            const animate = Element.prototype.animate;
            Element.prototype.animate = function (...how) {
                window.glides++;
                return animate.apply(this, how);
            };
        });"""
    )

    async def dragged(**to: float) -> list[int]:
        await driver.run(DRAG, **to)
        found: list[int] = await driver.run(
            """return page.evaluate(() => [window.glides,
                document.querySelector('.board tbody').getAnimations({subtree: true}).length])"""
        )
        return found

    first, _ = await dragged(**{"from": 0.9, "to": 0.8, "steps": 1})
    quick, moving = await dragged(**{"from": 0.7, "to": 0.3, "steps": 4})
    await driver.run("await page.evaluate(() => { window.clock += 1_000; })")
    slow, _ = await dragged(**{"from": 0.2, "to": 0.1, "steps": 1})

    assert 0 < first == quick < slow
    assert moving == 0


async def test_a_drag_asks_at_once_for_a_move_that_the_browser_tells_before_its_next_frame(history, browser):
    await opened(browser, history)

    await browser.run(
        """const box = await page.locator('.track').boundingBox();
        await page.mouse.move(box.x + box.width * 0.9, box.y + 20);
        const before = await page.evaluate(() => performance.getEntriesByName('recount:step').length);
        await page.mouse.down();
        await page.waitForFunction(
            (before) => performance.getEntriesByName('recount:step').length > before, before);
        const asked = page.waitForRequest((request) => request.postDataJSON()?.variables?.course === false);
        await page.evaluate((clientX) => document.querySelector('.track').dispatchEvent(
            new PointerEvent('pointerrawupdate', {clientX, bubbles: true})), box.x + box.width * 0.6);
        await asked;
        await page.mouse.up();
        await idle();"""
    )


async def test_the_question_of_a_drag_has_been_asked_once_before_the_first_step(history, browser):
    await browser.run(
        """const asked = page.waitForRequest((request) => {
            const {query = '', variables} = request.postDataJSON() ?? {};
            return query.startsWith('query Board') && variables.asOf && !variables.course;
        });
        await page.goto(url);
        await asked;
        await idle();""",
        url=f"{history.address}/",
    )


async def its_pool(service: Running) -> asyncpg.Pool:
    """Connections to the Postgres of a service."""
    dsn = attach(service.data_dir)
    assert dsn is not None
    return await open_pool(dsn, min_size=1, max_size=2, application_name="recount-tests")


FED = "[...document.querySelectorAll('#feed li.event')].map(({ dataset }) => Number(dataset.position))"


async def test_a_back_fill_stays_out_of_the_feed_until_its_box_is_checked(history, browser):
    pool = await its_pool(history)
    store = EventStore(pool)

    async def fetched(item: int) -> int:
        data = {"feedback_id": item, "title": "An old idea"}
        body = {"product_id": 4, "action": "item.snapshot", "data": data, "timestamp": 1_700_000_000 + item}
        [told] = await store.append([decode(json.dumps(body).encode(), datetime.now(UTC), "BACKFILL")])
        return told.position

    async def delivered(item: int) -> int:
        data = {"feedback_id": item, "title": "A new idea"}
        body = {"product_id": 4, "action": "item.create", "data": data, "timestamp": 1_790_000_000 + item}
        _, answer = await history.post(json.dumps(body).encode())
        return int(answer["position"])

    async def shown(position: int) -> list[int]:
        await browser.run(
            f"await page.waitForFunction((wanted) => {FED}.includes(wanted), wanted)", wanted=position
        )
        found: list[int] = await browser.run(f"return page.evaluate(() => {FED})")
        return found

    try:
        unasked = await fetched(1)
        await opened(browser, history, "?view=feed")
        meanwhile = await fetched(2)
        seen = await shown(await delivered(3))
        await browser.run("await page.getByLabel('back-fill').check()")
        asked = await fetched(4)
        assert not {unasked, meanwhile} & set(seen)
        assert not {unasked, meanwhile} & set(await shown(asked))
    finally:
        await store.close()
        await pool.close()


async def test_it_says_since_when_everything_is_known_and_shows_a_sweep_that_runs(history, browser):
    pool = await its_pool(history)
    lease = Lease("sweep of product 4", 600)
    try:
        assert await lease.take(pool)
        await pool.execute(
            "insert into log.sweeps (product_id, kind, asked, head, requests, recorded)"
            " values (4, 'BACKFILL', '{}', 0, 31, 260)"
        )
        await opened(browser, history, "?view=projections")
        text = await browser.run(
            """await page.locator('#projections .projections', { hasText: 'back-fill' }).waitFor();
            return page.locator('#projections').innerText();"""
        )
    finally:
        await lease.give_back(pool)
        await pool.execute("delete from log.sweeps where product_id = 4")
        await pool.close()

    assert "31 requests, 260 events" in text
    said = (await history.ask("{ ingest { knownSince } }"))["ingest"]["knownSince"]
    since = datetime.fromisoformat(said)
    assert f"history known since {since.day} {since:%b %Y}" in " ".join(text.split())
    assert "of before nothing" in " ".join(text.split())
