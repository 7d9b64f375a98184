"""What acts does act, on the database; and each way to refuse is told as an error a client can mend."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from schema.ids import encode_id
from service.log.event_store import EventStore
from service.log.quarantine import Quarantine, Unreadable
from tests.given.asking import PRODUCT, a_pool, new_database, person, post
from tests.given.bodies import NOON, a_body
from tests.given.running import Running, running
from tests.given.waiting import eventually

FOREIGN = 8
MISSING = "00000000-0000-0000-0000-000000000000"
TOKENS = {
    "admin": "admin-token",
    "bound": "bound-token",
    "reader": "reader-token",
}


ADA = person(1, "ada")
HISTORY = [
    a_body(product_id=PRODUCT, action="item.create", data=post(1, title="Dark mode", user=ADA)),
    a_body(product_id=FOREIGN, action="item.create", data=post(1, title="Theirs", user=ADA)),
]


@dataclass
class Service:
    """A service that runs on a database of its own, and that database."""

    running: Running
    pool: asyncpg.Pool
    quarantine: Quarantine

    async def act(
        self, mutation: str, token: str = "admin", declared: str = "", **variables: Any
    ) -> dict[str, Any]:
        """Return the whole response to a mutation; `declared` are its variables."""
        headers = {"Authorization": f"Bearer {TOKENS[token]}"}
        body = {"query": f"mutation {declared} {{ {mutation} }}", "variables": variables}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(self.running.graphql_url, json=body) as answer,
        ):
            said: dict[str, Any] = await answer.json(content_type=None)
            return said

    async def payload(self, mutation: str, token: str = "admin") -> Any:
        """Return what a mutation answers, which must be no error of the request."""
        said = await self.act(mutation, token)
        assert "errors" not in said, said
        [payload] = said["data"].values()
        return payload

    async def refuse(self, delivery: bytes, product: int = PRODUCT) -> str:
        """Put a delivery into the quarantine; return its id."""
        return await self.quarantine.keep(Unreadable("a joke", delivery, NOON, "WEBHOOK", product))

    async def head(self) -> int:
        head: int = await self.pool.fetchval("select coalesce(max(position), 0) from log.events")
        return head

    async def state(self, id: str) -> str:
        state: str = (await self.quarantine.show(id)).state
        return state


@pytest.fixture(scope="module")
async def service(
    server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    folder: Path = tmp_path_factory.mktemp("mutations")
    async with new_database(server_url, template) as url, a_pool(url) as pool:
        env = {
            "RECOUNT_DATABASE_URL": url,
            "RECOUNT_API_TOKENS": (
                f"admin-token:read+admin,bound-token:read+admin@{PRODUCT},reader-token:read"
            ),
        }
        store = EventStore(pool)
        try:
            async with running(folder / "data", env=env) as running_service:
                for told in HISTORY:
                    status, _ = await running_service.post(told)
                    assert status == 200
                yield Service(running_service, pool, Quarantine(pool, store))
        finally:
            await store.close()


def code_of(payload: dict[str, Any]) -> tuple[str, list[str]]:
    """Return the one error of a payload: its code, and the argument that it is about."""
    [error] = payload["userErrors"]
    assert error["message"]
    return error["code"], error["field"]


ERRORS = "userErrors { message code field }"


# webhookKey


async def test_the_key_that_the_service_made_is_told_to_who_may_administer_every_board(
    service: Service,
) -> None:
    payload = await service.payload("webhookKey { key }")
    bound, reader = [await service.act("webhookKey { key }", token) for token in ("bound", "reader")]

    assert payload["key"] == (service.running.data_dir / "webhook-key").read_text().strip()
    assert bound["errors"][0]["extensions"]["code"] == "BAD_ARGUMENT"
    assert reader["errors"][0]["extensions"]["code"] == "MISSING_SCOPE"


# projectionRebuild


async def test_a_rebuild_counts_a_projection_into_a_new_generation(service: Service) -> None:
    generation = "select max(generation) from read_model.checkpoints"
    before = await service.pool.fetchval(generation)

    payload = await service.payload(f"projectionRebuild {{ started {ERRORS} }}")

    assert payload == {"started": True, "userErrors": []}

    async def is_newer() -> bool:
        newest: int = await service.pool.fetchval(generation)
        return newest > int(before)

    await eventually(is_newer)


@pytest.mark.parametrize("name", ["nonsense", ""])
async def test_rebuilding_what_no_projection_is_called_is_an_error_about_the_name(
    service: Service, name: str
) -> None:
    payload = await service.payload(f'projectionRebuild(name: "{name}") {{ started {ERRORS} }}')

    assert not payload["started"]
    assert code_of(payload) == ("UNKNOWN_PROJECTION", ["name"])


async def test_a_token_that_is_bound_rebuilds_nothing(service: Service) -> None:
    said = await service.act(f"projectionRebuild {{ started {ERRORS} }}", "bound")

    assert said["errors"][0]["extensions"]["code"] == "BAD_ARGUMENT"


# quarantineRetry


def retry(id: str) -> str:
    return f'quarantineRetry(id: "{id}") {{ position duplicate {ERRORS} }}'


async def test_what_has_become_an_event_is_recorded_and_its_delivery_closed(service: Service) -> None:
    id = await service.refuse(a_body(product_id=PRODUCT, action="item.update", data=post(1, title="Darker")))
    head = await service.head()

    payload = await service.payload(retry(id))

    assert payload == {"position": head + 1, "duplicate": False, "userErrors": []}
    assert await service.head() == head + 1
    assert await service.state(id) == "retried"


async def test_what_the_log_holds_already_is_recorded_once(service: Service) -> None:
    id = await service.refuse(HISTORY[0])
    head = await service.head()

    payload = await service.payload(retry(id))

    assert payload == {"position": 1, "duplicate": True, "userErrors": []}
    assert await service.head() == head


async def test_what_still_is_no_event_stays_open(service: Service) -> None:
    id = await service.refuse(b"still a joke")

    payload = await service.payload(retry(id))

    assert payload["position"] is None
    assert code_of(payload) == ("NOT_AN_EVENT", ["id"])
    assert await service.state(id) == "open"


async def test_a_bound_token_cannot_have_another_products_event_recorded(service: Service) -> None:
    """Its key named one product, its body names another."""
    id = await service.refuse(a_body(product_id=FOREIGN, action="item.update", data=post(2)))
    head = await service.head()

    payload = await service.payload(retry(id), "bound")

    assert code_of(payload) == ("NOT_AN_EVENT", ["id"])
    assert await service.head() == head
    assert await service.state(id) == "open"


# quarantineDiscard


def discard(id: str) -> str:
    return f'quarantineDiscard(id: "{id}") {{ discarded {ERRORS} }}'


async def test_a_discarded_delivery_is_closed_and_keeps_its_bytes(service: Service) -> None:
    id = await service.refuse(b"a joke to discard")

    payload = await service.payload(discard(id))

    assert payload == {"discarded": True, "userErrors": []}
    assert await service.state(id) == "discarded"
    assert (await service.quarantine.show(id)).body == b"a joke to discard"


@pytest.mark.parametrize("act", [retry, discard])
@pytest.mark.parametrize("id", [MISSING, "nonsense", ""])
async def test_a_delivery_that_there_is_not_is_an_error_about_the_id(
    service: Service, act: Any, id: str
) -> None:
    assert code_of(await service.payload(act(id))) == ("QUARANTINE_UNKNOWN", ["id"])


@pytest.mark.parametrize("act", [retry, discard])
async def test_what_was_closed_is_not_closed_again(service: Service, act: Any) -> None:
    id = await service.refuse(f"a joke for {act.__name__}".encode())
    await service.payload(discard(id))

    assert code_of(await service.payload(act(id))) == ("QUARANTINE_CLOSED", ["id"])


@pytest.mark.parametrize("act", [retry, discard])
async def test_another_products_delivery_is_unknown_to_a_bound_token(service: Service, act: Any) -> None:
    id = await service.refuse(f"their joke for {act.__name__}".encode(), FOREIGN)

    assert code_of(await service.payload(act(id), "bound")) == ("QUARANTINE_UNKNOWN", ["id"])
    assert await service.state(id) == "open"


@pytest.mark.parametrize(
    ("declared", "rest"),
    [
        ("($null: Boolean = true)", "{ discarded @skip(if: $null) }"),
        (f'($null: ID = "{MISSING}")', "{ discarded } another: quarantineDiscard(id: $null) { discarded }"),
    ],
)
async def test_nothing_is_done_by_a_mutation_with_a_null_that_a_default_let_through(
    service: Service, declared: str, rest: str
) -> None:
    id = await service.refuse(f"a joke with {declared}".encode())

    said = await service.act(f'quarantineDiscard(id: "{id}") {rest}', declared=declared, null=None)

    assert said["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert await service.state(id) == "open"


# userErase


def erase(arguments: str) -> str:
    return f"userErase({arguments}) {{ eventsRedacted {ERRORS} }}"


@pytest.mark.parametrize("by", ["opaque id", "Sleekplan's id"])
async def test_an_erased_person_is_in_no_event_any_more(service: Service, by: str) -> None:
    number = 41 if by == "opaque id" else 42
    told = post(number, title="Mine", user=person(number, f"person{number}"))
    _, answer = await service.running.post(a_body(product_id=PRODUCT, action="item.create", data=told))
    await _projected(service, answer["position"])
    who = (
        f'id: "{encode_id("User", PRODUCT, number)}"'
        if by == "opaque id"
        else f'productId: "{PRODUCT}", sleekplanId: "{number}"'
    )

    payload = await service.payload(erase(f'{who}, reason: "they asked"'))

    assert payload == {"eventsRedacted": 1, "userErrors": []}
    stored = await service.pool.fetchval(
        "select data::text from log.events where position = $1", answer["position"]
    )
    assert f"person{number}@example.com" not in stored


async def _projected(service: Service, position: int) -> None:
    async def counted() -> bool:
        done: int = await service.pool.fetchval("select min(position) from read_model.checkpoints")
        return done >= position

    await eventually(counted)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ('id: "nonsense"', "BAD_ID"),
        (f'id: "{encode_id("Item", PRODUCT, 1)}"', "BAD_ID"),
        (f'productId: "{PRODUCT}"', "BAD_ARGUMENT"),
        ('productId: "nonsense", sleekplanId: "1"', "BAD_ARGUMENT"),
        ('reason: "why not"', "BAD_ARGUMENT"),
        (f'id: "{encode_id("User", PRODUCT, 1)}", productId: "{PRODUCT}", sleekplanId: "2"', "BAD_ARGUMENT"),
        (f'id: "{encode_id("User", PRODUCT, 1)}", sleekplanId: ""', "BAD_ARGUMENT"),
        (f'id: "", productId: "{PRODUCT}", sleekplanId: "2"', "BAD_ARGUMENT"),
        (f'productId: "{PRODUCT}", sleekplanId: ""', "BAD_ARGUMENT"),
    ],
)
async def test_who_is_not_named_properly_is_an_error_about_the_id(
    service: Service, arguments: str, code: str
) -> None:
    payload = await service.payload(erase(arguments))

    assert payload["eventsRedacted"] is None
    assert code_of(payload) == (code, ["id"])


async def test_erasing_whom_no_event_names_redacts_nothing_and_keeps_them_out(service: Service) -> None:
    payload = await service.payload(erase(f'productId: "{PRODUCT}", sleekplanId: "999"'))

    assert payload == {"eventsRedacted": 0, "userErrors": []}
    assert await service.pool.fetchval("select count(*) from log.erasures where product_id = $1", PRODUCT)


async def test_a_bound_token_erases_nobody_of_another_product(service: Service) -> None:
    payload = await service.payload(erase(f'id: "{encode_id("User", FOREIGN, 1)}"'), "bound")

    assert code_of(payload) == ("FOREIGN_PRODUCT", ["id"])
    assert await service.pool.fetchval(
        "select data::text like '%ada@example.com%' from log.events where product_id = $1", FOREIGN
    )


# Who may


@pytest.mark.parametrize(
    "mutation",
    [
        f"projectionRebuild {{ started {ERRORS} }}",
        retry(MISSING),
        discard(MISSING),
        erase(f'id: "{encode_id("User", PRODUCT, 1)}"'),
    ],
    ids=lambda text: text.partition("(")[0].partition(" ")[0],
)
async def test_nothing_is_done_without_the_scope_admin(service: Service, mutation: str) -> None:
    said = await service.act(mutation, "reader")

    assert [error["extensions"]["code"] for error in said["errors"]] == ["MISSING_SCOPE"]
