"""What the page says of how the service runs: rules that tell others, to who may know, and past sweeps."""

from __future__ import annotations

import json

import pytest

from service.log.database import open_pool
from service.postgres.embedded import attach
from tests.given.folders import PAYLOADS
from tests.given.paged import told_to
from tests.given.receiver import a_file, a_rule, answers, receiving
from tests.given.running import running
from tests.given.waiting import eventually

pytestmark = pytest.mark.browser

ADMIN, READER = "token-of-who-runs-it", "token-of-who-reads"
SIGN_IN = """await page.goto(url);
    await page.locator('#token-field').fill(token);
    await page.getByRole('button', {name: 'Sign in'}).click();
    await page.locator('#projections .projections li').first().waitFor();"""
RULE = 'return page.locator(`[data-reaction="${name}"]`).innerText()'


async def test_rules_are_shown_to_who_may_administer_and_to_nobody_else(tmp_path, browsers):
    async with receiving() as receiver:
        receiver.behaves = answers(*[500] * 1_000)
        rules = (
            a_rule(tmp_path, receiver.url, "to-a-hook-that-fails"),
            a_rule(tmp_path, receiver.url, "to-nobody-for-now"),
        )
        env = {
            "RECOUNT_API_TOKENS": f"{ADMIN}:read+admin,{READER}:read",
            "RECOUNT_REACTIONS": str(a_file(tmp_path, *rules)),
        }
        async with running(tmp_path / "data", env=env) as service:
            # The service reads its rules a moment after it answers.
            async def is_paused() -> bool:
                return (await service.run("reactions", "pause", "to-nobody-for-now")).returncode == 0

            await eventually(is_paused, 60)
            dsn = attach(service.data_dir)
            assert dsn is not None
            pool = await open_pool(dsn, min_size=1, max_size=1)
            await service.post((PAYLOADS / "item.create.json").read_bytes())
            await eventually(lambda: pool.fetchval("select max(attempts) from log.reactions"), 60)
            await pool.close()

            admin = await browsers.tab()
            await admin.run(SIGN_IN, url=f"{service.address}/projections", token=ADMIN)
            await admin.run("await page.locator('[data-reaction]').first().waitFor()")
            failing = await admin.run(RULE, name="to-a-hook-that-fails")
            waiting = await admin.run(RULE, name="to-nobody-for-now")
            serious = await admin.run("return axe()")

            reader = await browsers.tab()
            await reader.run(SIGN_IN, url=f"{service.address}/projections", token=READER)
            asked = await reader.run(
                """let asked = 0;
                const is = (name) => (request) => Boolean(request.postData()?.includes(`query ${name}`));
                page.on('request', (request) => asked += is('Reactions')(request));
                const ask = () => page.waitForRequest(is('Projections'));
                await ask();
                await ask();
                return asked;"""
            )
            shown = await reader.run("return page.locator('#projections').innerText()")

    assert "0 delivered" in failing
    assert "not taken" in failing
    assert "500" in failing
    assert "paused" in waiting
    assert serious == []
    assert "to-a-hook" not in shown
    assert asked == 0


async def test_how_the_last_back_fills_ended_is_shown(tmp_path, browser):
    async with running(tmp_path / "data") as service:
        await told_to(service, (PAYLOADS / "item.create.json").read_bytes())
        product = json.loads((PAYLOADS / "item.create.json").read_text())["product_id"]
        dsn = attach(service.data_dir)
        assert dsn is not None
        pool = await open_pool(dsn, min_size=1, max_size=1)
        await pool.execute(
            "insert into log.sweeps"
            " (product_id, kind, asked, head, requests, recorded, state, finished_at, problem)"
            " values ($1, 'BACKFILL', '{}', 0, 31, 260, 'PARTIAL', now(), 'the key may not read votes')",
            int(product),
        )
        await pool.close()

        await browser.run(
            "await page.goto(url); await page.locator('.sweeps li').waitFor()",
            url=f"{service.address}/projections",
        )
        text = await browser.run("return page.locator('.sweeps').innerText()")
        await browser.run("await page.goto('about:blank')")

    assert "back-fill" in text
    assert "ended, something is missing" in text
    assert "31 requests, 260 events" in text
    assert "the key may not read votes" in text


async def test_projections_looked_at_anew_keep_the_focus_and_unseen_ask_nothing(history, browser):
    found = await browser.run(
        """await page.goto(url);
        const item = page.locator('#projections .differences .title').first();
        await item.focus();
        const again = () => page.waitForResponse(
            (answer) => answer.request().postData()?.includes('query Projections'));
        await again();
        await again();
        const kept = await item.evaluate((element) => element === document.activeElement);
        await page.evaluate(
            () => Object.defineProperty(document, 'hidden', { value: true, configurable: true }));
        await idle();
        let asked = 0;
        page.on('request', () => asked++);
        await page.waitForTimeout(2_500);
        return [kept, asked];""",
        url=f"{history.address}/projections",
    )

    assert found == [True, 0]
