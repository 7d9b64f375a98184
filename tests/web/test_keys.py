"""Keys and tokens: several at once, as digests only, in force and out of force within seconds."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.errors import DataFolderNotWritable, KeyNameTaken, KeyUnknown
from service.given_secrets import parse_api_tokens, parse_webhook_keys
from service.log.database import Pool, open_pool
from service.scopes import SCOPES
from service.web import keys as keys_module
from service.web.keys import Keys, Tokens, WebhookKeys, local_key
from tests.given.proxy import proxy_before
from tests.given.waiting import eventually


async def test_several_keys_open_at_once_each_for_its_own_product() -> None:
    ring = WebhookKeys.of(parse_webhook_keys("first,second@5456534244"))

    first, second = ring.find("first"), ring.find("second")

    assert first is not None
    assert first.product_id is None
    assert second is not None
    assert second.product_id == 5456534244


@pytest.mark.parametrize("secret", [None, "", "First", "first ", "firs", "first\x00", "\udcff", "x" * 10_000])
async def test_anything_else_opens_nothing(secret: str | None) -> None:
    assert WebhookKeys.of(parse_webhook_keys("first,second")).find(secret) is None


async def test_every_active_key_is_compared_whichever_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an answer costs must not tell which key came close, nor which came first."""
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return one == other

    monkeypatch.setattr(keys_module.hmac, "compare_digest", compare)  # type: ignore[attr-defined]
    ring = WebhookKeys.of(parse_webhook_keys("a1,b2,c3"))

    for secret in ("a1", "c3", "nothing", None):
        compared.clear()
        ring.find(secret)
        assert len(compared) == 3


async def test_a_token_opens_its_scopes_for_its_product() -> None:
    ring = Tokens.of(parse_api_tokens("all,some:read+personal@7"))

    everything, some = ring.find("all"), ring.find("some")

    assert everything is not None
    assert (everything.scopes, everything.products) == (SCOPES, None)
    assert some is not None
    assert some.scopes == {"read", "personal"}
    assert some.products == frozenset({7})


async def test_only_digests_are_kept(pool: Pool) -> None:
    keys = Keys(pool)

    secret = await keys.add("WEBHOOK", "board")

    dump = str(await pool.fetch("select to_jsonb(k)::text as row from log.keys k"))
    assert secret not in dump
    assert len(secret) >= 32
    assert secret not in str(await keys.list())


async def test_a_key_that_was_added_opens_at_once_and_on_other_instances_after_a_refresh(pool: Pool) -> None:
    here, there = WebhookKeys(), WebhookKeys()
    keys, elsewhere = Keys(pool, here), Keys(pool, there)

    secret = await keys.add("WEBHOOK", "board", product_id=7)

    found = here.find(secret)
    assert found is not None
    assert (found.label, found.product_id) == ("board", 7)
    await elsewhere.refresh()
    assert there.find(secret) == found


async def test_a_webhook_key_is_no_token_and_a_token_no_webhook_key(pool: Pool) -> None:
    webhook_keys, tokens = WebhookKeys(), Tokens()
    keys = Keys(pool, webhook_keys, tokens)

    key = await keys.add("WEBHOOK", "board")
    token = await keys.add("API", "dashboard", scopes=frozenset({"read"}), product_id=7)

    assert tokens.find(key) is None
    assert webhook_keys.find(token) is None
    grant = tokens.find(token)
    assert grant is not None
    assert grant.scopes == {"read"}
    assert grant.products == frozenset({7})


async def test_a_revoked_key_opens_nothing_within_seconds_on_every_instance(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_module, "REFRESH_SECONDS", 0.05)
    here, there = WebhookKeys(), WebhookKeys()
    keys = Keys(pool, here)
    secret = await keys.add("WEBHOOK", "board")
    async with Keys(pool, there):
        assert there.find(secret)

        assert await keys.revoke("board") == 1

        assert here.find(secret) is None
        await eventually(lambda: there.find(secret) is None)
    with pytest.raises(KeyUnknown, match="recount keys list"):
        await keys.revoke("board")


async def test_after_a_rotation_both_keys_open_until_the_overlap_is_over(pool: Pool) -> None:
    ring = Tokens()
    keys = Keys(pool, tokens=ring)
    old = await keys.add("API", "dashboard", scopes=frozenset({"read", "raw"}), product_id=7)

    new = await keys.rotate("dashboard", overlap=timedelta(hours=1))

    granted_old, granted_new = ring.find(old), ring.find(new)
    assert granted_old is not None
    assert granted_new is not None
    assert (granted_new.scopes, granted_new.products) == (granted_old.scopes, granted_old.products)
    assert granted_new.expires_at is None
    assert granted_old.expires_at is not None
    assert granted_old.expires_at - datetime.now(UTC) < timedelta(hours=1, seconds=5)
    await keys.rotate("dashboard", overlap=timedelta(0))
    assert ring.find(old) is None
    assert ring.find(new) is None
    with pytest.raises(KeyUnknown):
        await keys.rotate("nobody")


async def test_a_key_that_expires_opens_nothing_from_that_moment_without_a_refresh(pool: Pool) -> None:
    ring = WebhookKeys()
    keys = Keys(pool, ring)
    moment = datetime.now(UTC) + timedelta(seconds=0.3)
    secret = await keys.add("WEBHOOK", "guest", expires_at=moment)
    assert ring.find(secret) or datetime.now(UTC) >= moment

    await eventually(lambda: ring.find(secret) is None)

    assert datetime.now(UTC) >= moment


async def test_a_name_belongs_to_one_key_at_a_time(pool: Pool) -> None:
    keys = Keys(pool)
    await keys.add("WEBHOOK", "board")

    with pytest.raises(KeyNameTaken, match="recount keys rotate board"):
        await keys.add("API", "board")

    await keys.revoke("board")
    await keys.add("API", "board")
    assert [(info.kind, info.revoked_at is None) for info in await keys.list()] == [
        ("WEBHOOK", False),
        ("API", True),
    ]


async def test_the_last_use_of_a_key_is_noted(pool: Pool) -> None:
    ring = WebhookKeys()
    keys = Keys(pool, ring)
    secret = await keys.add("WEBHOOK", "board")
    assert (await keys.list())[0].last_used_at is None

    ring.find(secret)
    await keys.refresh()

    used = (await keys.list())[0].last_used_at
    assert used is not None
    assert datetime.now(UTC) - used < timedelta(seconds=10)


async def test_without_postgres_the_known_keys_go_on_opening(pool: Pool, database_url: str) -> None:
    ring = WebhookKeys()
    secret = await Keys(pool).add("WEBHOOK", "board")
    async with proxy_before(database_url) as (proxy, through):
        behind = await open_pool(through, min_size=0)
        async with Keys(behind, ring) as keys:
            proxy.refuses = True
            proxy.cut()
            await keys._try_refresh()

            assert ring.find(secret)
        await behind.close()


def test_the_key_that_we_make_ourselves_is_readable_by_its_owner_alone_and_stays(tmp_path: Path) -> None:
    folder = tmp_path / "data"

    secret = local_key(folder)

    assert stat.S_IMODE((folder / "webhook-key").stat().st_mode) == 0o600
    assert local_key(folder) == secret
    assert len(secret) >= 32


def test_a_folder_that_takes_no_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")

    with pytest.raises(DataFolderNotWritable, match="data"):
        local_key(tmp_path / "data")
