"""Says whether a webhook's key or an API token opens anything, and keeps their digests.

They come from the settings and from `recount keys`. A secret is compared as its SHA-256 with every active
one, each in constant time and none left out, so that the time of an answer tells nothing about any.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from service.ending_tasks import ended, rest
from service.errors import DataFolderNotWritable, KeyNameTaken, KeyNotRotated, KeyUnknown
from service.given_secrets import ApiToken, WebhookKey, in_one_spelling
from service.log.database import POSTGRES_FAILURES, Pool
from service.private_file import write_private
from service.scopes import SCOPES, Scope
from service.sql_files import load
from service.web.key_files import LOCAL_KEY_FILE, KeyFiles, Kind, StoredKey, read_local_key

REFRESH_SECONDS: Final = 2.0
OVERLAP: Final = timedelta(days=1)
SECRET_BYTES: Final = 24

_REFRESH_SECONDS_MAX: Final = 5.0

_log = structlog.get_logger(__name__)
_sql = load(__file__, "keys.sql")


class Grant(NamedTuple):
    """What a secret opens: `products` None means every product. A webhook key has no scopes."""

    label: str
    scopes: frozenset[str]
    products: frozenset[int] | None
    expires_at: datetime | None
    digest: bytes

    @property
    def product_id(self) -> int | None:
        """Return the one product that it is for, None for all."""
        return next(iter(self.products)) if self.products else None


class KeyInfo(NamedTuple):
    """What is shown of a key: everything but the key."""

    kind: Kind
    label: str
    product_id: int | None
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    fingerprint: str


def digest_of(secret: str) -> bytes:
    """Return the SHA-256 by which a secret is kept and compared, whichever way it was spelt."""
    return hashlib.sha256(in_one_spelling(secret).encode("utf-8", "surrogateescape")).digest()


def new_secret() -> str:
    """Return a secret that fits into a URL without escaping."""
    return secrets.token_urlsafe(SECRET_BYTES)


class Keyring:
    """The secrets of one kind that open something now. Base of WebhookKeys and Tokens."""

    def __init__(self, fixed: Iterable[Grant] = ()) -> None:
        self._fixed = list(fixed)
        self._local: list[Grant] = []
        self._stored: list[Grant] = []
        self.known = True
        """Whether those of the database are known; while they are not, a secret may be one of them."""
        self.used: dict[bytes, datetime] = {}
        """When stored keys were used since `Keys` last noted it."""

    def __len__(self) -> int:
        """How many were given, by the settings or in the database; the key made here is not among them."""
        return len(self._fixed) + len(self._stored)

    @property
    def opens_nothing(self) -> bool:
        """Whether nothing is known here that a secret could open."""
        return not (self._fixed or self._local or self._stored)

    def find(self, secret: str | None) -> Grant | None:
        """Return what the secret opens; None where it opens nothing, as it does once it has expired."""
        given = digest_of(secret or "")
        found: Grant | None = None
        for grant in (*self._fixed, *self._local, *self._stored):
            if hmac.compare_digest(grant.digest, given):
                found = grant
        if found is None or not secret:
            return None
        now = datetime.now(UTC)
        if found.expires_at is not None and found.expires_at <= now:
            return None
        self.used[found.digest] = now
        return found

    def replace_local(self, secret: str | None) -> None:
        """Take the key made at the first start, or none."""
        self._local = [] if secret is None else [_grant(LOCAL_KEY_FILE, secret, frozenset(), None)]

    def replace_stored(self, grants: Iterable[Grant]) -> None:
        """Take the grants that the database holds now."""
        self._stored = list(grants)
        self.known = True


class WebhookKeys(Keyring):
    """The keys that deliveries come with."""

    @classmethod
    def of(cls, keys: Iterable[WebhookKey]) -> WebhookKeys:
        """Return the keys of the settings; those of the database come by `Keys`."""
        return cls(
            _grant(f"setting {number}", key.secret.get_secret_value(), frozenset(), key.product_id)
            for number, key in enumerate(keys, start=1)
        )


class Tokens(Keyring):
    """The tokens that API requests come with."""

    @classmethod
    def of(cls, tokens: Iterable[ApiToken]) -> Tokens:
        """Return the tokens of the settings; those of the database come by `Keys`."""
        return cls(
            _grant(f"setting {number}", token.secret.get_secret_value(), token.scopes, token.product_id)
            for number, token in enumerate(tokens, start=1)
        )


def _grant(label: str, secret: str, scopes: frozenset[str], product_id: int | None) -> Grant:
    products = None if product_id is None else frozenset({product_id})
    return Grant(label, scopes, products, None, digest_of(secret))


class Keys:
    """The keys and tokens in the database: added, rotated, revoked, and followed while the service runs.

    `files` hold the key made at the first start, and what the database told last, for when it is away.
    """

    def __init__(
        self,
        pool: Pool,
        webhook_keys: WebhookKeys | None = None,
        tokens: Tokens | None = None,
        files: KeyFiles | None = None,
    ) -> None:
        self._pool = pool
        # `is None`, since a ring without keys is as false as none.
        self._rings: dict[Kind, Keyring] = {
            "WEBHOOK": WebhookKeys() if webhook_keys is None else webhook_keys,
            "API": Tokens() if tokens is None else tokens,
        }
        for ring in self._rings.values():
            ring.known = False
        self._files = files
        self._kept: list[StoredKey] | None = None
        self._keeps = True
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Keys:
        """Read what there is, then follow it, so that a revocation takes effect within seconds."""
        await self._try_refresh()
        if not self.known and self._files is not None and (stored := self._files.stored()) is not None:
            _log.warning("keys_as_last_known", keys=len(stored))
            self._take(stored)
        self._task = asyncio.create_task(self._follow(), name="keys")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await ended(self._task)
            self._task = None
            await self._try_refresh()

    @property
    def known(self) -> bool:
        """Whether those of the database are known: it was asked since the start, or the folder tells."""
        return all(ring.known for ring in self._rings.values())

    async def refresh(self) -> None:
        """Note which keys were used, and read which of them are active."""
        self._read_local_key()
        rows = await self._pool.fetch(_sql["live"], timeout=_REFRESH_SECONDS_MAX)
        stored = [StoredKey.model_validate(dict(row)) for row in rows]
        self._take(stored)
        await self._keep(stored)
        for ring in self._rings.values():
            if ring.used:
                used, ring.used = ring.used, {}
                await self._pool.execute(
                    _sql["used"], list(used), list(used.values()), timeout=_REFRESH_SECONDS_MAX
                )

    def _take(self, stored: Sequence[StoredKey]) -> None:
        for kind, ring in self._rings.items():
            ring.replace_stored(_stored_grant(key) for key in stored if key.kind == kind)

    def _read_local_key(self) -> None:
        """Follow the key made at the first start, which ends with its file; an unreadable one does not."""
        if self._files is not None:
            with contextlib.suppress(DataFolderNotWritable):
                self._rings["WEBHOOK"].replace_local(self._files.local_key())

    async def _keep(self, stored: list[StoredKey]) -> None:
        """Have the folder know what the database told, where that is news."""
        if self._files is None or stored == self._kept:
            return
        try:
            await asyncio.to_thread(self._files.keep, stored)
        except OSError as error:
            if self._keeps:
                _log.warning("keys_not_kept", reason=error.strerror)
            self._keeps = False
        else:
            self._kept, self._keeps = stored, True

    async def list(self) -> list[KeyInfo]:
        """Return all of them, the oldest first, the revoked ones too."""
        return [KeyInfo(*row) for row in await self._pool.fetch(_sql["list"])]

    async def add(
        self,
        kind: Kind,
        label: str,
        *,
        product_id: int | None = None,
        scopes: frozenset[Scope] = frozenset(),
        expires_at: datetime | None = None,
    ) -> str:
        """Make a key and return its secret, which is told this once and kept nowhere. Raises KeyNameTaken."""
        if kind == "API" and not scopes:
            scopes = SCOPES
        secret = new_secret()
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_sql["lock"])
            if await connection.fetch(_sql["find"], label):
                raise KeyNameTaken(label)
            await connection.execute(
                _sql["add"], digest_of(secret), kind, label, product_id, sorted(scopes), expires_at
            )
        await self.refresh()
        return secret

    async def rotate(self, label: str, *, overlap: timedelta = OVERLAP) -> str:
        """Make a key that opens the same, and let the older ones end after `overlap`; return its secret.

        Raises KeyUnknown, KeyNotRotated. The overlap is the time there is to put the new key where the old
        one stands.
        """
        secret = new_secret()
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_sql["lock"])
            found = await connection.fetch(_sql["find"], label)
            if not found and label == LOCAL_KEY_FILE:
                raise KeyNotRotated(label)
            if not found:
                raise KeyUnknown(label)
            newest = found[0]
            digest = digest_of(secret)
            await connection.execute(
                _sql["add"],
                digest,
                newest["kind"],
                label,
                newest["product_id"],
                newest["scopes"],
                newest["expires_at"],
            )
            await connection.execute(_sql["expire"], label, datetime.now(UTC) + overlap, digest)
        await self.refresh()
        return secret

    async def revoke(self, label: str) -> int:
        """Let every key of this name open nothing from now on; return how many. Raises KeyUnknown."""
        revoked = len(await self._pool.fetch(_sql["revoke"], label))
        if label == LOCAL_KEY_FILE and self._files is not None:
            revoked += self._files.delete_local_key()
        if not revoked:
            raise KeyUnknown(label)
        await self.refresh()
        return revoked

    async def _follow(self) -> None:
        while True:
            await rest(REFRESH_SECONDS)
            await self._try_refresh()

    async def _try_refresh(self) -> None:
        """Refresh; without Postgres the keys that are known go on opening what they did."""
        try:
            await self.refresh()
        except POSTGRES_FAILURES as error:
            _log.debug("keys_not_refreshed", reason=type(error).__name__)


def _stored_grant(key: StoredKey) -> Grant:
    products = None if key.product_id is None else frozenset({key.product_id})
    return Grant(key.label, key.scopes, products, key.expires_at, key.digest)


def local_key(data_dir: Path) -> str:
    """Return the webhook key of a loopback service without keys, made at the first start.

    The only secret that is kept in plain text: its file is for its owner alone, and so is the terminal that
    shows the URL. It opens until its file is gone, whatever keys come later. Raises DataFolderNotWritable.
    """
    if (found := read_local_key(data_dir)) is not None:
        return found
    secret = new_secret()
    try:
        write_private(data_dir / LOCAL_KEY_FILE, f"{secret}\n".encode())
    except OSError as error:
        raise DataFolderNotWritable(data_dir, error.strerror or "unknown") from error
    return secret
