"""The time bar: what of it is shown, dates that are picked, what comes meanwhile, links that say a moment."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.given.folders import PAYLOADS
from tests.given.paged import board_by_api, opened, rows, small_board, told_to, votes
from tests.given.running import Running

pytestmark = pytest.mark.browser

COLUMNS = """[...document.querySelector('.shape path').getAttribute('d').matchAll(/M([\\d.]+) /g)]
    .map(([, from]) => Number(from))"""
SLIDER = "document.querySelector('[role=slider]')"
SHOWN = "document.querySelector('.legend .quiet').textContent"
# The keys are held until what zooms is loaded, the pointer is not: it would be missed.
ZOOMED = f"""await page.locator('[role=slider]').focus();
    for (let i = 0; i < 8; i++) await page.keyboard.press('+');
    await page.waitForFunction(() => {SHOWN}.includes(':'));"""
DAY = timedelta(days=1)


def of_item(action: str, number: int, at: datetime, **said: object) -> bytes:
    """A delivery that an item was created or changed at a time."""
    told = json.loads((PAYLOADS / "item.create.json").read_text())
    told |= {"action": action, "timestamp": str(int(at.timestamp() * 1000))}
    told["data"] |= {"feedback_id": number, "title": f"Idea {number}", **said}
    return json.dumps(told).encode()


async def ideas(service: Running, *ages: int, first: int = 1) -> None:
    """Deliver an idea of so many days ago each, and wait until the last of them is shown."""
    now = datetime.now(UTC)
    *before, last = [of_item("item.create", first + i, now - age * DAY) for i, age in enumerate(ages)]
    for body in before:
        await service.post(body)
    await told_to(service, last)


async def test_an_event_of_long_ago_does_not_squeeze_the_rest_of_the_bar(tmp_path, browser):
    async with small_board(tmp_path) as service:
        await ideas(service, 3_300, 40, 30, 20, 10, 1)
        await opened(browser, service)

        begun, shown = await browser.run(f"return page.evaluate(() => [{COLUMNS}, {SHOWN}])")
        await browser.run(
            f"""await page.getByRole('button', {{ name: 'Show all time' }}).click();
            await page.waitForFunction(() => !{SHOWN});"""
        )
        whole = await browser.run(f"return page.evaluate(() => {COLUMNS})")
        await browser.run(
            f"""await page.getByRole('button', {{ name: 'Show all time' }}).click();
            await page.waitForFunction(() => {SHOWN});"""
        )
        again = await browser.run(f"return page.evaluate(() => {COLUMNS})")
        await browser.run("await page.goto('about:blank')")

    assert shown.startswith("shown: ")
    assert len(begun) == 5
    assert begun[0] < 5 < 900 < begun[-1]
    assert whole[1] > 980
    assert again == pytest.approx(begun, abs=1)


async def test_an_old_first_event_is_shown_where_much_followed_it(history, browser):
    await opened(browser, history)

    found = await browser.run(
        """return page.evaluate(async () => {
            const { Extent } = await import('/page/extent.js');
            const day = (t, events) => ({ t, events, lastPosition: 1 });
            const main = (...days) => new Date(new Extent(days, 0, 1).main).toISOString().slice(0, 10);
            const now = Date.now();
            const ago = (days) => new Date(now - days * 86_400_000).toISOString().slice(0, 10);
            return [
                main(day('2017-03-01', 1), day(ago(20), 500), day(ago(1), 500)) === ago(20),
                main(day('2017-03-01', 400), day(ago(20), 500), day(ago(1), 500)) === '2017-03-01',
                main(day(ago(20), 1), day(ago(19), 500), day(ago(1), 500)) === ago(20),
                main(day(ago(9), 1), day(ago(1), 1)) === ago(9),
            ];
        })"""
    )

    assert found == [True] * 4


async def test_the_bar_shows_less_and_more_by_keys_by_the_wheel_and_by_buttons(history, browser):
    await opened(browser, history, "?at=2026-03-02T10:00:00Z&position=50000")

    spans = await browser.run(
        f"""const shown = () => page.evaluate(() => {SHOWN});
        const after = async (does) => {{
            const before = await shown();
            await does();
            await page.waitForFunction((before) => {SHOWN} !== before, before);
            return shown();
        }};
        await page.locator('[role=slider]').focus();
        const box = await page.locator('.track').boundingBox();
        const found = [await after(() => page.keyboard.press('+'))];
        for (let i = 0; i < 7; i++) found.push(await after(() => page.keyboard.press('+')));
        await page.mouse.move(box.x + box.width / 2, box.y + 10);
        await page.locator('.hover').waitFor();
        await page.keyboard.down('Control');
        found.push(await after(() => page.mouse.wheel(0, -100)));
        await page.keyboard.up('Control');
        found.push(await after(() => page.mouse.wheel(60, 0)));
        found.push(await after(() => page.getByRole('button', {{ name: 'Show more time' }}).click()));
        found.push(await after(() => page.keyboard.press('-')));
        found.push(await after(() => page.keyboard.press('0')));
        return found;"""
    )

    assert spans[-1] == ""
    assert "2026" in spans[0]
    # Of a few days the hours are told too.
    assert ":" in spans[7]


async def test_a_place_on_a_part_of_the_bar_is_the_moment_that_it_names(history, browser):
    await opened(browser, history, "?at=2026-03-02T10:00:00Z&position=50000")

    named, said = await browser.run(
        ZOOMED
        + """const box = await page.locator('.track').boundingBox();
        await page.mouse.move(box.x + box.width * 0.3, box.y + 10);
        await page.locator('.hover').waitFor();
        const named = await page.locator('.hover').textContent();
        await page.mouse.down();
        await page.mouse.up();
        await page.waitForFunction(() => !location.search.includes('2026-03-02T10:00:00'));
        return [named, await page.evaluate(() => new URLSearchParams(location.search).get('at'))];"""
    )

    at = datetime.fromisoformat(said)
    assert abs(datetime.strptime(f"{named} +0000", "%d %b %Y, %H:%M %z") - at) < timedelta(minutes=15)
    assert abs(at - datetime(2026, 3, 2, 10, tzinfo=UTC)) < 2 * DAY


async def test_dragging_the_dates_below_moves_what_the_bar_shows_and_a_step_comes_back_to_the_moment(
    history, browser
):
    await opened(browser, history, "?at=2026-03-02T10:00:00Z&position=50000")

    away = await browser.run(
        f"""{ZOOMED}
        const box = await page.locator('.ticks').boundingBox();
        await page.mouse.move(box.x + 900, box.y + 8);
        await page.mouse.down();
        await page.mouse.move(box.x + 20, box.y + 8);
        await page.mouse.up();
        await page.locator('.handle[data-away]').waitFor();
        await page.keyboard.press('ArrowRight');
        await page.waitForFunction(() => !{SLIDER}.hasAttribute('data-away'));
        return page.locator('.day').textContent();"""
    )

    assert away == "Monday, 2 March 2026"


async def test_the_bar_goes_on_to_both_sides_as_events_come(tmp_path, browser):
    now = datetime.now(UTC)
    async with small_board(tmp_path) as service:
        await ideas(service, 20, 10)
        await opened(browser, service)
        await browser.run("await page.waitForFunction(() => document.body.dataset.connection === 'open')")
        begin, end = await browser.run(
            f"return page.evaluate(() => [{SLIDER}.ariaValueMin, {SLIDER}.ariaValueMax].map(Number))"
        )

        await ideas(service, 30, first=3)
        later = of_item("item.update", 1, now + timedelta(hours=3), status="planned", title="Idea 1")
        await told_to(service, later)

        await browser.run(
            f"""await page.waitForFunction((begin) => Number({SLIDER}.ariaValueMin) < begin, begin);
            await page.waitForFunction((end) => Number({SLIDER}.ariaValueMax) > end, end);
            await page.waitForFunction(() => document.querySelector('.lanes path').getAttribute('d'));""",
            begin=begin,
            end=end + 2 * 3_600_000,
        )
        columns = await browser.run(f"return page.evaluate(() => {COLUMNS})")
        await browser.run("await page.goto('about:blank')")

    assert len(columns) == 4
    assert columns[0] < 5


async def test_a_date_is_picked_in_the_readers_zone_which_is_named(history, browsers):
    driver = await browsers.tab(timezoneId="Europe/Berlin", reducedMotion="reduce")
    item = (await history.ask("{ items(first: 1) { nodes { sleekplanId } } }"))["items"]["nodes"][0]
    await opened(driver, history, f"items/{item['sleekplanId']}")

    said, told = await driver.run(
        """await page.getByRole('button', { name: 'Go to' }).click();
        await page.locator('dialog').waitFor();
        await page.keyboard.press('Escape');
        await page.locator('dialog').waitFor({ state: 'detached' });
        await page.waitForFunction(() => document.activeElement.textContent.startsWith('Go to'));
        await page.waitForFunction(() => location.pathname.startsWith('/items/'));
        await page.keyboard.press('Enter');
        const field = page.getByLabel('Date and time in Europe/Berlin');
        await field.fill('2026-03-02T11:00:00');
        const told = await page.locator('dialog p').textContent();
        await field.fill('2026-07-02T11:00:30');
        const said = [told, await page.locator('dialog p').textContent()];
        await page.getByRole('button', { name: 'Go', exact: true }).click();
        await page.waitForFunction(() => location.search.includes('at='));
        return [said, await page.evaluate(() => new URLSearchParams(location.search).get('at'))];"""
    )
    assert said == ["GMT+1: 2 Mar 2026, 10:00:00 UTC", "GMT+2: 2 Jul 2026, 09:00:30 UTC"]
    assert told == "2026-07-02T09:00:30.000Z"
    position = await driver.run(
        "return page.evaluate(() => Number(new URLSearchParams(location.search).get('position')))"
    )
    await driver.run("await idle()")
    assert await rows(driver) == await board_by_api(history, {"time": told, "position": position})
    # Back leaves the moment, and what is yet to come is now.
    await driver.run(
        """await page.goBack();
        await page.waitForFunction(() => location.search === '');
        await page.getByRole('button', { name: 'Go to' }).click();
        await page.getByLabel('Date and time in').fill('2099-01-01T00:00:00');
        await page.keyboard.press('Enter');
        await page.waitForFunction(() => document.querySelector('.day').textContent === 'Now');
        await page.locator('dialog').waitFor({ state: 'detached' });
        for (const place of ['.said', '#announcer'])
            await page.locator(place, { hasText: 'yet to come' }).waitFor({ state: 'attached' });"""
    )
    assert await driver.problems() == []


async def test_in_the_hour_that_comes_twice_what_is_offered_is_the_moment_shown(history, browsers):
    driver = await browsers.tab(timezoneId="Europe/Berlin", reducedMotion="reduce")
    await opened(driver, history, "?at=2026-10-25T01:30:15.500Z&position=50000")

    told, at = await driver.run(
        """await page.getByRole('button', { name: 'Go to' }).click();
        const told = await page.locator('#picked').textContent();
        await page.evaluate(() => history.replaceState(null, '', '?going'));
        await page.keyboard.press('Enter');
        await page.waitForFunction(() => !location.search.includes('going'));
        return [told, new URL(page.url()).searchParams.get('at')];"""
    )

    assert told == "GMT+1: 25 Oct 2026, 01:30:15 UTC"
    assert at == "2026-10-25T01:30:15.500Z"
    assert await driver.problems() == []


async def test_a_page_that_stays_open_on_a_journey_asks_in_the_zone_where_it_is(history, browsers):
    driver = await browsers.tab(reducedMotion="reduce")
    await opened(driver, history)

    # The browser learns of it from the system, as here from its tools.
    told = await driver.run(
        """const tools = await page.context().newCDPSession(page);
        const told = [];
        for (const timezoneId of ['Europe/Berlin', 'America/New_York']) {
            await tools.send('Emulation.setTimezoneOverride', { timezoneId });
            await page.getByRole('button', { name: 'Go to' }).click();
            await page.getByLabel(`Date and time in ${timezoneId}`).fill('2026-03-02T11:00:00');
            told.push(await page.locator('dialog p').textContent());
            await page.keyboard.press('Escape');
            await page.locator('dialog').waitFor({ state: 'detached' });
        }
        return told;"""
    )

    assert told == ["GMT+1: 2 Mar 2026, 10:00:00 UTC", "GMT-5: 2 Mar 2026, 16:00:00 UTC"]
    assert await driver.problems() == []


async def test_on_our_own_clock_a_picked_time_is_what_had_been_learnt_by_then(history, browsers):
    driver = await browsers.tab(timezoneId="America/New_York", reducedMotion="reduce")
    found = await history.ask(
        "{ events(filter: {position: {gte: 15000}}, first: 1) { nodes { recordedAt } } }"
    )
    # The end of its second: all may have been recorded within one.
    recorded = datetime.fromisoformat(found["events"]["nodes"][0]["recordedAt"])
    at = recorded.replace(microsecond=0) + timedelta(seconds=1)
    until = {"to": (at + timedelta(milliseconds=1)).isoformat()}
    learnt = await history.ask(
        "query($until: Window!) { events(filter: {recorded: $until}, last: 1) { nodes { position } } }",
        until=until,
    )
    position = learnt["events"]["nodes"][0]["position"]
    await opened(driver, history, "?clock=recorded")

    await driver.run(
        """const pick = async (at) => {
            await page.getByRole('button', { name: 'Go to' }).click();
            await page.locator('dialog').waitFor();
            await page.evaluate((at) => {
                const field = document.querySelector('dialog input');
                const [when, pad] = [new Date(at), (number) => String(number).padStart(2, '0')];
                field.value = `${when.getFullYear()}-${pad(when.getMonth() + 1)}-${pad(when.getDate())}T`
                    + [when.getHours(), when.getMinutes(), when.getSeconds()].map(pad).join(':');
            }, at);
            await page.getByRole('button', { name: 'Go', exact: true }).click();
        };
        await pick(at);
        await page.waitForFunction(
            (position) => new URLSearchParams(location.search).get('position') === position, position);
        await pick('2020-01-01T00:00:00Z');
        await page.locator('.said', { hasText: 'Nothing had been learnt by then.' }).waitFor();""",
        at=at.isoformat(),
        position=str(position),
    )
    await driver.run("await idle()")
    assert await rows(driver) == await board_by_api(history, {"position": position})


async def test_a_copied_link_opens_the_same_board_for_ever_also_after_an_import_of_what_is_old(
    tmp_path, browser
):
    async with small_board(tmp_path) as service:
        now = datetime.now(UTC)
        await ideas(service, 2)
        await told_to(service, of_item("item.update", 1, now - timedelta(hours=1), total_sum=70, total_up=70))
        # The newest sixty that were learnt are old.
        await ideas(service, *range(100, 170), first=100)
        await opened(browser, service)
        live = await rows(browser)

        link = await browser.run(
            """await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
            await page.getByRole('button', { name: 'Copy link' }).click();
            await page.locator('.said', { hasText: 'answers the same for good' }).waitFor();
            return page.evaluate(() => navigator.clipboard.readText());"""
        )
        await told_to(
            service, of_item("item.update", 1, now, title="Another title", total_sum=90, total_up=90)
        )
        await told_to(service, of_item("item.create", 2, now - 300 * DAY))
        await told_to(service, next(votes(1)))
        await opened(browser, service, link.removeprefix(f"{service.address}/"))
        shown = await rows(browser)
        await opened(browser, service)
        today = await rows(browser)
        await browser.run("await page.goto('about:blank')")

    assert ["Idea 1", "70"] in [row[1:] for row in live]
    assert shown == live
    assert today != live


async def test_now_is_the_wall_clock_from_which_gains_are_counted(history, browser):
    since = await browser.run(
        """const asked = page.waitForRequest(
            (request) => request.postDataJSON()?.query?.startsWith('query Board'));
        await page.goto(url);
        return (await asked).postDataJSON().variables.since;""",
        url=f"{history.address}/?window=P7D",
    )

    assert abs(datetime.now(UTC) - 7 * DAY - datetime.fromisoformat(since)) < timedelta(minutes=5)


@pytest.mark.parametrize("wrong", [timedelta(days=2_000), timedelta(hours=-3)])
async def test_on_a_machine_whose_clock_is_wrong_now_is_what_the_service_says(history, browsers, wrong):
    driver = await browsers.tab(reducedMotion="reduce")
    since, link = await driver.run(
        """await page.clock.setSystemTime(new Date(Date.now() + wrong));
        await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
        const asked = page.waitForRequest(
            (request) => request.postDataJSON()?.query?.startsWith('query Board'));
        await page.goto(url);
        const {since} = (await asked).postDataJSON().variables;
        await page.getByRole('button', { name: 'Copy link' }).click();
        await page.locator('.said', { hasText: 'answers the same for good' }).waitFor();
        return [since, await page.evaluate(() => navigator.clipboard.readText())];""",
        url=f"{history.address}/?window=P7D",
        wrong=wrong / timedelta(milliseconds=1),
    )

    at = parse_qs(urlsplit(link).query)["at"][0]
    assert abs(datetime.now(UTC) - 7 * DAY - datetime.fromisoformat(since)) < timedelta(minutes=5)
    assert abs(datetime.now(UTC) - datetime.fromisoformat(at)) < timedelta(minutes=5)


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ({"position": 999_999_999}, "the log ends at"),
        ({"at": "2026-03-02T10:00:00Z", "position": 999_999_999}, "the position 999,999,999"),
        ({"at": "2099-01-01T00:00:00Z"}, "which is yet to come"),
        ({"at": "2026-02-31"}, "the time 2026-02-31"),
    ],
)
async def test_a_moment_that_nobody_can_know_is_refused_in_words(history, browser, said, word):
    await opened(browser, history, f"?{urlencode(said)}")

    await browser.run("await page.locator('#notice', { hasText: word }).waitFor()", word=word)
    assert await browser.run("return page.locator('.day').textContent()") == "Now"


@pytest.mark.parametrize(
    ("at", "meant"),
    [
        ("2026-03-02T11:00:00+01:00", "2026-03-02T10:00:00.000Z"),
        ("2026-03-02T11:00:00%2B01:00", "2026-03-02T10:00:00.000Z"),
        ("2026-03-02", "2026-03-02T00:00:00.000Z"),
        ("2026-03-02T10:00:00.123456Z", "2026-03-02T10:00:00.123456Z"),
    ],
)
async def test_a_time_in_an_address_may_name_its_zone_or_be_a_day(history, browser, at, meant):
    await opened(browser, history, f"?at={at}&position=50000")

    await browser.run(
        """await page.waitForFunction((search) => location.search.startsWith(search), search);""",
        search=f"?at={meant}&position=50000&",
    )
    assert await rows(browser) == await board_by_api(history, {"time": meant, "position": 50000})


TOUCH = """const cdp = await page.context().newCDPSession(page);
    const touch = (type, ...points) => cdp.send(
        'Input.dispatchTouchEvent', { type, touchPoints: points.map(([x, y]) => ({ x, y })) });
    const { x, y, width, height } = await page.locator('.track').boundingBox();
    const day = () => page.locator('.day').textContent();
    """


async def test_a_finger_that_scrolls_from_the_bar_chooses_nothing_and_one_along_it_does(history, browsers):
    driver = await browsers.tab(
        viewport={"width": 360, "height": 740}, hasTouch=True, isMobile=True, reducedMotion="reduce"
    )
    await opened(driver, history)

    scrolled, along, tapped = await driver.run(
        f"""{TOUCH}let [at, up] = [x + width / 3, y + height / 2];
        await touch('touchStart', [at, up]);
        for (let i = 1; i <= 10; i++) await touch('touchMove', [at + i / 4, up - i * 12]);
        await touch('touchEnd');
        await page.waitForFunction(() => scrollY > 50);
        const scrolled = [await day(), new URL(page.url()).search];
        // Anew, since a page that was flung goes on by itself.
        await page.goto('about:blank');
        await page.goto(url);
        await page.waitForFunction(() => document.body.dataset.ready === 'true' && scrollY === 0);
        await touch('touchStart', [at, up]);
        for (let i = 1; i <= 10; i++) await touch('touchMove', [at + i * 8, up + i / 6]);
        await touch('touchEnd');
        await page.waitForFunction(() => location.search.includes('at='));
        const along = await day();
        await page.locator('.track').tap({{ position: {{ x: width / 3, y: height / 2 }} }});
        await page.waitForFunction((along) => document.querySelector('.day').textContent !== along, along);
        return [scrolled, along, await day()];""",
        url=f"{history.address}/",
    )

    assert scrolled == ["Now", ""]
    assert along != "Now"
    assert tapped not in ("Now", along)
    assert await driver.problems() == []
