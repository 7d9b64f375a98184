"""An item as it is read: what people wrote, who voted and follows, how words changed, what came in runs."""

from __future__ import annotations

import json

import pytest

from tests.given.folders import PAYLOADS
from tests.given.paged import opened, projected, small_board, told_to

pytestmark = pytest.mark.browser

ITEMS = """{ items(first: 20) { nodes { sleekplanId
  comments(first: 0, filter: {deleted: null}) { totalCount }
  castVotes(first: 0, filter: {withdrawn: null}) { totalCount }
  subscriptions(first: 0, filter: {active: null}) { totalCount }
} } }"""
ITEM = """query Whole($id: ID!) { item(sleekplanId: $id) { sleekplanId title
  comments(first: 500, filter: {deleted: null}) { nodes { text author { name } parent { id } } }
  castVotes(first: 500, filter: {withdrawn: null}) { totalCount nodes { withdrawn user { name } } }
  subscriptions(first: 500, filter: {active: null}) { totalCount nodes { active user { name } } }
} }"""


async def an_item(service):
    """Return one of the items with most votes that has some of everything, and 500 of each at most."""
    found = next(
        item
        for item in (await service.ask(ITEMS))["items"]["nodes"]
        if all(
            3 < item[name]["totalCount"] <= 500 and item["castVotes"]["totalCount"] > 20
            for name in ("comments", "castVotes", "subscriptions")
        )
    )
    return (await service.ask(ITEM, id=found["sleekplanId"]))["item"]


async def part(browser, name):
    """Open a part of the item shown and return its text."""
    text: str = await browser.run(
        """const part = page.locator('#item details.part', { has: page.getByRole('heading', { name }) });
        await part.locator('summary').first().click();
        await part.locator('.thread, table, p.quiet').first().waitFor();
        return part.innerText();""",
        name=name,
    )
    return text


async def test_an_items_comments_are_read_in_threads(history, browser):
    item = await an_item(history)
    await opened(browser, history, f"items/{item['sleekplanId']}")

    text = await part(browser, "Comments")

    for comment in item["comments"]["nodes"]:
        assert " ".join(comment["text"].split())[:40] in " ".join(text.split())
    answers = sum(comment["parent"] is not None for comment in item["comments"]["nodes"])
    assert await browser.run("return page.locator('#item .thread .thread article').count()") == answers


async def test_an_items_voters_and_subscribers_are_named_with_those_who_left(history, browser):
    item = await an_item(history)
    await opened(browser, history, f"items/{item['sleekplanId']}")

    voters, followers = await part(browser, "Voters"), await part(browser, "Subscribers")

    for text, kind, gone in (
        (voters, "castVotes", lambda vote: vote["withdrawn"]),
        (followers, "subscriptions", lambda subscription: not subscription["active"]),
    ):
        names = [node["user"]["name"] for node in item[kind]["nodes"] if node["user"]]
        assert all(name in text for name in names if name)
        assert f"{item[kind]['totalCount']:,}" in text.split("\n")[0]
        assert text.count("withdrawn" if kind == "castVotes" else "no longer") == sum(
            map(gone, item[kind]["nodes"])
        )


async def test_a_private_note_is_read_only_by_who_asks_for_it(tmp_path, browser):
    told = json.loads((PAYLOADS / "comment.create.json").read_text())
    async with small_board(tmp_path) as service:
        of = json.loads((PAYLOADS / "item.create.json").read_text())
        await told_to(service, json.dumps(of).encode())
        told |= {"product_id": of["product_id"]}
        told["data"] |= {"feedback_id": of["data"]["feedback_id"], "comment": "What only the team may read"}
        told["data"] |= {"public": False}
        await told_to(service, json.dumps(told).encode())
        item = (await service.ask("{ items { nodes { sleekplanId comments { nodes { public } } } } }"))[
            "items"
        ]["nodes"][0]
        assert [comment["public"] for comment in item["comments"]["nodes"]] == [False]
        await opened(browser, service, f"items/{item['sleekplanId']}")

        assert "only the team" not in await part(browser, "Comments")
        await browser.run(
            """await page.getByLabel('private notes too').check();
            await page.locator('#item .thread', { hasText: 'What only the team may read' }).waitFor();"""
        )
        # Who wants them no longer sees none, though the answer with them comes last.
        assert (
            await browser.run(
                """const notes = page.getByLabel('private notes too');
            let answer;
            const asked = new Promise((resolve) => page.route('**/graphql?*personal', async (route) => {
                await new Promise((go) => resolve(answer = go));
                await route.fallback();
            }));
            const without = page.waitForResponse(
                (found) => found.request().postData()?.includes('query Comments'));
            await notes.uncheck();
            await without;
            await notes.check();
            await asked;
            await notes.uncheck();
            await page.locator('#item .part', { hasText: 'None, as far as events tell' }).waitFor();
            answer();
            await page.unrouteAll({ behavior: 'wait' });
            await page.waitForFunction(() => !document.querySelector('[aria-busy=true]'));
            return page.locator('#item .thread').count();"""
            )
            == 0
        )
        await browser.run("await page.goto('about:blank')")


