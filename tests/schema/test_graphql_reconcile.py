"""`reconcile` begins a comparison in the service; each way to refuse is told as an error to mend."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from service.simulator.fake import FakeSleekplan
from tests.given.fake_board import TINY, a_fake
from tests.given.running import Running, running
from tests.given.waiting import eventually

PRODUCT = TINY.product_id
TOKENS = f"admin-token:read+admin,bound-token:read+admin@{PRODUCT},other-token:read+admin@8,reader-token:read"
BEGIN = """mutation ($full: Boolean!) {
  reconcile(full: $full%s) { started userErrors { message code field } } }"""
SWEEPS = "{ sweeps { kind full state events } }"


@asynccontextmanager
async def a_service(
    url: str, folder: Path, fake: FakeSleekplan | None, address: str = "http://127.0.0.1:1/v1"
) -> AsyncIterator[Running]:
    env = {"RECOUNT_DATABASE_URL": url, "RECOUNT_API_TOKENS": TOKENS, "RECOUNT_SLEEKPLAN_API_URL": address}
    if fake is not None:
        env |= {"RECOUNT_SLEEKPLAN_API_KEY": f"{fake.key}@{PRODUCT}", "RECOUNT_SLEEKPLAN_RATE": "100"}
    async with running(folder / "data", env=env) as service:
        yield service


async def ask(service: Running, query: str, token: str = "admin-token", **variables: Any) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(service.graphql_url, json={"query": query, "variables": variables}) as answer,
    ):
        return await answer.json(content_type=None)


async def begin(service: Running, token: str = "admin-token", product: int | None = None) -> Any:
    argument = "" if product is None else f', productId: "{product}"'
    return await ask(service, BEGIN % argument, token, full=True)


async def test_it_begins_in_the_service_once_at_a_time_and_is_seen_to_its_end(
    database_url: str, tmp_path: Path
) -> None:
    fake = a_fake(TINY)
    refused: list[Any] = []
    async with fake.serving() as address, a_service(database_url, tmp_path, fake, address) as service:

        async def begin_another(number: int) -> None:
            if number == 3:
                refused.append((await begin(service))["data"]["reconcile"])

        fake.before_request = begin_another
        told = (await begin(service, "bound-token"))["data"]["reconcile"]

        async def has_ended() -> bool:
            [sweep] = (await ask(service, SWEEPS, "reader-token"))["data"]["sweeps"]
            return bool(sweep["state"] == "COMPLETE")

        await eventually(lambda: bool(refused), 60)
        await eventually(has_ended, 60)
        [sweep] = (await ask(service, SWEEPS, "reader-token"))["data"]["sweeps"]

    assert told == {"started": True, "userErrors": []}
    [[error]] = [each["userErrors"] for each in refused]
    assert (error["code"], error["field"]) == ("SWEEP_RUNS", ["productId"])
    assert (sweep["kind"], sweep["full"]) == ("RECONCILE", True)
    assert sweep["events"] > 0


async def test_without_a_key_the_scope_or_the_right_product_nothing_begins(
    database_url: str, tmp_path: Path
) -> None:
    async with a_service(database_url, tmp_path, None) as service:
        keyless = (await begin(service, product=PRODUCT))["data"]["reconcile"]
        scopeless = await begin(service, "reader-token")
        foreign = await begin(service, "other-token", product=PRODUCT)

    assert not keyless["started"]
    assert [error["code"] for error in keyless["userErrors"]] == ["NO_API_KEY"]
    assert scopeless["errors"][0]["extensions"]["code"] == "MISSING_SCOPE"
    assert foreign["errors"][0]["extensions"]["code"] == "FOREIGN_PRODUCT"


@pytest.mark.parametrize("token", ["bound-token", "other-token"])
async def test_a_bound_token_means_its_own_board(token: str, database_url: str, tmp_path: Path) -> None:
    fake = a_fake(TINY)
    async with fake.serving() as address, a_service(database_url, tmp_path, fake, address) as service:
        told = (await begin(service, token))["data"]["reconcile"]

    assert told["started"] == (token == "bound-token")


FETCH = "mutation { backfill { started userErrors { code field } } }"
SETUP = "{ setup { canBackfill backfillProducts } }"


async def test_a_back_fill_begun_in_the_service_brings_the_board(database_url: str, tmp_path: Path) -> None:
    fake = a_fake(TINY)
    async with fake.serving() as address, a_service(database_url, tmp_path, fake, address) as service:
        setup = await ask(service, SETUP)
        told = (await ask(service, FETCH))["data"]["backfill"]

        async def has_ended() -> bool:
            sweeps = (await ask(service, SWEEPS, "reader-token"))["data"]["sweeps"]
            return [each["state"] for each in sweeps] == ["COMPLETE"]

        await eventually(has_ended, 60)
        [sweep] = (await ask(service, SWEEPS, "reader-token"))["data"]["sweeps"]

    assert setup["data"]["setup"] == {"canBackfill": True, "backfillProducts": [str(PRODUCT)]}
    assert told == {"started": True, "userErrors": []}
    assert sweep["kind"] == "BACKFILL"
    assert sweep["events"] > 0


async def test_what_is_set_and_a_back_fill_are_for_who_may_administer(
    database_url: str, tmp_path: Path
) -> None:
    async with a_service(database_url, tmp_path, None) as service:
        setup = await ask(service, SETUP)
        keyless = (await ask(service, FETCH, "bound-token"))["data"]["backfill"]
        scopeless = [await ask(service, query, "reader-token") for query in (SETUP, FETCH)]

    assert setup["data"]["setup"] == {"canBackfill": False, "backfillProducts": []}
    assert keyless == {"started": False, "userErrors": [{"code": "NO_API_KEY", "field": ["productId"]}]}
    assert [each["errors"][0]["extensions"]["code"] for each in scopeless] == ["MISSING_SCOPE"] * 2
