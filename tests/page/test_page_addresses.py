"""Where the page is: addresses that are read and written, Back and Forward, and what is loaded for them."""

from __future__ import annotations

import json

import pytest

from tests.given.folders import PAYLOADS
from tests.given.paged import board_by_api, opened, rows, small_board, told_to
from tests.given.ports import free_port

pytestmark = pytest.mark.browser

FIRST_ITEM = "{ items(first: 1) { nodes { id sleekplanId title } } }"
HEADING = "document.querySelector('#item h2')?.textContent"


async def first_item(service):
    return (await service.ask(FIRST_ITEM))["items"]["nodes"][0]


async def test_back_closes_what_was_opened_and_gives_the_focus_back_and_forward_opens_it_again(
    history, browser
):
    item = await first_item(history)
    await opened(browser, history)

    await browser.run(
        """const title = page.locator('.board a.title').nth(2);
        await title.focus();
        await page.keyboard.press('Enter');
        await page.waitForFunction(() => location.pathname.startsWith('/items/'));
        await page.locator('#item .facts').waitFor();
        await page.waitForFunction(() => document.activeElement.id === 'item');
        await page.goBack();
        await page.waitForFunction(() => location.pathname === '/');
        await page.waitForFunction(
            () => document.activeElement === document.querySelectorAll('.board a.title')[2]);
        await page.goForward();
        await page.waitForFunction(() => location.pathname.startsWith('/items/'));
        await page.locator('#item').waitFor();
        await page.keyboard.press('Escape');
        await page.waitForFunction(() => location.pathname === '/');"""
    )

    await opened(browser, history, f"items/{item['sleekplanId']}")
    await browser.run(
        f"await page.waitForFunction((title) => {HEADING} === title, title)", title=item["title"]
    )


async def test_an_item_opens_in_another_tab_too_and_tabs_are_named_by_what_they_show(history, browser):
    await opened(browser, history, "?at=2026-03-02T10:00:00.000Z&position=50000")

    there, names = await browser.run(
        """const link = page.locator('.board a.title').nth(1);
        const title = await link.textContent();
        // Asked in one go whether it is left to the browser: a page may move between press and release.
        const there = await link.evaluate((link) => {
            link.dispatchEvent(new PointerEvent('pointerdown', { bubbles: true }));
            let left;
            addEventListener('click', (event) => {
                left = !event.defaultPrevented;
                event.preventDefault();
            }, { once: true });
            link.dispatchEvent(new MouseEvent('click', { ctrlKey: true, bubbles: true, cancelable: true }));
            return left && new URL(link.href).pathname.startsWith('/items/') && new URL(link.href).search;
        });
        const names = [await page.title()];
        const named = (name) => page.waitForFunction((name) => document.title === name, name);
        await link.click();
        await named(`${title}, 2 Mar 2026 · Recount`);
        await page.getByRole('button', { name: 'Back to live' }).click();
        await named(`${title} · Recount`);
        await page.keyboard.press('Escape');
        await named('Board · Recount');
        return [there, names];"""
    )

    assert there.startswith("?at=2026-03-02T10:00:00.000Z&position=50000")
    assert names == ["Board, 2 Mar 2026 · Recount"]


async def test_a_time_in_a_list_is_gone_back_from_to_the_moment_before(history, browser):
    await opened(browser, history)

    await browser.run(
        """await page.locator('#feed button.when').nth(30).click();
        await page.waitForFunction(() => location.search.includes('at='));
        await page.goBack();
        await page.waitForFunction(() => location.search === '');"""
    )

    assert await browser.run("return page.locator('.day').textContent()") == "Now"


async def test_an_answer_that_comes_after_one_went_back_is_not_shown(history, browser):
    await opened(browser, history, "?at=2026-03-02T10:00:00Z&position=50000")

    shown, address = await browser.run(
        """const titles = page.locator('.board a.title');
        await titles.nth(0).click();
        await page.waitForFunction((title) => HEADING === title, await titles.nth(0).textContent());
        await page.evaluate(() => {
            const ask = window.fetch;
            window.fetch = async (...what) => {
                const answer = await ask(...what);
                if (what[1].body?.includes('query Item('))
                    await new Promise((release) => { window.release = release; });
                return answer;
            };
        });
        await titles.nth(1).click();
        await page.waitForFunction(() => window.release);
        await titles.nth(0).click();
        await page.evaluate(() => window.release());
        await page.waitForFunction(() => !document.querySelector('#item [aria-busy=true]'));
        return [await page.locator('#item h2').textContent() === await titles.nth(0).textContent(),
            await page.evaluate(() => location.pathname)];""".replace("HEADING", HEADING)
    )

    assert shown, f"at {address} another item is shown"


async def test_an_old_link_to_an_item_is_understood(history, browser):
    item = await first_item(history)
    # Also where its name is not answered at first.
    await browser.run(
        """let times = 0;
        await page.route('**/graphql?*', (route) => {
            const early = route.request().postData().includes('query Named') && !times++;
            return early ? route.abort() : route.fallback();
        })"""
    )

    await opened(
        browser,
        history,
        f"?at=2026-03-02T10:00:00Z&position=50000&clock=occurred&view=item&item={item['id']}",
    )
    assert all("ERR_FAILED" in problem for problem in await browser.problems())

    # Where other tests told of other products, the item's is behind its id.
    await browser.run(
        "await page.waitForFunction((path) => location.pathname.split('@')[0] === path, path)",
        path=f"/items/{item['sleekplanId']}",
    )
    assert await rows(browser) == await board_by_api(
        history, {"time": "2026-03-02T10:00:00Z", "position": 50000}
    )


