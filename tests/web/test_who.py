"""Who asks: by a token, a cookie that keeps one, a proxy's word; and what others cannot do with these."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDict

from tests.given.serving import GRAPHQL, Started, serving

TOKEN, ADMIN = "reads/with=signs;", "runs"
TOKENS = {"api_tokens": f"{TOKEN}:read,{ADMIN}", "webhook_keys": "key"}
PROXY = {
    "trusted_proxy": "127.0.0.1",
    "trusted_proxy_scopes": "board-admins:read+admin,team@example.com:read+personal@7",
    "webhook_keys": "key",
}
ADA = {"X-Forwarded-User": "ada", "X-Forwarded-Groups": "staff, board-admins"}
REBUILD = "mutation { projectionRebuild { started } }"


@asynccontextmanager
async def a_service(url: str, folder: Path, given: Mapping[str, str]) -> AsyncIterator[Started]:
    async with serving({"database_url": url, "data_dir": str(folder), "port": "0", **given}) as started:
        yield started


async def asked(
    started: Started, headers: Mapping[str, str], query: str = "{ __typename }"
) -> tuple[int, Any]:
    async with started.session.post(GRAPHQL, json={"query": query}, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


async def kept(started: Started, token: str, **headers: str) -> str:
    """Sign in, and return the cookie as a browser sends it back."""
    headers |= {"Authorization": f"Bearer {token}"}
    async with started.session.post("/session", headers=headers) as answer:
        assert answer.status == 200
        return answer.headers["Set-Cookie"]


def code_of(answer: Any) -> str:
    return str(answer["errors"][0]["extensions"]["code"])


# A cookie


async def test_a_token_that_is_kept_opens_what_it_opens_until_it_is_let_go(database_url, tmp_path):
    async with a_service(database_url, tmp_path, TOKENS) as started:
        said = await kept(started, TOKEN)
        cookie = {"Cookie": said.partition(";")[0]}
        status, _ = await asked(started, cookie)
        _, refused = await asked(started, cookie, REBUILD)
        async with started.session.get("/session", headers=cookie) as answer:
            who = await answer.json()
        async with started.session.delete("/session", headers=cookie) as answer:
            gone = answer.headers["Set-Cookie"]

    assert status == 200
    assert code_of(refused) == "MISSING_SCOPE"
    assert (who["by"], who["scopes"]) == ("cookie", ["read"])
    assert "; Path=/; HttpOnly; SameSite=Strict" in said
    assert "Max-Age" not in said
    assert gone.startswith("recount_session=;")
    assert gone.endswith("Max-Age=0")


async def test_only_over_https_is_it_sent_back_where_it_came_over_https(database_url, tmp_path):
    async with a_service(database_url, tmp_path, TOKENS) as started:
        host = started.service.address.partition("://")[2]
        plain = await kept(started, TOKEN, Origin=f"http://{host}")
        tls = await kept(started, TOKEN, Origin=f"https://{host}")

    assert ("Secure" in plain, "Secure" in tls) == (False, True)


@pytest.mark.parametrize("token", ["", "Bearer nobody", "Basic cmVhZHM6"])
async def test_what_opens_nothing_is_not_kept(database_url, tmp_path, token):
    async with (
        a_service(database_url, tmp_path, TOKENS) as started,
        started.session.post("/session", headers={"Authorization": token} if token else {}) as answer,
    ):
        assert answer.status == 401
        assert "opens nothing" in (await answer.json())["error"]
        assert "Set-Cookie" not in answer.headers


async def test_a_revoked_token_opens_nothing_from_its_cookie(database_url, tmp_path):
    async with a_service(database_url, tmp_path, TOKENS) as started:
        secret = await started.service.keys.add("API", "ada")
        cookie = {"Cookie": (await kept(started, secret)).partition(";")[0]}
        before, _ = await asked(started, cookie)
        await started.service.keys.revoke("ada")
        after, _ = await asked(started, cookie)

    assert (before, after) == (200, 401)


FOREIGN = {
    "of a site that is allowed": {"Origin": "https://board.example.com"},
    "of a sibling host": {"Sec-Fetch-Site": "same-site"},
    "of another site": {"Sec-Fetch-Site": "cross-site"},
}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("way", ["cookie", "proxy"])
async def test_what_a_browser_adds_by_itself_acts_for_no_other_page(database_url, tmp_path, headers, way):
    """The victim's browser sends the cookie, or passes the proxy, with another page's mutation."""
    given = TOKENS if way == "cookie" else PROXY
    async with a_service(
        database_url, tmp_path, {**given, "allowed_origins": "https://board.example.com"}
    ) as started:
        shown = {"Cookie": (await kept(started, ADMIN)).partition(";")[0]} if way == "cookie" else ADA
        host = started.service.address.partition("://")[2]
        ours, answer = await asked(started, {**shown, "Origin": f"http://{host}"}, REBUILD)
        forged, refused = await asked(started, {**shown, **headers}, REBUILD)
        other, foreign = await asked(started, {**shown, "Origin": "https://evil.example.com"}, REBUILD)

    assert (ours, answer["data"]["projectionRebuild"]["started"]) == (200, True)
    assert (forged, code_of(refused)) == (401, "UNAUTHENTICATED")
    assert (other, code_of(foreign)) == (403, "ORIGIN_FORBIDDEN")


async def test_a_form_of_another_page_is_not_even_read(database_url, tmp_path):
    async with a_service(database_url, tmp_path, TOKENS) as started:
        cookie = {"Cookie": (await kept(started, ADMIN)).partition(";")[0]}
        async with started.session.post(GRAPHQL, data={"query": REBUILD}, headers=cookie) as form:
            assert form.status == 415
        async with started.session.get(GRAPHQL, params={"query": REBUILD}, headers=cookie) as link:
            assert link.status == 405


async def _socket_opens(started: Started, headers: Mapping[str, str]) -> bool:
    async with started.session.ws_connect(
        GRAPHQL, protocols=("graphql-transport-ws",), headers=headers
    ) as socket:
        await socket.send_json({"type": "connection_init"})
        return (await socket.receive()).type is aiohttp.WSMsgType.TEXT


@pytest.mark.parametrize("way", ["cookie", "proxy"])
async def test_a_socket_is_opened_by_it_from_the_services_own_page(database_url, tmp_path, way):
    async with a_service(database_url, tmp_path, TOKENS if way == "cookie" else PROXY) as started:
        shown = {"Cookie": (await kept(started, TOKEN)).partition(";")[0]} if way == "cookie" else ADA
        host = started.service.address.partition("://")[2]

        assert await _socket_opens(started, {**shown, "Origin": f"http://{host}"})
        assert not await _socket_opens(started, {})
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await _socket_opens(started, {**shown, "Origin": "https://evil.example.com"})


# A proxy


async def test_whom_a_trusted_proxy_lets_in_may_do_what_the_first_of_their_groups_may(database_url, tmp_path):
    async with a_service(database_url, tmp_path, PROXY) as started:
        rebuilt, _ = await asked(started, ADA, REBUILD)
        grace = {"X-Forwarded-User": "grace", "X-Forwarded-Groups": "team@example.com,board-admins-not"}
        _, refused = await asked(started, grace, REBUILD)
        async with started.session.get("/session", headers=grace) as answer:
            who = await answer.json()
        nobody, unknown = await asked(started, {"X-Forwarded-User": "eve"})
        by_token, _ = await asked(started, {})

    assert rebuilt == 200
    assert code_of(refused) == "MISSING_SCOPE"
    assert who == {"by": "proxy", "name": "grace", "scopes": ["personal", "read"], "products": [7]}
    assert nobody == by_token == 401
    assert "RECOUNT_TRUSTED_PROXY_SCOPES" in unknown["errors"][0]["message"]


@pytest.mark.parametrize("header", ADA)
async def test_who_is_no_trusted_proxy_and_speaks_as_one_is_refused(database_url, tmp_path, header):
    given = {**PROXY, "trusted_proxy": "10.0.0.0/8,::1", "api_tokens": TOKEN}
    async with a_service(database_url, tmp_path, given) as started:
        status, refused = await asked(started, {header: "board-admins"})
        with_token, _ = await asked(started, {header: "board-admins", "Authorization": f"Bearer {TOKEN}"})
        async with started.session.get("/session", headers=ADA) as answer:
            session = answer.status
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await _socket_opens(started, ADA)

    assert (status, code_of(refused)) == (403, "PROXY_UNTRUSTED")
    assert "127.0.0.1" in refused["errors"][0]["message"]
    assert (with_token, session) == (403, 403)


async def test_a_header_that_a_proxy_adds_to_a_clients_own_is_refused(database_url, tmp_path):
    twice = CIMultiDict([("X-Forwarded-User", "eve"), ("X-Forwarded-User", "ada")])
    async with a_service(database_url, tmp_path, PROXY) as started:
        status, refused = await asked(started, twice)

    assert (status, code_of(refused)) == (403, "PROXY_AMBIGUOUS")


async def test_without_a_trusted_proxy_its_headers_say_nothing(database_url, tmp_path):
    async with a_service(database_url, tmp_path, TOKENS) as started:
        status, _ = await asked(started, ADA)

    assert status == 401


async def test_a_trusted_proxy_closes_what_is_open_on_loopback(database_url, tmp_path):
    async with a_service(database_url, tmp_path, PROXY) as started:
        status, _ = await asked(started, {})

    assert status == 401


async def test_a_token_goes_before_what_a_proxy_says(database_url, tmp_path):
    async with a_service(database_url, tmp_path, {**PROXY, "api_tokens": f"{TOKEN}:read"}) as started:
        _, refused = await asked(started, {**ADA, "Authorization": f"Bearer {TOKEN}"}, REBUILD)

    assert code_of(refused) == "MISSING_SCOPE"
