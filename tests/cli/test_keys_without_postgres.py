"""What is known of keys and tokens outlasts Postgres; what is not known is answered 503, never 401."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.given.bodies import a_body
from tests.given.proxy import Proxy, proxy_before
from tests.given.running import Running, recount, running
from tests.given.waiting import eventually

OPEN_HOST = "0.0.0.0"


class Away:
    """A service whose Postgres can be taken away, and its data folder."""

    def __init__(self, proxy: Proxy, url: str, folder: Path) -> None:
        self.proxy, self.folder = proxy, folder
        self.env = {"RECOUNT_DATABASE_URL": url}

    def goes(self) -> None:
        self.proxy.refuses = True
        self.proxy.cut()

    @asynccontextmanager
    async def runs(self, **env: str) -> AsyncIterator[Running]:
        async with running(self.folder, env=self.env | env) as service:
            yield service

    async def keys(self, *arguments: str) -> str:
        told = await recount("keys", *arguments, env=self.env | {"RECOUNT_DATA_DIR": str(self.folder)})
        assert told.returncode == 0, told.stderr
        return told.stdout.strip()


@pytest.fixture
async def away(tmp_path: Path, database_url: str) -> AsyncIterator[Away]:
    async with proxy_before(database_url) as (proxy, through):
        yield Away(proxy, through, tmp_path / "data")


async def post(service: Running, key: str, number: int = 1) -> tuple[int, dict[str, Any]]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(_near(service, "/webhooks"), data=a_body(number), headers={"X-Secret": key}) as answer,
    ):
        return answer.status, await answer.json()


async def ask(service: Running, token: str | None) -> int:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(_near(service, "/graphql"), json={"query": "{ __typename }"}) as answer,
    ):
        return answer.status


async def ready(service: Running) -> tuple[int, dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.get(_near(service, "/readyz")) as answer:
        return answer.status, await answer.json()


def _near(service: Running, path: str) -> str:
    return service.address.replace(OPEN_HOST, "127.0.0.1") + path


async def opens(service: Running, key: str) -> None:
    async def answered() -> bool:
        return (await post(service, key))[0] == 200

    await eventually(answered)


SPOOLED = (200, {"position": None, "duplicate": None, "spooled": True})


async def test_a_key_and_a_token_that_were_added_open_after_a_start_without_postgres(away: Away) -> None:
    async with away.runs() as service:
        key, token = await away.keys("add", "board"), await away.keys("add", "dashboard", "--api")
        gone = await away.keys("add", "gone")
        await opens(service, key)
        await opens(service, gone)
        await away.keys("revoke", "gone")
    away.goes()

    async with away.runs() as service:
        assert await post(service, key) == SPOOLED
        assert [(await post(service, wrong))[0] for wrong in (gone, "wrong")] == [401, 401]
        assert [await ask(service, given) for given in (token, "wrong", None)] == [200, 401, 401]
        assert (await ready(service))[0] == 200

        away.proxy.heal()
        await eventually(lambda: _recorded(service, token))


async def _recorded(service: Running, token: str) -> bool:
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
        session.post(service.graphql_url, json={"query": "{ events(first: 1) { totalCount } }"}) as answer,
    ):
        told = await answer.json()
        return bool(told.get("data") and told["data"]["events"]["totalCount"])


async def test_keys_that_were_added_are_enough_on_another_address_without_postgres(away: Away) -> None:
    async with away.runs():
        pass
    key, token = await away.keys("add", "board"), await away.keys("add", "dashboard", "--api")
    away.goes()

    async with away.runs(RECOUNT_HOST=OPEN_HOST) as service:
        assert await post(service, key) == SPOOLED
        assert [await ask(service, given) for given in (token, None)] == [200, 401]


@pytest.mark.parametrize(
    ("what", "host"),
    [
        ("deleted", OPEN_HOST),
        ("cut in half", "127.0.0.1"),
        ("of another database", "127.0.0.1"),
        ("unreadable", "127.0.0.1"),
    ],
)
async def test_where_keys_are_not_known_the_answer_is_503_until_postgres_answers(
    away: Away, what: str, host: str
) -> None:
    async with away.runs():
        pass
    key, token = await away.keys("add", "board"), await away.keys("add", "dashboard", "--api")
    await away.keys("revoke", "webhook-key")
    _break(away.folder / "keys.json", what)
    away.goes()

    async with away.runs(RECOUNT_HOST=host) as service:
        wrong, right = await post(service, "wrong"), await post(service, key)
        assert (wrong[0], wrong) == (503, right)
        assert "Postgres" in right[1]["error"]
        assert [await ask(service, given) for given in (token, "wrong", None)] == [503] * 3
        status, told = await ready(service)
        assert (status, told["ready"], "unknown" in told["keys"]) == (503, False, True)

        away.proxy.heal()
        await opens(service, key)
        assert (await post(service, "wrong"))[0] == 401
        assert [await ask(service, given) for given in (token, "wrong", None)] == [200, 401, 401]


def _break(path: Path, what: str) -> None:
    content = path.read_bytes()
    if what == "deleted":
        path.unlink()
    elif what == "cut in half":
        path.write_bytes(content[: len(content) // 2])
    elif what == "of another database":
        path.write_bytes(json.dumps(json.loads(content) | {"database": "0" * 64}).encode())
    else:
        path.unlink()
        path.mkdir()


async def test_keys_of_the_settings_open_though_those_of_the_database_are_not_known(away: Away) -> None:
    async with away.runs():
        await away.keys("add", "board")
    (away.folder / "keys.json").unlink()
    away.goes()

    async with away.runs(RECOUNT_WEBHOOK_KEYS="given", RECOUNT_API_TOKENS="token") as service:
        assert await post(service, "given") == SPOOLED
        assert (await post(service, "wrong"))[0] == 503
        assert [await ask(service, given) for given in ("token", "wrong", None)] == [200, 503, 503]
        status, told = await ready(service)
        assert (status, "unknown" in told["keys"]) == (200, True)


async def test_a_folder_of_another_database_neither_opens_nor_is_overwritten_by_a_command(
    away: Away, empty_database_url: str, tmp_path: Path
) -> None:
    async with away.runs():
        pass
    key = await away.keys("add", "board")
    kept = (away.folder / "keys.json").read_bytes()
    elsewhere = {"RECOUNT_DATABASE_URL": empty_database_url}

    for folder in (away.folder, tmp_path / "none"):
        told = await recount("keys", "add", folder.name, env=elsewhere | {"RECOUNT_DATA_DIR": str(folder)})
        assert told.returncode == 0, told.stderr

    assert (away.folder / "keys.json").read_bytes() == kept
    assert not (tmp_path / "none").exists()
    shutil.copytree(away.folder, tmp_path / "copy")
    shutil.rmtree(away.folder)
    shutil.copytree(tmp_path / "copy", away.folder)
    away.goes()
    async with away.runs() as service:
        assert await post(service, key) == SPOOLED  # restored, it is as good as it was


async def test_every_instance_knows_what_was_added_and_revoked_on_another(away: Away, tmp_path: Path) -> None:
    other = Away(away.proxy, away.env["RECOUNT_DATABASE_URL"], tmp_path / "other")
    async with away.runs() as service, other.runs() as second:
        key, gone = await away.keys("add", "board"), await other.keys("add", "gone")
        for instance in (service, second):
            await opens(instance, key)
            await opens(instance, gone)
        await other.keys("revoke", "gone")

        async def refused() -> bool:
            return (await post(service, gone))[0] == 401

        await eventually(refused)
    away.goes()

    for folder in (away, other):
        async with folder.runs() as service:
            assert await post(service, key) == SPOOLED
            assert (await post(service, gone))[0] == 401


async def test_what_is_kept_of_keys_is_for_its_owner_alone_and_holds_no_secret(away: Away) -> None:
    async with away.runs() as service:
        key = await away.keys("add", "board")
        await opens(service, key)

    for name in ("keys.json", "database.json", "webhook-key"):
        assert stat.S_IMODE((away.folder / name).stat().st_mode) == 0o600, name
    for path in away.folder.rglob("*"):
        if path.is_file():
            assert key.encode() not in path.read_bytes(), path
    assert key not in service.said


# The key made at the first start


async def test_the_first_start_s_key_opens_until_it_is_revoked_whatever_keys_come_later(away: Away) -> None:
    async with away.runs() as service:
        made = (away.folder / "webhook-key").read_text().strip()
        added = await recount("keys", "add", "board", env=away.env | {"RECOUNT_DATA_DIR": str(away.folder)})
        assert "recount keys revoke webhook-key" in added.stderr
        assert (await post(service, made))[0] == 200

    async with away.runs(RECOUNT_WEBHOOK_KEYS="given") as service:
        assert [(await post(service, key))[0] for key in (made, added.stdout.strip(), "given")] == [200] * 3
        await eventually(lambda: "recount keys revoke webhook-key" in service.said)
        assert made not in service.said

        assert await away.keys("revoke", "webhook-key") == "1 revoked"

        async def refused() -> bool:
            return (await post(service, made))[0] == 401

        await eventually(refused)
        assert (await post(service, added.stdout.strip()))[0] == 200
    async with away.runs() as service:
        assert (await post(service, made))[0] == 401
        assert not (away.folder / "webhook-key").exists()
        (body := away.folder.parent / "body.json").write_bytes(a_body(1))
        told = await recount("send", body, env=away.env | {"RECOUNT_DATA_DIR": str(away.folder)})
        assert (told.returncode, told.stderr.count("\n")) == (1, 1)
        assert "once it was revoked, pass --url with a key of `recount keys add`" in told.stderr


async def test_the_first_start_s_key_is_not_rotated_and_says_what_to_do(away: Away) -> None:
    async with away.runs():
        pass

    told = await recount(
        "keys", "rotate", "webhook-key", env=away.env | {"RECOUNT_DATA_DIR": str(away.folder)}
    )

    assert (told.returncode, "recount keys add" in told.stderr) == (1, True)


async def test_the_first_start_s_key_opens_without_postgres(away: Away) -> None:
    async with away.runs():
        made = (away.folder / "webhook-key").read_text().strip()
        await away.keys("add", "board")
    away.goes()

    async with away.runs() as service:
        assert await post(service, made) == SPOOLED
