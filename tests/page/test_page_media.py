"""The page on paper, and in the colours of a reader who needs contrast."""

from __future__ import annotations

import pytest

from tests.given.paged import ANSWERED, opened

pytestmark = pytest.mark.browser

PAST = "?at=2026-03-02T10:00:00Z&position=50000"


@pytest.mark.parametrize(
    ("address", "panel"),
    [(PAST, "#board"), (f"{PAST}&status=planned", "#board"), ("ask/ranks", "#ask"), ("changes", "#changes")],
)
async def test_on_paper_there_is_ink_and_nothing_to_press(history, browsers, address, panel):
    driver = await browsers.tab(
        viewport={"width": 718, "height": 1000}, colorScheme="dark", reducedMotion="reduce"
    )
    await opened(driver, history, address)

    pressed, ink, bar, held, chosen = await driver.run(
        f"""{ANSWERED};
        await page.emulateMedia({{ media: 'print', colorScheme: 'dark' }});
        return page.evaluate((panel) => {{
            const seen = (selector) =>
                [...document.querySelectorAll(selector)].filter((each) => each.checkVisibility());
            const style = (selector) => getComputedStyle(document.querySelector(selector));
            return [
                seen('button:not(.when), [role=slider], [role=tab], nav a, .query')
                    .map((each) => each.outerHTML),
                style('.day').color, style('#bar').position, style(panel).overflowY,
                seen('.finder select, .finder input').map((each) => each.value),
            ];
        }}, panel);""",
        panel=panel,
    )

    assert pressed == []
    assert ink == ("rgb(10, 106, 107)" if PAST in address else "rgb(0, 0, 0)")
    assert (bar, held) == ("static", "visible")
    assert chosen == (["planned"] if "status" in address else [])
    assert await driver.problems() == []


async def test_what_is_dark_differs_in_its_colours_alone(history, browser):
    await opened(browser, history)

    set_there = await browser.run(
        """return page.evaluate(() => {
            const rules = ({cssRules = []}) => [...cssRules].flatMap((rule) => [rule, ...rules(rule)]);
            const ofDark = (media) => media?.includes('prefers-color-scheme');
            const all = [...document.styleSheets].flatMap((sheet) => [sheet, ...rules(sheet)]);
            const dark = all.filter(({conditionText, media}) => ofDark(conditionText ?? media?.mediaText));
            return dark.flatMap(rules).flatMap(({style}) => [...style].map((name) => {
                return [name, CSS.supports('color', style.getPropertyValue(name).trim())];
            }));
        })"""
    )

    assert "--ink" in {name for name, _ in set_there}
    assert [name for name, is_colour in set_there if not (name.startswith("--") and is_colour)] == []


async def test_a_chart_is_printed_as_wide_as_the_sheet(history, browsers):
    driver = await browsers.tab(viewport={"width": 1280, "height": 900}, reducedMotion="reduce")
    await opened(driver, history, "ask/ranks")

    # A sheet is narrower than what the chart was drawn for, and no script runs between.
    drawn, printed = await driver.run(
        f"""{ANSWERED};
        await page.locator('.plot canvas').waitFor();
        await page.emulateMedia({{ media: 'print' }});
        return page.evaluate(() => {{
            const [place, canvas] = ['.plot', '.plot canvas'].map((each) => document.querySelector(each));
            const drawn = canvas.width / devicePixelRatio;
            place.parentElement.style.width = '600px';
            return [drawn, canvas.getBoundingClientRect().width];
        }});""",
        panel="#ask",
    )

    assert drawn > 1_000
    assert printed == 600
    assert await driver.problems() == []


async def test_what_is_chosen_stands_out_where_colours_are_the_readers_own(history, browsers):
    driver = await browsers.tab(forcedColors="active", reducedMotion="reduce")
    await opened(driver, history, PAST)

    tabs, row, handle = await driver.run(
        """await page.locator('.board a.title').first().click();
        await page.locator('.board tr[data-open]').waitFor();
        return page.evaluate(() => {
            const style = (element, ...part) => getComputedStyle(element, ...part);
            const tabs = [...document.querySelectorAll('[role=tab]')].filter((tab) => tab.checkVisibility());
            const chosen = tabs.find((tab) => tab.ariaSelected === 'true');
            return [
                tabs.filter((tab) => style(tab).borderBottomColor === style(chosen).borderBottomColor).length,
                style(document.querySelector('[data-open]')).outlineStyle,
                style(document.querySelector('.handle'), '::before').backgroundColor
                    !== style(document.body).backgroundColor,
            ];
        });"""
    )
    questions = await driver.run(
        """await page.getByRole('tab', { name: 'Ask' }).click();
        const chosen = await page.waitForSelector('.questions [aria-current=page]');
        return page.evaluate((chosen) => {
            const ground = (button) => getComputedStyle(button).backgroundColor;
            const buttons = [...document.querySelectorAll('.questions button')];
            return buttons.filter((button) => ground(button) === ground(chosen)).length;
        }, chosen);"""
    )

    assert (tabs, row, handle, questions) == (1, "solid", True, 1)
    assert await driver.problems() == []
