"""Signing in on the page: for the tab alone or for a session, out again, and what a wrong token is told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from tests.given.folders import PAYLOADS
from tests.given.running import Running, running

pytestmark = pytest.mark.browser

TOKEN = "token-of-the-test;with=signs"
ASKED = "await page.goto(url); await page.locator('#token-field').waitFor()"
ENTER = """await page.locator('#token-field').fill(token);
    if (keep) await page.getByLabel('keep me signed in').check();
    await page.getByRole('button', {name: 'Sign in'}).click();"""
BOARD = "await page.locator('.board a.title').first().waitFor()"


@pytest.fixture
async def closed(tmp_path) -> AsyncIterator[Running]:
    """A service that answers only with a token."""
    async with running(tmp_path / "data", env={"RECOUNT_API_TOKENS": f"other,{TOKEN}:read"}) as service:
        await service.post((PAYLOADS / "item.create.json").read_bytes())
        yield service


async def test_a_kept_token_outlives_the_page_and_no_script_reads_it_until_one_signs_out(closed, browsers):
    driver = await browsers.tab()
    await driver.run(ASKED, url=closed.address)
    await driver.run(f"{ENTER} {BOARD}", token=TOKEN, keep=True)

    await driver.run(f"await page.reload(); {BOARD}")
    await driver.run("await page.waitForFunction(() => document.body.dataset.connection === 'open')")
    cookies = await driver.run("return page.context().cookies()")
    seen = await driver.run(
        "return page.evaluate(() => document.cookie + JSON.stringify([localStorage, sessionStorage]))"
    )
    await driver.run(
        """await page.getByRole('button', {name: 'Sign out'}).click();
        await page.locator('#token-field').waitFor();"""
    )

    [cookie] = cookies
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["expires"]) == (True, "Strict", -1)
    assert "token-of-the-test" not in seen
    assert await driver.run("return page.context().cookies()") == []


async def test_a_token_that_is_not_kept_is_gone_with_the_page(closed, browsers):
    driver = await browsers.tab()
    await driver.run(ASKED, url=closed.address)
    await driver.run(f"{ENTER} {BOARD}", token=TOKEN, keep=False)
    await driver.run("await page.getByRole('button', {name: 'Sign out'}).waitFor()")

    await driver.run("await page.reload(); await page.locator('#token-field').waitFor()")

    assert await driver.run("return page.context().cookies()") == []


async def test_whoever_is_signed_out_meanwhile_is_asked_again_and_goes_on_where_they_were(closed, browsers):
    driver = await browsers.tab()
    await driver.run(ASKED, url=f"{closed.address}/?search=similar")
    await driver.run(f"{ENTER} {BOARD}", token=TOKEN, keep=True)

    await driver.run(
        f"""await page.waitForFunction(() => document.body.dataset.ready === 'true');
        await page.context().clearCookies();
        await page.locator('.board a.title').first().click();
        await page.locator('#token-field').waitFor();
        {ENTER}
        await page.locator('#item .facts').waitFor();
        await page.locator('#token').waitFor({{ state: 'hidden' }});""",
        token=TOKEN,
        keep=False,
    )

    assert (await driver.run("return page.url()")).endswith("?search=similar")


@pytest.mark.parametrize("keep", [False, True])
async def test_a_wrong_token_is_said_to_be_wrong_and_may_be_mended(closed, keep, browsers):
    driver = await browsers.tab()
    await driver.run(ASKED, url=closed.address)
    for wrong, words in (("token-of-nobody", "opens nothing"), ("töken", "letters, digits and signs")):
        await driver.run(ENTER, token=wrong, keep=keep)
        await driver.run("await page.locator('#token .trouble', {hasText: words}).waitFor()", words=words)

    await driver.run(f"{ENTER} {BOARD}", token=TOKEN, keep=keep)

    assert not await driver.run("return page.locator('#token').isVisible()")


async def test_whom_a_proxy_has_let_in_is_named_and_needs_no_token(tmp_path, browsers):
    env = {"RECOUNT_TRUSTED_PROXY": "127.0.0.1", "RECOUNT_TRUSTED_PROXY_USER": "Remote-User"}
    async with running(tmp_path / "data", env=env) as service:
        await service.post((PAYLOADS / "item.create.json").read_bytes())
        driver = await browsers.tab(extraHTTPHeaders={"Remote-User": "ada@example.com"})
        await driver.run(f"await page.goto(url); {BOARD}", url=service.address)
        await driver.run("await page.locator('#who', {hasText: 'ada@example.com'}).waitFor()")


async def test_axe_finds_nothing_serious_where_a_token_is_asked_for(closed, browsers):
    driver = await browsers.tab(viewport={"width": 320, "height": 740})
    await driver.run(ASKED, url=closed.address)
    await driver.run(ENTER, token="token-of-nobody", keep=False)
    await driver.run("await page.locator('#token .trouble', {hasText: 'opens nothing'}).waitFor()")

    assert await driver.run("return axe()") == []
    assert await driver.run("return page.evaluate(() => document.documentElement.scrollWidth)") == 320


async def test_a_link_to_a_product_that_ones_token_does_not_reach_shows_what_it_reaches_and_says_so(
    tmp_path, browsers
):
    body = json.loads((PAYLOADS / "item.create.json").read_text())
    async with running(
        tmp_path / "data", env={"RECOUNT_API_TOKENS": f"other,{TOKEN}:read@{body['product_id']}"}
    ) as service:
        await service.post(json.dumps(body).encode())
        driver = await browsers.tab()
        await driver.run(ASKED, url=f"{service.address}/?product=4711")

        said, address, form = await driver.run(
            f"""{ENTER} {BOARD}
            await page.locator('#notice', {{ hasText: '4711' }}).waitFor();
            return [await page.locator('#notice').textContent(), page.url(),
                await page.locator('#token').isVisible()];""",
            token=TOKEN,
            keep=False,
        )

    assert said.startswith(
        "The address names the product 4711, which cannot be shown (this token is not bound"
    )
    assert ("4711" in address, form) == (False, False)