async def test_a_time_without_a_position_is_read_by_what_is_known_today(history, browser):
    await opened(browser, history, "?at=2026-03-02T10:00:00Z")

    said = await browser.run(
        """await page.waitForFunction(() => new URLSearchParams(location.search).has('position'));
        return page.evaluate(() => new URLSearchParams(location.search).get('position'));"""
    )
    assert int(said) >= 50000
    assert await rows(browser) == await board_by_api(
        history, {"time": "2026-03-02T10:00:00Z", "position": int(said)}
    )


async def test_a_position_without_a_time_is_read_on_our_own_clock(history, browser):
    await opened(browser, history, "?position=15000")

    assert await rows(browser) == await board_by_api(history, {"position": 15000})
    assert await browser.run("return page.getByLabel('Clock').inputValue()") == "RECORDED"


@pytest.mark.parametrize(
    ("address", "word"),
    [
        ("?at=banana&position=50000", "the time banana"),
        ("?at=2026-03-02T10:00:00Z&position=minus", "the position minus"),
        ("?position=0", "the position 0"),
        ("?position=5&clock=wall", "the clock wall"),
        ("?at=2026-03-02T10:00:00Z&clock=recorded", "needs a position"),
    ],
)
async def test_nonsense_in_an_address_is_told_in_words_and_the_board_is_shown_as_it_is_now(
    history, browser, address, word
):
    await opened(browser, history, address)

    await browser.run("await page.locator('#notice', { hasText: word }).waitFor()", word=word)
    assert await browser.run("return page.locator('.day').textContent()") == "Now"


async def test_an_item_that_nobody_knows_is_told_in_words(history, browser):
    await opened(browser, history, "items/no-such-item")

    await browser.run("await page.locator('#item', { hasText: 'nothing had been heard' }).waitFor()")
    await opened(browser, history, "?item=nonsense")
    await browser.run("await page.waitForFunction(() => document.querySelector('#notice').textContent)")


async def test_the_first_view_loads_less_than_100_kb_and_no_view_that_is_not_shown(history, browser):
    await opened(browser, history)

    loaded = await browser.run(
        """await page.locator('#feed .events li').first().waitFor();
        await idle();
        return page.evaluate(() => performance.getEntriesByType('resource')
            .filter(({name}) => name.includes('/page/'))
            .map(({name, decodedBodySize}) => [new URL(name).pathname, decodedBodySize]))"""
    )

    # Those for other media the browser fetches once the view is drawn, and then the page what comes later.
    unseen = {f"/page/{name}" for name in ("print.css", "contrast.css", "dark.css", "narrow.css", "later.js")}
    assert sum(size for path, size in loaded if path not in unseen) < 100_000
    assert {path for path, _ in loaded if "/views/" in path} == {
        "/page/views/board.js",
        "/page/views/feed.js",
    }


async def test_items_of_several_products_have_addresses_of_their_own(tmp_path, browser):
    told = json.loads((PAYLOADS / "item.create.json").read_text())
    async with small_board(tmp_path) as service:
        first = told["product_id"]
        await told_to(service, json.dumps(told).encode())
        told |= {"product_id": 7_700_000_077}
        told["data"]["title"] = "An item of the other product"
        await told_to(service, json.dumps(told).encode())
        number = told["data"]["feedback_id"]
        await opened(browser, service)

        await browser.run(
            """await page.locator('.board a.title', { hasText: 'the other product' }).click();
            await page.waitForFunction((path) => location.pathname === path, path);""",
            path=f"/items/{number}@7700000077",
        )
        await opened(browser, service, f"items/{number}@{first}")
        await browser.run(
            f"await page.waitForFunction(() => {HEADING} && !{HEADING}.includes('other product'))"
        )
        await browser.run("await page.goto('about:blank')")


async def test_a_connection_that_was_lost_is_back_although_only_another_product_went_on(tmp_path, browser):
    told = json.loads((PAYLOADS / "item.create.json").read_text())
    first = told["product_id"]
    other = json.dumps(told | {"product_id": 7_700_000_077}).encode()
    port = free_port()
    async with small_board(tmp_path, port) as service:
        await told_to(service, json.dumps(told).encode())
        await told_to(service, other)
        await opened(browser, service, f"?product={first}")
        await browser.run("await page.waitForFunction(() => document.body.dataset.connection === 'open')")
    await browser.run("await page.waitForFunction(() => document.body.dataset.connection === 'lost')")

    async with small_board(tmp_path, port) as service:
        later = json.loads(other) | {"timestamp": str(int(json.loads(other)["timestamp"]) + 60_000)}
        await told_to(service, json.dumps(later).encode())
        said = await browser.run(
            """await page.locator('#connection', {hasText: 'replayed'}).waitFor();
            return page.locator('#connection').textContent()"""
        )
        assert said.endswith("nothing replayed.")
        await browser.run("await page.goto('about:blank')")
    await browser.run("problems.splice(0)")  # the browser itself reports the refused connections
