"""The data folder's files about keys: each whole or not at all, for one database, and for its owner alone."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from service.errors import DataFolderNotWritable, KeyNotRotated
from service.log.database import Pool, open_pool
from service.log.known import KnownDatabase
from service.private_file import write_private
from service.web import keys as keys_module
from service.web.key_files import DIGESTS_FILE, LOCAL_KEY_FILE, KeyFiles, StoredKey, read_local_key
from service.web.keys import Keys, Tokens, WebhookKeys, digest_of, local_key
from tests.given.waiting import eventually

STORED = st.builds(
    StoredKey,
    digest=st.binary(min_size=32, max_size=32),
    kind=st.sampled_from(["WEBHOOK", "API"]),
    label=st.text(st.characters(exclude_categories=["Cs"])),
    product_id=st.none() | st.integers(1, 2**63 - 1),
    scopes=st.frozensets(st.sampled_from(["read", "personal", "raw", "admin"])),
    expires_at=st.none() | st.datetimes(timezones=st.just(UTC)),
)


def _database(folder: Path, name: str = "log") -> KnownDatabase:
    return KnownDatabase(folder, SecretStr(f"postgresql://ada:s3cret@db.example.com/{name}"))


def _key(secret: str, *, label: str = "board", expires_at: datetime | None = None) -> StoredKey:
    return StoredKey(
        digest=digest_of(secret),
        kind="WEBHOOK",
        label=label,
        product_id=7,
        scopes=frozenset(),
        expires_at=expires_at,
    )


@pytest.fixture
def files(tmp_path: Path) -> KeyFiles:
    database = _database(tmp_path)
    database.note()
    return KeyFiles(database)


@settings(max_examples=100, deadline=None, database=None)
@given(keys=st.lists(STORED, max_size=5))
def test_what_was_kept_is_told_again(tmp_path_factory: pytest.TempPathFactory, keys: list[StoredKey]) -> None:
    database = _database(tmp_path_factory.mktemp("data"))
    database.note()

    KeyFiles(database).keep(keys)

    assert KeyFiles(database).stored() == keys


def test_a_file_that_ends_too_early_tells_nothing(files: KeyFiles, tmp_path: Path) -> None:
    files.keep([_key("first"), _key("second", label="other")])
    path = tmp_path / DIGESTS_FILE
    content = path.read_bytes()

    for length in range(len(content)):
        path.write_bytes(content[:length])
        assert files.stored() is None, length
    path.write_bytes(content)
    assert files.stored() is not None


def test_a_file_of_another_database_tells_nothing_and_is_left_alone(files: KeyFiles, tmp_path: Path) -> None:
    files.keep([_key("first")])
    another = KeyFiles(_database(tmp_path, "another"))

    another.keep([_key("second")])

    assert another.stored() is None
    assert files.stored() == [_key("first")]


def test_what_cannot_be_brought_up_to_date_is_deleted(
    files: KeyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would open what was revoked meanwhile."""
    files.keep([_key("revoked meanwhile")])

    def full(_: int) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.keep([])

    assert files.stored() is None
    assert [path.name for path in tmp_path.iterdir()] == ["database.json"]


def test_of_several_writers_one_s_content_is_there_whole(tmp_path: Path) -> None:
    contents = [bytes([number]) * 100_000 for number in range(20)]
    path = tmp_path / "file"

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda content: write_private(path, content), contents * 5))

    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_its_owner_s_alone_and_the_owner_is_the_folder_s(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("open to all")
    path.chmod(0o666)
    if os.geteuid() == 0:
        os.chown(tmp_path, 12345, 12345)

    before = os.umask(0)
    try:
        write_private(path, b"for one")
    finally:
        os.umask(before)

    found = path.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o600, tmp_path.stat().st_uid)


@pytest.fixture
async def nowhere() -> AsyncIterator[Pool]:
    """A pool whose Postgres is away."""
    pool = await open_pool("postgresql://recount@127.0.0.1:1/recount", min_size=0)
    yield pool
    await pool.close()


async def test_what_the_folder_knows_opens_until_it_expires(files: KeyFiles, nowhere: Pool) -> None:
    now = datetime.now(UTC)
    files.keep(
        [
            _key("for good"),
            _key("over", expires_at=now - timedelta(seconds=1)),
            _key("soon over", expires_at=now + timedelta(days=1)),
        ]
    )
    webhook_keys, tokens = WebhookKeys(), Tokens()

    async with Keys(nowhere, webhook_keys, tokens, files) as keys:
        assert keys.known
        found = [webhook_keys.find(secret) for secret in ("for good", "over", "soon over", "other")]

    assert [grant and (grant.label, grant.product_id) for grant in found] == [
        ("board", 7),
        None,
        ("board", 7),
        None,
    ]
    assert tokens.find("for good") is None


async def test_what_nobody_tells_is_not_known(files: KeyFiles, nowhere: Pool) -> None:
    webhook_keys = WebhookKeys()

    async with Keys(nowhere, webhook_keys, files=files) as keys:
        assert not keys.known
        assert webhook_keys.opens_nothing


async def test_the_folder_follows_what_is_added_rotated_and_revoked_elsewhere(
    pool: Pool, files: KeyFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_module, "REFRESH_SECONDS", 0.05)
    elsewhere = Keys(pool)

    async def kept() -> bool:
        rows = await pool.fetch(keys_module._sql["live"])
        return files.stored() == [StoredKey.model_validate(dict(row)) for row in rows]

    async with Keys(pool, files=files):
        await elsewhere.add("API", "board")
        await eventually(kept)
        await elsewhere.rotate("board")
        await eventually(kept)
        await elsewhere.revoke("board")
        await eventually(kept)

    assert files.stored() == []


async def test_a_folder_that_cannot_be_written_stops_no_key(
    pool: Pool, files: KeyFiles, tmp_path: Path
) -> None:
    (tmp_path / DIGESTS_FILE).mkdir()
    ring = WebhookKeys()

    async with Keys(pool, ring, files=files) as keys:
        assert ring.find(await keys.add("WEBHOOK", "board"))

    assert files.stored() is None


# The key made at the first start


async def test_the_local_key_opens_until_its_file_is_gone(
    pool: Pool, files: KeyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_module, "REFRESH_SECONDS", 0.05)
    ring = WebhookKeys()
    secret = local_key(tmp_path)
    async with Keys(pool, ring, files=files) as keys:
        assert ring.find(secret)
        assert len(ring) == 0  # it is none that was given
        with pytest.raises(KeyNotRotated, match="recount keys add"):
            await keys.rotate(LOCAL_KEY_FILE)

        assert await Keys(pool, files=files).revoke(LOCAL_KEY_FILE) == 1

        await eventually(lambda: ring.find(secret) is None)
    assert read_local_key(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n"])
def test_an_empty_file_is_no_key(tmp_path: Path, content: bytes) -> None:
    (tmp_path / LOCAL_KEY_FILE).write_bytes(content)

    assert read_local_key(tmp_path) is None
    assert read_local_key(tmp_path) != local_key(tmp_path)


def test_a_file_that_is_no_key_is_said(tmp_path: Path) -> None:
    (tmp_path / LOCAL_KEY_FILE).write_bytes("schlüssel".encode("latin-1"))

    with pytest.raises(DataFolderNotWritable, match="webhook-key is no key; delete it"):
        local_key(tmp_path)
