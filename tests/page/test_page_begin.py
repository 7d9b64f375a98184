"""An empty board says how to begin: the address, a delivery to try it, the board of before; then it fills."""

from __future__ import annotations

import pytest

from tests.given.fake_board import TINY, a_fake
from tests.given.folders import PAYLOADS
from tests.given.paged import SETTLED
from tests.given.running import running

pytestmark = pytest.mark.browser

BEGUN = "await page.goto(url); await page.locator('#begin').waitFor()"
SAID = "return page.locator('#begin').innerText()"
ADDRESS = 'return page.getByLabel("The webhook\'s address").inputValue()'
STATES = "{ quarantine { state } events(first: 1) { totalCount } }"
FILLED = f"await page.waitForFunction(() => {SETTLED})"


async def test_an_empty_board_shows_the_address_and_its_key_where_that_is_asked_for(tmp_path, browser):
    async with running(tmp_path / "data") as service:
        # What may be done here is asked until it is answered: it was taken for nothing.
        await browser.run(
            """let times = 0;
            await page.route('**/graphql?*', (route) => {
                const early = route.request().postData().includes('query Setup') && !times++;
                return early ? route.fulfill({ status: 502, body: 'Bad gateway' }) : route.fallback();
            })"""
        )
        await browser.run(BEGUN, url=service.address)
        await browser.run("await page.getByRole('button', {name: 'Show the key'}).waitFor()")
        before = await browser.run(ADDRESS)
        await browser.run(
            """await page.getByRole('button', {name: 'Show the key'}).click();
            await page.waitForFunction(() => !document.querySelector('#begin input').value.includes('…'));"""
        )
        shown = await browser.run(ADDRESS)
        text = await browser.run(SAID)
        await browser.run("await page.goto('about:blank'); problems.splice(0)")  # the browser reports the 502

        key = (service.data_dir / "webhook-key").read_text().strip()
        assert before == f"{service.address}/webhooks?key=…"
        assert shown == f"{service.address}/webhooks?key={key}"
        assert "through a proxy with a certificate, or a tunnel" in text
        assert "RECOUNT_SLEEKPLAN_API_KEY" in text


async def test_a_test_delivery_goes_the_whole_way_and_leaves_the_log_as_it_was(tmp_path, browser):
    async with running(tmp_path / "data") as service:
        await browser.run(BEGUN, url=service.address)
        await browser.run(
            """const gateway = { status: 502, body: 'Bad gateway' };
            await page.route('**/webhooks?*', (route) => route.fulfill(gateway));
            await page.getByRole('button', {name: 'Send a test delivery'}).click();
            await page.getByText('It was answered 502').waitFor();
            await page.unrouteAll();
            problems.splice(0);"""
        )
        for _ in range(2):
            await browser.run(
                """await page.evaluate(() => {
                    document.querySelectorAll('#begin [role=status]').forEach((it) => it.replaceChildren());
                });
                await page.getByRole('button', {name: 'Send a test delivery'}).click();
                await page.getByText('its key opens.').waitFor();"""
            )
        text = await browser.run(SAID)
        told = await service.ask(STATES)
        await browser.run("await page.goto('about:blank')")

    assert "The test was put aside again." in text
    assert [each["state"] for each in told["quarantine"]] == ["DISCARDED", "DISCARDED"]
    assert told["events"]["totalCount"] == 0


async def test_the_first_event_makes_it_the_board(tmp_path, browser):
    async with running(tmp_path / "data") as service:
        await browser.run(
            f"{BEGUN}; await page.waitForFunction(() => document.body.dataset.connection === 'open')",
            url=service.address,
        )
        await service.post((PAYLOADS / "item.create.json").read_bytes())
        await browser.run("await page.locator('.board a.title').first().waitFor()")

        assert await browser.run("return page.locator('#begin').count()") == 0
        assert await browser.run("return page.locator('#bar').isVisible()")
        await browser.run("await page.goto('about:blank')")


async def test_what_is_recorded_and_not_counted_is_told_until_it_is_the_board(
    tmp_path, database_url, pool, browser
):
    async with (
        running(tmp_path / "data", env={"RECOUNT_DATABASE_URL": database_url}) as service,
        pool.acquire() as connection,
    ):
        async with connection.transaction():
            await connection.execute("lock table read_model.checkpoints in exclusive mode")  # nothing counts
            await service.post((PAYLOADS / "item.create.json").read_bytes())
            await browser.run(BEGUN, url=service.address)
            await browser.run("await page.getByText('The board is being counted').waitFor()")
            text = await browser.run(SAID)
        await browser.run("await page.locator('.board a.title').first().waitFor()")
        begun = await browser.run("return page.locator('#begin').count()")
        await browser.run("await page.goto('about:blank')")

    assert "The log has 1 event." in text
    assert begun == 0


async def test_the_board_of_before_is_fetched_by_a_button_and_shown_as_it_comes(tmp_path, browser):
    fake = a_fake(TINY)
    async with fake.serving() as address:
        env = {
            "RECOUNT_SLEEKPLAN_API_URL": address,
            "RECOUNT_SLEEKPLAN_API_KEY": f"{fake.key}@{TINY.product_id}",
            "RECOUNT_SLEEKPLAN_RATE": "100",
        }
        async with running(tmp_path / "data", env=env) as service:
            await browser.run(BEGUN, url=service.address)
            product = await browser.run("return page.getByLabel('Number of the product').inputValue()")
            await browser.run("await page.getByRole('button', {name: 'Fetch the board'}).click()")
            await browser.run("await page.locator('.board a.title').first().waitFor()")
            await browser.run("await page.goto('about:blank')")

    assert product == str(TINY.product_id)


async def test_who_may_not_administer_sees_no_key_and_can_try_their_own(tmp_path, browser):
    env = {"RECOUNT_API_TOKENS": "token-of-who-reads:read", "RECOUNT_WEBHOOK_KEYS": "key-of-the-test"}
    async with running(tmp_path / "data", env=env) as service:
        await browser.run(
            """await page.goto(url);
            await page.locator('#token-field').fill('token-of-who-reads');
            await page.keyboard.press('Enter');
            await page.locator('#begin').waitFor();""",
            url=service.address,
        )
        assert await browser.run("return page.getByRole('button', {name: 'Show the key'}).count()") == 0
        answers = []
        for key, words in (("another-key", "its key opens nothing"), ("key-of-the-test", "its key opens.")):
            await browser.run(
                """await page.getByLabel('Key of the webhook').fill(key);
                await page.getByRole('button', {name: 'Send a test delivery'}).click();
                await page.getByText(words).waitFor();""",
                key=key,
                words=words,
            )
            answers.append(await browser.run(SAID))
        await browser.run(
            "await page.goto('about:blank'); problems.splice(0)"
        )  # the browser reports each 401

    assert "shown to those who may administer" not in answers[0]
    assert "It lies in the quarantine" in answers[1]
    assert "key-of-the-test" not in answers[1]


async def test_axe_finds_nothing_serious_and_a_small_screen_is_wide_enough(tmp_path, browsers):
    driver = await browsers.tab(viewport={"width": 320, "height": 740})
    async with running(tmp_path / "data") as service:
        await driver.run(BEGUN, url=service.address)
        serious = await driver.run("return [...await axe(), ...await axeInDark()]")
        wide = await driver.run("return page.evaluate(() => document.documentElement.scrollWidth)")
        await driver.run("await page.goto('about:blank')")

    assert (serious, wide) == ([], 320)
