"""The site of the documentation: its reference says all of the schema, and it has no dead end."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from graphql import GraphQLEnumType, build_schema, is_introspection_type, is_specified_scalar_type

from docs.site.build import TOOL, Wrong, build, check, check_order, stage_pages
from docs.site.reference import TITLES, Reference
from service.web.pages import Documentation
from tests.given.folders import ROOT
from tests.given.pages import pages as serving

SCHEMA = build_schema((ROOT / "schema" / "schema.graphql").read_text())
TYPES = [
    type_
    for type_ in SCHEMA.type_map.values()
    if not is_introspection_type(type_) and not is_specified_scalar_type(type_)
]
ROOTS = {"Query", "Mutation", "Subscription"}
WIDE, NARROW = 1280, 360
LOOKED_AT = {
    "": WIDE,
    "graphql/": WIDE,
    "reference/item/": WIDE,
    "operations/": WIDE,
    "benchmarks/": WIDE,
    "quick-start/": NARROW,
}
"""Pages of each kind (prose, queries, tables, plots), with the width of the window."""


@pytest.fixture(scope="module")
def reference() -> dict[str, str]:
    return Reference().pages()


def test_the_reference_has_every_type_once_on_the_page_of_its_noun(reference):
    headed = [name for page in reference.values() for name in re.findall(r"^## (\w+)$", page, re.M)]
    names = [name for name in headed if name not in ("Read", "Act", "Types")]

    assert sorted(names) == sorted({type_.name for type_ in TYPES} - ROOTS)
    assert "## ItemFilter" in reference["item.md"]
    assert "## ChangelogOrder" in reference["changelog.md"]
    assert "## ItemSubscriptionConnection" in reference["item-subscription.md"]
    assert len(reference) == len(TITLES) + 1


def test_the_reference_says_every_field_argument_and_value_with_its_description(reference):
    text = " ".join("\n".join(reference.values()).split())
    missing = []
    for type_ in TYPES:
        told = dict(getattr(type_, "values" if isinstance(type_, GraphQLEnumType) else "fields", {}))
        for name, field in list(told.items()):
            told |= {f"{name}({given}": argument for given, argument in getattr(field, "args", {}).items()}
        for name, thing in told.items():
            said = " ".join((thing.description or "").split()).replace("|", "\\|")
            if f"`{name.rpartition('(')[2]}`" not in text or not said or said not in text:
                missing.append(f"{type_.name}.{name}")

    assert missing == []


def test_a_root_field_stands_with_what_it_answers_with(reference):
    votes = reference["vote.md"]

    assert re.search(
        r"^\| `votes` \| \[`VoteConnection!`\]\(vote\.md#voteconnection\) \|.*`first`", votes, re.M
    )
    assert "| `thresholds` |" in reference["thresholds.md"].partition("## Follow live")[2]
    assert "| `userErase` |" in reference["mutation.md"].partition("## Act")[2]
    assert "[`votes`](vote.md)" in reference["index.md"]


def test_the_order_of_reading_has_every_page(tmp_path):
    pages = tmp_path / "pages"
    stage_pages(pages)
    check_order(pages)

    (pages / "forgotten.md").write_text("# Forgotten")
    with pytest.raises(Wrong, match=r"forgotten\.md"):
        check_order(pages)


def test_a_link_to_the_code_is_its_path_on_the_site_and_one_to_a_page_beside_it_that_page(tmp_path):
    pages = tmp_path / "pages"
    stage_pages(pages)

    assert "](../" not in "".join(page.read_text() for page in pages.glob("*.md"))
    assert "](changes.md)" in (pages / "index.md").read_text()
    assert "`examples/chat-notifier` is that" in (pages / "live.md").read_text()


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ('<a href="gone/">', "index.html leads to gone/, which is not there"),
        ('<a href="#gone">', "index.html leads to #gone, an anchor that is not there"),
        ('<a href="other/#there">', "an anchor that is not there"),
        ('<img src="https://example.com/a.png">', "index.html loads https://example.com/a.png"),
        ('<link rel="stylesheet" href="//example.com/a.css">', "loads //example.com/a.css"),
    ],
)
def test_a_dead_end_and_what_comes_from_elsewhere_are_found(tmp_path, page, told):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.html").write_text('<h1 id="here">')
    (tmp_path / "index.html").write_text(
        f'<h1 id="here"><a href="other/#here"><a href="https://example.com">{page}'
    )

    with pytest.raises(Wrong, match=re.escape(told)):
        check(tmp_path)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole site, as `make docs` builds it."""
    if not TOOL.exists():
        pytest.skip(
            "the site of the documentation was not built: its tool is not installed (make docs fetches it)"
        )
    folder = tmp_path_factory.mktemp("site") / "docs"
    build(folder)
    return folder


@pytest.mark.browser
async def test_the_site_is_searched_and_read_in_a_browser_under_its_strict_policy(site, browsers):
    async with serving(Documentation(site).routes()) as address:
        browser = await browsers.tab(reducedMotion="reduce", hasTouch=True)
        await browser.run("await page.goto(url)", url=f"{address}/docs")
        await browser.run(
            """await page.locator('.md-search__button').click();
            await page.keyboard.type('quarantineDiscard');
            await page.getByRole('option').first().click();
            await page.waitForURL(/reference/);"""
        )
        assert await browser.problems() == []


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_serious_on_pages_of_the_site(site, browsers, scheme):
    serious = {}
    async with serving(Documentation(site).routes()) as address:
        browser = await browsers.tab(colorScheme=scheme, reducedMotion="reduce")
        for path, width in LOOKED_AT.items():
            await browser.run(
                "await page.setViewportSize({width, height: 740}); await page.goto(url)",
                url=f"{address}/docs/{path}", width=width,
            )  # fmt: skip
            serious[path] = await browser.run("return axe()")
        problems = await browser.problems()

    assert {path: found for path, found in serious.items() if found} == {}
    assert problems == []
