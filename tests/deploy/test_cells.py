"""The router of deploy/cells, by the real HAProxy: two cells behind it, and clients as they are."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest
from yarl import URL

from tests.given.bodies import a_body
from tests.given.cells import Router, router
from tests.given.fronts import frames_at_once
from tests.given.running import Running, running
from tests.given.waiting import eventually

KEY, ITS_KEY, TOKEN = "key-of-a-test", "key+of/one-product", "token-of-a-test"
HERE, THERE, NO_CELL, UNKNOWN = 11, 22, 33, 44
LIVE = "subscription { events(after: 0) { position productId } }"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
PATIENCE_SECONDS = 60


class Cells(NamedTuple):
    """Two cells and what stands before them: one has the product HERE, the other one THERE."""

    router: Router
    session: aiohttp.ClientSession
    a: list[Running]
    b: Running

    async def deliver(self, address: str, body: bytes, **headers: str) -> tuple[int, dict[str, object]]:
        """Post a body as Sleekplan would, and return status and answer."""
        async with self.session.post(address, data=body, headers=headers) as answer:
            return answer.status, json.loads(await answer.text())


def _environment(database_url: str) -> dict[str, str]:
    return {
        "RECOUNT_DATABASE_URL": database_url,
        "RECOUNT_WEBHOOK_KEYS": f"{KEY},{ITS_KEY}@{THERE}",
        "RECOUNT_API_TOKENS": TOKEN,
    }


@pytest.fixture
async def cells(tmp_path: Path, database_url: str, empty_database_url: str) -> AsyncIterator[Cells]:
    """Cell a of two instances, cell b of one; a third is in the map alone."""
    fingerprint = sha256(ITS_KEY.encode()).hexdigest()[:8]
    of_a, of_b = _environment(database_url), _environment(empty_database_url)
    async with (
        running(tmp_path / "a1", env=of_a) as a1,
        running(tmp_path / "a2", env=of_a) as a2,
        running(tmp_path / "b1", env=of_b) as b1,
        router(
            tmp_path / "router",
            {"a": [a1.address, a2.address], "b": [b1.address]},
            {HERE: "a", THERE: "b", UNKNOWN: "z"},
            {"there.example.com": THERE, fingerprint: THERE},
        ) as before,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session,
    ):
        yield Cells(before, session, [a1, a2], b1)


async def test_the_path_the_host_and_the_key_name_a_product_and_its_cell_gets_what_comes(
    cells: Cells,
) -> None:
    at = cells.router.address

    ways: tuple[tuple[str, dict[str, str], int], ...] = (
        (cells.router.of(HERE, f"/webhooks?key={KEY}"), {}, HERE),
        (cells.router.of(THERE, f"/webhooks?key={KEY}"), {}, THERE),
        (f"{at}/webhooks?key={KEY}", {"Host": "There.example.com:443"}, THERE),
        (f"{at}/webhooks?key=key%2Bof%2Fone-product", {}, THERE),
        (f"{at}/webhooks", {"X-Secret": ITS_KEY}, THERE),
        (f"{at}/?key={ITS_KEY}", {}, THERE),
    )
    for number, (address, headers, product) in enumerate(ways):
        status, told = await cells.deliver(address, a_body(number, product_id=product), **headers)
        assert (status, told.get("duplicate")) == (200, False), (address, told)

    for product in (HERE, THERE):
        asked = {"query": "{ events(minPosition: 1) { nodes { productId } } }"}
        address = cells.router.of(product, "/graphql")
        async with cells.session.post(address, json=asked, headers=BEARER) as answer:
            told = await answer.json()
        assert {node["productId"] for node in told["data"]["events"]["nodes"]} == {str(product)}
    async with cells.session.get(f"{at}/", headers={"Host": "there.example.com"} | BEARER) as page:
        assert "<html" in await page.text()


async def test_what_no_cell_is_for_is_told_in_a_line_and_the_others_go_on(cells: Cells) -> None:
    at = cells.router.address
    for address, status, said in (
        (cells.router.of(NO_CELL, f"/webhooks?key={KEY}"), 503, f"no cell has product {NO_CELL}: give it"),
        (
            cells.router.of(UNKNOWN, "/graphql"),
            503,
            f"sends product {UNKNOWN} to cell z, which has no backend",
        ),
        (f"{at}/webhooks?key={KEY}", 404, "name the product"),
        (f"{at}/graphql", 404, "name the product"),
    ):
        answered, told = await cells.deliver(address, a_body(1))
        assert answered == status
        assert said in str(told["error"])
    for path in ("/metrics", "/livez", "/readyz", "/%6Detrics", "/livez%3Fx=1"):
        async with cells.session.get(URL(cells.router.of(HERE, path), encoded=True)) as answer:
            assert answer.status == 404, path

    status, _ = await cells.deliver(cells.router.of(HERE, f"/webhooks?key={KEY}"), a_body(1, product_id=HERE))
    assert status == 200


async def test_a_cell_that_is_away_is_told_in_a_line_and_the_others_go_on(cells: Cells) -> None:
    await cells.b.stop(signal.SIGKILL)

    for path in (f"/webhooks?key={KEY}", "/graphql"):
        async with cells.session.post(cells.router.of(THERE, path), data=a_body(1)) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
            told = await answer.json()
        assert told == {"error": f"cell b, which has product {THERE}, does not answer; send it again"}
    status, _ = await cells.deliver(cells.router.of(HERE, f"/webhooks?key={KEY}"), a_body(1, product_id=HERE))
    assert status == 200


async def test_a_cell_goes_on_while_one_of_its_instances_is_killed(cells: Cells) -> None:
    await cells.a[0].stop(signal.SIGKILL)

    for number in range(20):
        status, told = await cells.deliver(
            cells.router.of(HERE, f"/webhooks?key={KEY}"), a_body(number, product_id=HERE)
        )
        assert (status, told["position"]) == (200, number + 1)


async def test_frames_of_sockets_and_event_streams_pass_at_once(cells: Cells) -> None:
    async def deliver() -> None:
        await cells.deliver(cells.router.of(THERE, f"/webhooks?key={KEY}"), a_body(1, product_id=THERE))

    address = cells.router.of(THERE, "/graphql")
    frames = await frames_at_once(cells.session, address, TOKEN, LIVE, deliver)

    assert [frame["productId"] for frame in frames] == [str(THERE)] * 2


async def test_no_log_has_a_key_or_a_token(cells: Cells) -> None:
    await cells.deliver(cells.router.of(HERE, f"/webhooks?key={KEY}"), a_body(1, product_id=HERE))
    await cells.deliver(f"{cells.router.address}/webhooks?key={ITS_KEY}", a_body(1, product_id=THERE))
    async with cells.session.post(
        cells.router.of(HERE, "/graphql"), json={"query": "{ __typename }"}, headers=BEARER
    ) as answer:
        assert answer.status == 200
    said = cells.router.folder / "said"

    await eventually(lambda: "/graphql" in said.read_text(), PATIENCE_SECONDS)

    assert "/webhooks" in said.read_text()
    for secret in (KEY, ITS_KEY, TOKEN):
        assert secret not in said.read_text()
