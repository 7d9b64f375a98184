"""The tab that tests look at: it knows nothing of what was looked at in it before."""

from __future__ import annotations

import pytest
from aiohttp import web

from tests.given.pages import pages

pytestmark = pytest.mark.browser

KNOWN = """return page.evaluate(() => [document.cookie, localStorage.length, sessionStorage.length,
    history.length, innerWidth, matchMedia('(prefers-color-scheme: dark)').matches, opener === null])"""

PAGE = '<!doctype html><link rel="icon" href="data:,">'


async def _answer(_: web.Request) -> web.Response:
    kept = {"Cache-Control": "max-age=600"}
    return web.Response(text=PAGE, content_type="text/html", headers=kept)


@pytest.mark.parametrize("leave", [True, False], ids=["left", "still there"])
async def test_it_knows_nothing_of_what_was_looked_at_in_it_before(browsers, leave):
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return await _answer(request)

    async with pages([web.get("/", answer), web.get("/other", answer)]) as address:
        first = await browsers.tab(viewport={"width": 400, "height": 600}, colorScheme="dark")
        await first.run(
            """await page.goto(url); await page.goto(`${url}/other`);
            await page.evaluate(() => {
                document.cookie = 'known=1; max-age=600';
                localStorage.setItem('known', '1');
                sessionStorage.setItem('known', '1');
                console.error('complained');
            });
            await page.route('**/*', (route) => route.abort());
            await page.context().newPage();
            if (leave) await page.goto('about:blank');""",
            url=address,
            leave=leave,
        )

        second = await browsers.tab()
        await second.run("await page.goto(url)", url=address)

        assert await second.run(KNOWN) == ["", 0, 0, 2, 1280, False, True]
        assert await second.run("return page.context().pages().length") == 1
        assert await second.problems() == []
        await second.run("await page.goto(`${url}/other`)", url=address)
        assert asked == ["/", "/other"] * 2