async def test_of_more_comments_than_are_shown_the_newest_are(tmp_path, browser):
    item = json.loads((PAYLOADS / "item.create.json").read_text())
    comment = json.loads((PAYLOADS / "comment.create.json").read_text())
    comment |= {"product_id": item["product_id"]}
    async with small_board(tmp_path) as service:
        await service.post(json.dumps(item).encode())
        for number in range(502):
            comment["data"] |= {
                "comment_id": 1_000 + number,
                "feedback_id": item["data"]["feedback_id"],
                "comment": f"Number {number} of all",
                "created": f"2026-06-14 09:{number // 60:02}:{number % 60:02}",
            }
            answer = (await service.post(json.dumps(comment).encode()))[1]
        await projected(service, answer["position"])
        await opened(browser, service, f"items/{item['data']['feedback_id']}")

        text = await part(browser, "Comments")
        await browser.run("await page.goto('about:blank')")

    assert "The newest 500 of 502." in text
    assert "Number 1 of all" not in text
    assert text.index("Number 2 of all") < text.index("Number 501 of all")


async def test_what_is_written_from_right_to_left_keeps_its_place_among_the_rest(tmp_path, browser):
    item = json.loads((PAYLOADS / "item.create.json").read_text())
    comment = json.loads((PAYLOADS / "comment.create.json").read_text())
    comment |= {"product_id": item["product_id"]}
    comment["data"] |= {
        "feedback_id": item["data"]["feedback_id"],
        "user": {"user_id": 7, "data_name": "محمد علي"},
    }
    async with small_board(tmp_path) as service:
        for status in ("פתוח", "מתוכנן"):
            item["data"]["status"] = status
            await told_to(service, json.dumps(item).encode())
            item |= {"action": "item.update", "timestamp": str(int(item["timestamp"]) + 60_000)}
        await told_to(service, json.dumps(comment).encode())
        await opened(browser, service, f"items/{item['data']['feedback_id']}")
        await part(browser, "Comments")

        found = await browser.run(
            """const found = await page.evaluate(() => {
                const across = (part) => {
                    const range = document.createRange();
                    range.selectNodeContents(part);
                    const all = [...range.getClientRects()];
                    return [Math.min(...all.map(({left}) => left)), Math.max(...all.map(({right}) => right))];
                };
                const author = document.querySelector('.thread strong');
                const change = [...document.querySelectorAll('#item .change')].find((each) =>
                    each.querySelector('del'));
                return { author: across(author)[1] <= across(author.nextSibling.nextSibling)[0],
                    went: across(change.querySelector('del'))[1] <= across(change.querySelector('ins'))[0] };
            });
            await page.goto('about:blank');
            return found;"""
        )

    assert found == {"author": True, "went": True}


async def test_a_run_of_votes_is_one_line_that_opens_and_no_line_repeats_the_title(history, browser):
    item = await an_item(history)
    await opened(browser, history, f"items/{item['sleekplanId']}")

    text = await browser.run(
        """await page.locator('#item li.run').first().waitFor();
        const lines = await page.locator('#item .events').allInnerTexts();
        await page.locator('#item li.run summary').first().click();
        await page.locator('#item li.run details[open] li.event').first().waitFor();
        return lines.join(' ');"""
    )

    assert item["title"] not in text
    assert " votes" in text


@pytest.mark.parametrize(
    ("before", "after", "parts"),
    [
        ("Dark mode soon", "Dark theme soon", [[0, "Dark"], [-1, " mode"], [1, " theme"], [0, " soon"]]),
        ("Dark", "Dark mode", [[0, "Dark"], [1, " mode"]]),
        ("a list of items", "The list of items", [[-1, "a"], [1, "The"], [0, " list of items"]]),
        (
            "Please let us sort the list of items by date",
            "Please let us order the table of items by date",
            [
                [0, "Please let us"],
                [-1, " sort the list"],
                [1, " order the table"],
                [0, " of items by date"],
            ],
        ),
        ("One thing", "Wholly another matter", [[-1, "One thing"], [1, "Wholly another matter"]]),
        ("", "New", [[1, "New"]]),
        ("Same", "Same", [[0, "Same"]]),
    ],
)
async def test_a_difference_is_of_words_that_belong_together(history, browser, before, after, parts):
    await opened(browser, history)

    found = await browser.run(
        """return page.evaluate(async ([before, after]) =>
            (await import('/page/difference.js')).wordsOf(before, after), [before, after])""",
        before=before,
        after=after,
    )

    assert found == parts
