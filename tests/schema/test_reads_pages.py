"""Pages: both ways, in every order, while events arrive; filters; and one statement a root field."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final

import asyncpg
import pytest

from schema.context import EVERYTHING, Caller
from schema.ids import encode_id
from schema.objects.item import ITEMS as LISTED_ITEMS
from service.errors import (
    AmbiguousItem,
    BadArgument,
    BadCursor,
    BadId,
    ForeignProduct,
    MissingScope,
)
from service.scopes import SCOPES
from tests.given.asking import (
    NOW,
    PRODUCT,
    Board,
    a_board,
    a_pool,
    at_clock,
    body,
    new_database,
    person,
    post,
)

OTHER = 8
ITEMS = 23


def item(
    number: int, at: str = "2026-05-01 10:00", up: int | None = None, product: int = PRODUCT
) -> dict[str, Any]:
    votes = number % 5 if up is None else up
    return body(
        "item.create",
        at,
        post(
            number,
            up=votes,
            title=f"Idea {number}",
            status="open" if number % 2 else "planned",
            created=f"2026-04-{number % 28 + 1:02} 10:00:00",
            updated=at + ":00",
            trend=number / 4,
            tags=["a", "b", "c"][: number % 4],
            user=person(number % 3 + 1, f"user{number % 3 + 1}"),
        ),
        product,
    )


@pytest.fixture(scope="module")
async def board(server_url: str, template: str) -> AsyncIterator[Board]:
    async with new_database(server_url, template) as url, a_pool(url) as pool, a_board(pool) as board:
        await board.tell(*(item(number) for number in range(1, ITEMS + 1)))
        await board.tell(item(1, product=OTHER), item(500, product=OTHER))
        # Known by its id alone: no totals, no dates.
        await board.tell(
            body("vote.create", "2026-05-02 10:00", {"feedback_id": 99, "user_id": 1, "vote": 1})
        )
        yield board


async def pages(board: Board, size: int, order: str, direction: str, *, backward: bool = False) -> list[str]:
    """Walk a whole list by cursors; return the ids in reading order."""
    found: list[str] = []
    cursor = None
    for _ in itertools.count():
        bounds = f"last: {size}, before: $cursor" if backward else f"first: {size}, after: $cursor"
        answer = await board.ask(
            f"""query ($cursor: String) {{
              items({bounds}, productId: {PRODUCT}, window: {{last: "P90D"}}, filter: {{search: "idea"}}
                    orderBy: {{field: {order}, direction: {direction}}}) {{
                nodes {{ id }} edges {{ cursor node {{ id }} }}
                pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }}
              }} }}""",
            cursor=cursor,
        )
        page = answer["items"]
        ids = [node["id"] for node in page["nodes"]]
        assert ids == [edge["node"]["id"] for edge in page["edges"]]
        info = page["pageInfo"]
        if ids:
            assert (info["startCursor"], info["endCursor"]) == (
                page["edges"][0]["cursor"],
                page["edges"][-1]["cursor"],
            )
        found = ids + found if backward else found + ids
        cursor = info["startCursor"] if backward else info["endCursor"]
        if not info["hasPreviousPage" if backward else "hasNextPage"]:
            return found
    raise AssertionError


@pytest.mark.parametrize("order", list(LISTED_ITEMS.orders.by_name))
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
async def test_pages_both_ways_give_the_whole_list_once(board: Board, order: str, direction: str) -> None:
    whole = await pages(board, 500, order, direction)

    assert len(whole) == len(set(whole)) == ITEMS
    assert await pages(board, 7, order, direction) == whole
    assert await pages(board, 7, order, direction, backward=True) == whole


async def test_ties_go_by_sleekplans_id_and_what_is_unknown_comes_last(board: Board) -> None:
    answer = await board.ask(
        f"{{ items(productId: {PRODUCT}, first: 100) {{ nodes {{ sleekplanId votes {{ net }} }} }} }}"
    )

    nodes = [
        (node["sleekplanId"], node["votes"] and node["votes"]["net"]) for node in answer["items"]["nodes"]
    ]
    known = [node for node in nodes if node[1] is not None]
    assert known == sorted(known, key=lambda node: (-node[1], node[0]))
    assert nodes[-1] == ("99", None)


async def test_a_list_pages_through_unknown_values(board: Board) -> None:
    query = """query ($after: String) {
      items(first: 1, after: $after, filter: {votesNet: {isNull: null}}, orderBy: {field: VOTES}) {
        nodes { sleekplanId } pageInfo { endCursor hasNextPage } } }"""
    seen, cursor, more = [], None, True
    while more:
        page = (await board.ask(query, after=cursor))["items"]
        seen += [node["sleekplanId"] for node in page["nodes"]]
        cursor, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]

    assert len(seen) == ITEMS + 3
    assert seen[-1] == "99"


@pytest.mark.parametrize(
    "order", ["VOTES", "UPDATED_AT", "LAST_ACTIVITY_AT", "TREND", "CREATED_AT", "TIME_IN_STATUS"]
)
async def test_paging_while_events_arrive_shows_nothing_twice_and_misses_nothing(
    pool: asyncpg.Pool, order: str
) -> None:
    query = f"""query ($after: String) {{
      items(first: 3, after: $after, orderBy: {{field: {order}}}) {{
        nodes {{ sleekplanId }} pageInfo {{ endCursor hasNextPage }} }} }}"""
    async with a_board(pool) as board:
        await board.tell(*(item(number) for number in range(1, 13)))
        seen: list[str] = []
        cursor, more, step = None, True, 0
        while more:
            page = (await board.ask(query, after=cursor))["items"]
            seen += [node["sleekplanId"] for node in page["nodes"]]
            cursor, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
            # One item climbs, one that was shown falls, one comes.
            step += 1
            shown = int(seen[0])
            await board.tell(
                item(12, f"2026-06-0{step} 10:00", up=100 + step),
                item(shown, f"2026-06-0{step} 11:00", up=0),
                item(100 + step, f"2026-06-0{step} 12:00", up=2),
            )

    assert sorted(map(int, seen)) == list(range(1, 13))


async def test_the_pages_of_a_window_count_back_from_the_moment_of_the_first(pool: asyncpg.Pool) -> None:
    query = """query ($after: String) {
      items(first: 1, after: $after, orderBy: {field: VOTES_IN_WINDOW}, window: {last: "P30D"}) {
        nodes { sleekplanId } pageInfo { endCursor hasNextPage } } }"""
    async with a_board(pool) as board:
        for number in (1, 2, 3):
            await board.tell(item(number, "2026-04-20 10:00", up=0))
            await board.tell(
                body("item.update", f"2026-06-{1 + number:02} 12:00", post(number, up=10 - number))
            )

        found, info, later = list[str](), {"endCursor": None, "hasNextPage": True}, board
        while info["hasNextPage"] and len(found) < 9:
            page = (await later.ask(query, after=info["endCursor"]))["items"]
            found, info = found + [node["sleekplanId"] for node in page["nodes"]], page["pageInfo"]
            # By then what the item of the page before gained is out of a window that counts back from now.
            later = at_clock(board, NOW + timedelta(days=1 + len(found)))

    assert found == ["1", "2", "3"]


async def test_a_total_is_counted_only_when_asked_for(board: Board) -> None:
    board.statements.clear()
    answer = await board.ask("{ items(first: 1) { totalCount } }")
    counting = board.statements[-1]
    await board.ask("{ items(first: 1) { nodes { id } } }")

    assert answer["items"]["totalCount"] == ITEMS + 3
    assert "count(*)" in counting
    assert "count(*)" not in board.statements[-1]


async def test_a_root_field_is_one_statement_however_deep(board: Board) -> None:
    board.statements.clear()

    await board.ask("""{ items(first: 20) { nodes { id
        author { name votes { nodes { item { title author { name } } } } }
        timeline { nodes { summary user { name } changes { field } } } statusHistory { causedBy { position } }
        castVotes { nodes { user { name } } } comments { nodes { author { name } } } rank } } }""")

    assert len([sql for sql in board.statements if "read_model.items" in sql]) == 1


async def test_each_root_field_is_one_statement_and_all_read_at_one_position(board: Board) -> None:
    board.statements.clear()

    answer = await board.ask(
        "{ a: items{ totalCount } c: users { totalCount } b: events(last: 1) { nodes { position } } }"
    )

    assert len(board.statements) == 3
    assert answer["b"]["nodes"][0]["position"] == board.position


async def test_filters_compare_combine_and_negate(board: Board) -> None:
    async def ids(filter: str) -> list[int]:
        answer = await board.ask(
            f"{{ items(productId: {PRODUCT}, first: 100, filter: {filter}) {{ nodes {{ sleekplanId }} }} }}"
        )
        return sorted(int(node["sleekplanId"]) for node in answer["items"]["nodes"])

    whole = list(range(1, ITEMS + 1))
    assert await ids("{votesNet: {gte: 3}}") == [n for n in whole if n % 5 >= 3]
    assert await ids('{status: {in: ["planned"]}, votesNet: {lt: 2}}') == [
        n for n in whole if n % 2 == 0 and n % 5 < 2
    ]
    assert await ids("{statusRole: [ROADMAP]}") == [n for n in whole if n % 2 == 0]
    assert await ids('{or: [{votesUp: {eq: 4}}, {title: {contains: "IDEA 1"}}]}') == sorted(
        {n for n in whole if n % 5 == 4} | {1, *range(10, 20)}
    )
    assert await ids('{not: {status: {eq: "open"}}}') == [*(n for n in whole if n % 2 == 0), 99]
    assert await ids('{title: {contains: "%"}}') == []
    assert await ids("{votesNet: {isNull: true}}") == [99]
    within = '{createdAt: {within: {from: "2026-04-02T00:00:00Z", to: "2026-04-03T10:00:00Z"}}}'
    assert await ids(within) == [1]
    assert await ids("{or: []}") == []
    assert await ids("{and: []}") == [*whole, 99]
    author = encode_id("User", PRODUCT, 1)
    assert await ids(f'{{authorId: {{eq: "{author}"}}}}') == [n for n in whole if n % 3 == 0]


async def test_a_search_ranks_titles_before_descriptions_before_comments(pool: asyncpg.Pool) -> None:
    async with a_board(pool) as board:
        await board.tell(
            body(
                "item.create",
                "2026-05-01 10:00",
                post(1, title="Something else", description="with pagination"),
            ),
            body("item.create", "2026-05-01 10:01", post(2, title="Other")),
            body("item.create", "2026-05-01 10:02", post(3, title="Pagination")),
            body("item.create", "2026-05-01 10:03", post(4, title="No match")),
            body(
                "comment.create",
                "2026-05-01 10:04",
                {"comment_id": 1, "feedback_id": 2, "comment": "Pagination, please"},
            ),
        )
        query = (
            'query ($a: AsOf) { items(filter: {search: "pagination"}, asOf: $a) { nodes { sleekplanId } } }'
        )

        found = await board.ask(query)

        assert [node["sleekplanId"] for node in found["items"]["nodes"]] == ["3", "1", "2"]
        assert await board.ask(query, a={"position": 5}) == found
        assert [n["sleekplanId"] for n in (await board.ask(query, a={"position": 4}))["items"]["nodes"]] == [
            "3",
            "1",
        ]


async def test_a_page_out_of_bounds_a_foreign_cursor_and_a_strange_id_are_refused(board: Board) -> None:
    cursor = (await board.ask("{ items(first: 1) { pageInfo { endCursor } } }"))["items"]["pageInfo"][
        "endCursor"
    ]
    by_creation = (
        await board.ask("{ items(first: 1, orderBy: {field: CREATED_AT}) { pageInfo { endCursor } } }")
    )["items"]["pageInfo"]["endCursor"]
    user = encode_id("User", PRODUCT, 1)
    for query, error in (
        ("{ items(first: 501) { nodes { id } } }", BadArgument),
        ("{ items(first: -1) { nodes { id } } }", BadArgument),
        ("{ items(first: 1, last: 1) { nodes { id } } }", BadArgument),
        ('{ items(after: "nonsense") { nodes { id } } }', BadCursor),
        (f'{{ items(after: "{cursor}", orderBy: {{field: TREND}}) {{ nodes {{ id }} }} }}', BadCursor),
        (
            f'{{ comments(after: "{by_creation}", orderBy: {{field: CREATED_AT}}) {{ nodes {{ id }} }} }}',
            BadCursor,
        ),
        (f'{{ item(id: "{user}") {{ id }} }}', BadId),
        ('{ node(id: "3") { id } }', BadId),
        ('{ item(sleekplanId: "1") { id } }', AmbiguousItem),
        ('{ items(productId: "x") { nodes { id } } }', BadArgument),
        (r'{ items(filter: {search: "nul \u0000"}) { nodes { id } } }', BadArgument),
    ):
        refused = await board.refusal(query)
        assert isinstance(refused, error), (query, refused)


async def test_a_reached_position_is_read_at_once(board: Board) -> None:
    await board.ask("{ items { totalCount } }")
    head = board.position

    answer = await board.ask(f"{{ items(minPosition: {head}) {{ totalCount }} }}")

    assert answer["items"]["totalCount"] == ITEMS + 3


async def test_node_finds_every_kind_of_thing_by_the_id_it_shows(board: Board) -> None:
    answer = await board.ask(
        """{ items(first: 1) { nodes { id } } users(first: 1) { nodes { id } }
             votes(first: 1) { nodes { id } }
             events(first: 1) { nodes { id } } }"""
    )
    ids = [page["nodes"][0]["id"] for page in answer.values()]

    found = await board.ask(
        "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }", ids=[*ids, encode_id("Item", 7, 777)]
    )

    assert [node and node["id"] for node in found["nodes"]] == [*ids, None]
    assert [node["__typename"] for node in found["nodes"][:-1]] == ["Item", "User", "Vote", "Event"]


# What a caller may see

BOUND = Caller(frozenset({"read"}), frozenset({PRODUCT}))


async def test_a_bound_caller_sees_its_product_alone_in_every_root_field(board: Board) -> None:
    answer = await board.ask(
        """{ items(first: 100) { nodes { productId } totalCount }
             users { nodes { productId } } votes { nodes { productId } }
             comments { totalCount } subscriptions { totalCount } changelogEntries { totalCount }
             satisfactionAnswers { totalCount } events(first: 100) { nodes { productId } totalCount }
             item(sleekplanId: "1") { productId } }""",
        BOUND,
    )

    products = {node["productId"] for page in answer.values() for node in page.get("nodes", [])}
    assert products == {str(PRODUCT)}
    assert answer["items"]["totalCount"] == ITEMS + 1
    assert answer["item"] == {"productId": str(PRODUCT)}


async def test_the_id_of_another_products_thing_finds_nothing(board: Board) -> None:
    ids = [encode_id("Item", OTHER, 500), encode_id("User", OTHER, 3), encode_id("Event", OTHER, ITEMS + 2)]
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"

    assert all(node is not None for node in (await board.ask(query, ids=ids))["nodes"])
    assert (await board.ask(query, BOUND, ids=ids))["nodes"] == [None, None, None]
    # An event's id under one's own product does not lead to another's.
    forged = encode_id("Event", PRODUCT, ITEMS + 2)
    assert (await board.ask(query, BOUND, ids=[forged]))["nodes"] == [None]
    assert (await board.ask(f'{{ item(id: "{ids[0]}") {{ id }} }}', BOUND))["item"] is None


@pytest.mark.parametrize(
    "query",
    [
        f"{{ items(productId: {OTHER}) {{ totalCount }} }}",
        f"{{ events(productId: {OTHER}) {{ totalCount }} }}",
        f'{{ item(productId: {OTHER}, sleekplanId: "500") {{ id }} }}',
        f"{{ ingest(productId: {OTHER}) {{ quarantined }} }}",
        f'{{ movers(productId: {OTHER}, window: {{last: "P7D"}}) {{ gained }} }}',
    ],
)
async def test_asking_for_another_product_is_refused(board: Board, query: str) -> None:
    assert isinstance(await board.refusal(query, BOUND), ForeignProduct)


async def test_two_products_are_seen_together_in_one_order(board: Board) -> None:
    both = Caller(frozenset({"read"}), frozenset({PRODUCT, OTHER}))
    query = "{ items(first: 100, filter: {votesNet: {isNull: false}}) { nodes { id votes { net } } } }"

    assert await board.ask(query, both) == await board.ask(query, EVERYTHING)


@pytest.mark.parametrize(
    ("query", "scope"),
    [
        ("{ users { nodes { mail } } }", "personal"),
        ("{ users { nodes { system } } }", "personal"),
        ("{ items { nodes { author { fullName } } } }", "personal"),
        ("{ events(first: 1) { nodes { rawPayload } } }", "raw"),
        ("{ quarantine { id } }", "admin"),
        ("mutation { projectionRebuild { started } }", "admin"),
        ('mutation { quarantineDiscard(id: "x") { discarded } }', "admin"),
    ],
)
async def test_what_needs_a_scope_is_refused_without_it(board: Board, query: str, scope: str) -> None:
    refused = await board.refusal(query, Caller(frozenset({"read"})))

    assert isinstance(refused, MissingScope)
    assert refused.scope == scope


BOARD: Final = (
    "{ items { totalCount } }",
    "{ item(sleekplanId: 1) { id } }",
    "{ nodes(ids: []) { id } }",
    "{ events(last: 1) { nodes { rawPayload } } }",
    "{ boardDiff(from: {position: 0}) { addedCount } }",
    "{ products { name } }",
    "{ ingest { eventsLastHour } }",
)


async def test_the_board_is_read_with_the_scope_read_alone(board: Board) -> None:
    """A token for rebuilding alone, or a client that misspelt the scopes it asks with, read it."""
    admin = Caller(SCOPES - {"read"})

    refused = [await board.refusal(query, admin) for query in BOARD]

    assert [getattr(error, "scope", error) for error in refused] == ["read"] * len(BOARD)
    assert str(refused[0]).endswith("RECOUNT_API_TOKENS (token:read)")
    await board.ask("{ projections { name } sweeps { id } quarantine { id } reactions { name } }", admin)


async def test_the_change_of_a_mail_address_is_hidden_without_the_scope(pool: asyncpg.Pool) -> None:
    query = "{ events(last: 1) { nodes { changes { field before after } } } }"
    async with a_board(pool) as board:
        await board.tell(
            body(
                "user.create",
                "2026-05-01 10:00",
                {"user_id": 1, "data_name": "ada", "data_mail": "ada@example.com"},
            ),
            body(
                "user.update",
                "2026-05-02 10:00",
                {"user_id": 1, "data_name": "ada", "data_mail": "a@example.com"},
            ),
        )

        seen = await board.ask(query)
        hidden = await board.ask(query, Caller(frozenset({"read"})))

    assert seen["events"]["nodes"][0]["changes"] == [
        {"field": "mail", "before": "ada@example.com", "after": "a@example.com"}
    ]
    assert hidden["events"]["nodes"][0]["changes"] == [{"field": "mail", "before": None, "after": None}]
