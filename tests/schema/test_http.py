"""GraphQL over HTTP: what is answered, how it is refused, and who may ask from where."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs

from tests.given.graphql_service import Served, served
from tests.given.small_schema import SECRET, schema

RESPONSE_JSON = "application/graphql-response+json"


@pytest.fixture(params=[True, False], ids=["by the shortcut", "the long way"])
async def service(request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    async with served(schema, shortcut=request.param) as running:
        yield running


@pytest.fixture(params=[True, False], ids=["by the shortcut", "the long way"])
async def guarded(request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    async with served(schema, tokens=True, shortcut=request.param) as running:
        yield running


async def test_a_query_is_answered_with_its_cost(service: Served) -> None:
    status, answer, response = await service.post(
        {"query": "query($n: String!) { hello(name: $n) }", "variables": {"n": "Ada"}}
    )

    assert status == 200
    assert answer == {
        "data": {"hello": "hello Ada"},
        "extensions": {"cost": {"requested": 1, "maximum": 25_000}},
    }
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize("body", ["5", "null", "[]", '"x"', "{}", "{", "", '{"query": 5}', '{"query": ""}'])
async def test_a_body_that_is_no_request_is_a_400_that_says_why(service: Served, body: str) -> None:
    async with service.session.post(
        service.url, data=body, headers={"Content-Type": "application/json"}
    ) as response:
        answer = await response.json()

    assert response.status == 400
    assert answer["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    assert "data" not in answer


@pytest.mark.parametrize(
    "member", [{"variables": []}, {"variables": "x"}, {"operationName": 5}, {"extensions": 5}]
)
async def test_members_of_the_wrong_type_are_a_400(service: Served, member: dict[str, object]) -> None:
    status, _, _ = await service.post({"query": "{ hello }", **member})

    assert status == 400


@pytest.mark.parametrize(
    ("query", "accept", "status"),
    [
        ("{ hello }", "*/*", 200),
        ("{ nothing }", "application/json", 200),
        ("{", "application/json", 200),
        ("{ nothing }", RESPONSE_JSON, 400),
        ("{", RESPONSE_JSON, 400),
        ("{ hello }", "image/png", 406),
        ("{", "application/json;q=0, */*", 400),
        ("{", "application/json;q=0, application/graphql-response+json;q=0, */*", 406),
        ("{", "application/graphql-response+json;q=0, application/*", 200),
        ("{ fault }", RESPONSE_JSON, 200),
    ],
)
async def test_the_status_follows_the_media_type(
    service: Served, query: str, accept: str, status: int
) -> None:
    got, _, _ = await service.post({"query": query}, {"Accept": accept})

    assert got == status


async def test_a_null_for_whether_to_leave_a_field_out_is_the_requests_fault(service: Served) -> None:
    query = {"query": "query ($is: Boolean = true) { hello @skip(if: $is) }", "variables": {"is": None}}

    status, answer, _ = await service.post(query, {"Accept": RESPONSE_JSON})

    assert status == 400
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert answer["errors"][0]["locations"]


async def test_a_mutation_is_not_taken_by_get(service: Served) -> None:
    async with service.session.get(service.url, params={"query": "mutation { poke }"}) as response:
        assert response.status == 405
        assert response.headers["Allow"] == "POST"

    _, answer, _ = await service.post({"query": "mutation { poke }"})
    assert answer["data"] == {"poke": "poked"}


async def test_a_query_is_taken_by_get(service: Served) -> None:
    params = {
        "query": "query($n: String!) { hello(name: $n) }",
        "variables": '{"n": "Ada"}',
        "operationName": "",
    }
    async with service.session.get(service.url, params=params) as response:
        assert (await response.json())["data"] == {"hello": "hello Ada"}


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
async def test_what_a_form_could_send_is_refused(service: Served, content_type: str) -> None:
    async with service.session.post(
        service.url, data=b'{"query": "mutation { poke }"}', headers={"Content-Type": content_type}
    ) as response:
        assert response.status == 415


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_get_that_a_browser_sends_unasked_is_refused(
    service: Served, headers: dict[str, str]
) -> None:
    params = {"query": "{ hello }"}
    async with service.session.get(service.url, params=params, headers=headers) as response:
        assert response.status == 403
    headers = {**headers, "GraphQL-Require-Preflight": "1"}
    async with service.session.get(service.url, params=params, headers=headers) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    "host", ["evil.example.com", "evil.example.com:8080", "127.0.0.1.example.com", "169.254.0.1"]
)
async def test_without_tokens_only_local_names_are_answered(service: Served, host: str) -> None:
    """A page whose name was made to point at 127.0.0.1 has the browser send its own Host."""
    status, answer, _ = await service.post({"query": "{ hello }"}, {"Host": host})

    assert status == 403
    assert answer["errors"][0]["extensions"]["code"] == "HOST_FORBIDDEN"


@pytest.mark.parametrize("host", ["localhost:9", "LOCALHOST", "[::1]:9", "[::1]", "127.0.0.2:9"])
async def test_every_name_of_this_machine_is_answered(service: Served, host: str) -> None:
    status, _, _ = await service.post({"query": "{ hello }"}, {"Host": host})

    assert status == 200


async def test_pages_of_other_sites_are_refused_unless_allowed() -> None:
    async with served(
        schema, tokens=True, allowed_origins=frozenset({"https://board.example.com"})
    ) as service:

        async def ask(origin: str) -> tuple[int, str | None]:
            headers = {"Origin": origin, "Authorization": "Bearer good"}
            status, _, response = await service.post({"query": "{ hello }"}, headers)
            return status, response.headers.get("Access-Control-Allow-Origin")

        assert await ask("https://evil.example.com") == (403, None)
        assert await ask("null") == (403, None)
        assert await ask(service.url.removesuffix("/graphql")) == (200, None)
        assert await ask("https://board.example.com") == (200, "https://board.example.com")
        async with service.session.options(
            service.url, headers={"Origin": "https://board.example.com"}
        ) as asked:
            assert "Authorization" in asked.headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize("authorization", [None, "Bearer bad", "Bearer ", "Basic good", "good"])
async def test_without_a_valid_token_nothing_is_answered(guarded: Served, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    status, answer, response = await guarded.post({"query": "{ __typename }"}, headers)

    assert status == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_whoever_holds_a_token_may_introspect(guarded: Served) -> None:
    headers = {"Authorization": "Bearer reads"}
    _, answer, _ = await guarded.post({"query": "{ __schema { queryType { name } } }"}, headers)

    assert answer["data"] == {"__schema": {"queryType": {"name": "Query"}}}


async def test_a_fault_of_ours_is_masked_and_found_again_by_its_id(service: Served) -> None:
    with capture_logs() as logged:
        _, answer, _ = await service.post({"query": "{ fault }"})

    error = answer["errors"][0]
    assert SECRET not in json.dumps(answer)
    assert error["path"] == ["fault"]
    assert logged[0]["error_id"] == error["extensions"]["id"]
    assert logged[0]["error"] == "LookupError"
    assert SECRET not in json.dumps(logged)


async def test_an_error_that_explains_itself_is_told(service: Served) -> None:
    _, answer, _ = await service.post({"query": "{ refusal }"})

    assert answer["errors"][0]["message"] == "first: -1 is out of bounds"
    assert answer["errors"][0]["extensions"]["code"] == "BAD_ARGUMENT"


async def test_when_debugging_faults_are_shown() -> None:
    async with served(schema, debug=True) as service:
        _, fault, _ = await service.post({"query": "{ fault }"})

    assert SECRET in fault["errors"][0]["message"]


@pytest.mark.parametrize(("text", "meant"), [("{ helo }", "'hello'"), ('{ hello(nam: "Ada") }', "'name'")])
async def test_a_misspelt_name_is_answered_with_the_one_that_may_be_meant(
    service: Served, text: str, meant: str
) -> None:
    _, answer, _ = await service.post({"query": text})

    assert f"Did you mean {meant}?" in answer["errors"][0]["message"]


async def test_who_has_no_token_learns_no_name(guarded: Served) -> None:
    status, answer, _ = await guarded.post({"query": "{ helo }"})

    assert status == 401
    assert "hello" not in json.dumps(answer)


async def test_an_operation_that_takes_too_long_is_ended() -> None:
    async with served(schema, timeout_seconds=0.05) as service:
        status, answer, _ = await service.post({"query": "{ never }"}, {"Accept": RESPONSE_JSON})

    assert status == 504
    assert answer["errors"][0]["extensions"]["code"] == "TIMEOUT"


async def test_a_long_answer_is_compressed_for_those_who_take_it(service: Served) -> None:
    query = {"query": "{ longText(length: 100000) }"}
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        async with session.post(service.url, json=query, headers={"Accept-Encoding": "br, gzip"}) as response:
            compressed = await response.read()
        async with session.post(service.url, json=query, headers={"Accept-Encoding": "gzip;q=0"}) as response:
            plain = await response.read()
            assert "Content-Encoding" not in response.headers
        async with session.post(service.url, json={"query": "{ hello }"}) as response:
            assert "Content-Encoding" not in response.headers

    assert len(compressed) < 2_000
    assert gzip.decompress(compressed) == plain


async def test_answers_carry_the_headers_that_keep_browsers_careful(service: Served) -> None:
    _, _, response = await service.post({"query": "{ hello }"})

    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Referrer-Policy"] == "no-referrer"


async def test_a_body_over_the_limit_is_not_read(service: Served) -> None:
    status, answer, _ = await service.post({"query": "#" * 600_000})

    assert status == 413
    assert answer["errors"][0]["extensions"]["code"] == "BODY_TOO_LARGE"


@pytest.mark.parametrize("encoding", ["gzip", "GZIP, identity"])
async def test_a_body_that_is_packed_is_refused_as_such(service: Served, encoding: str) -> None:
    headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
    packed = gzip.compress(b'{"query": "{ hello }"}')
    async with service.session.post(service.url, data=packed, headers=headers) as response:
        answer = await response.json(content_type=None)

    assert response.status == 415
    assert "Content-Encoding" in answer["errors"][0]["message"]


async def test_a_charset_in_the_place_of_an_encoding_is_in_nobodys_way(service: Served) -> None:
    status, answer, _ = await service.post({"query": "{ hello }"}, {"Content-Encoding": "utf-8"})

    assert (status, "errors" in answer) == (200, False)


async def test_a_subscription_over_plain_http_says_what_it_needs(service: Served) -> None:
    _, answer, _ = await service.post({"query": "subscription { count(to: 1) }"})

    assert "text/event-stream" in answer["errors"][0]["message"]


async def test_the_page_comes_with_a_policy_and_only_to_those_who_prefer_html(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<title>GraphiQL</title>")
    (tmp_path / "app.js").write_text("1")
    async with served(schema, graphiql=tmp_path) as service:
        html = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
        async with service.session.get(service.url, headers=html) as response:
            assert "GraphiQL" in await response.text()
            policy = response.headers["Content-Security-Policy"]
        async with service.session.get(service.url, params={"query": "{ hello }"}) as response:
            assert (await response.json())["data"] == {"hello": "hello you"}
        files = service.url.replace("/graphql", "/graphiql")
        async with service.session.get(files + "/app.js") as response:
            assert response.status == 200
        for escape in ("/../secret", "/%2e%2e/secret", "/%2e%2e%2fsecret", "/nothing.js"):
            async with service.session.get(files + escape) as response:
                assert response.status == 404

    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "http" not in policy


async def test_a_failing_request_leaves_the_others_alone(service: Served) -> None:
    queries = [{"query": "{ hello }"}, {"query": "{ fault }"}, {"query": "{"}, {"query": "{ hello }"}]

    answers = await asyncio.gather(*(service.post(query) for query in queries))

    assert [answer.get("data") for _, answer, _ in answers] == [
        {"hello": "hello you"},
        {"fault": None},
        None,
        {"hello": "hello you"},
    ]
