"""Says whether a webhook's key or an API token opens anything, and keeps their digests.

They come from the settings and from `recount keys`. A secret is compared as its SHA-256 with every active
one, each in constant time and none left out, so that the time of an answer tells nothing about any.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal, NamedTuple

import structlog

from service.config import SCOPES, ApiToken, Scope, WebhookKey, in_one_spelling
from service.errors import DataFolderNotWritable, KeyNameTaken, KeyUnknown
from service.log.database import POSTGRES_FAILURES, Pool
from service.sql_files import load

Kind = Literal["WEBHOOK", "API"]

REFRESH_SECONDS: Final = 2.0
OVERLAP: Final = timedelta(days=1)
LOCAL_KEY_FILE: Final = "webhook-key"
SECRET_BYTES: Final = 24

_REFRESH_SECONDS_MAX: Final = 5.0

_log = structlog.get_logger(__name__)
_sql = load(__file__, "keys.sql")


class Grant(NamedTuple):
    """What a secret opens: `products` None means every product. A webhook key has no scopes."""

    label: str
    scopes: frozenset[Scope]
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
        self._stored: list[Grant] = []
        self.used: dict[bytes, datetime] = {}
        """When stored keys were used since `Keys` last noted it."""

    def __len__(self) -> int:
        return len(self._fixed) + len(self._stored)

    def add_fixed(self, label: str, secret: str) -> None:
        """Take a secret of this process that opens everything of its kind."""
        self._fixed.append(_grant(label, secret, frozenset(), None))

    def find(self, secret: str | None) -> Grant | None:
        """Return what the secret opens; None where it opens nothing, as it does once it has expired."""
        given = digest_of(secret or "")
        found: Grant | None = None
        for grant in self._fixed:
            if hmac.compare_digest(grant.digest, given):
                found = grant
        for grant in self._stored:
            if hmac.compare_digest(grant.digest, given):
                found = grant
        if found is None or not secret:
            return None
        now = datetime.now(UTC)
        if found.expires_at is not None and found.expires_at <= now:
            return None
        self.used[found.digest] = now
        return found

    def replace_stored(self, grants: Iterable[Grant]) -> None:
        """Take the grants that the database holds now."""
        self._stored = list(grants)


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


def _grant(label: str, secret: str, scopes: frozenset[Scope], product_id: int | None) -> Grant:
    products = None if product_id is None else frozenset({product_id})
    return Grant(label, scopes, products, None, digest_of(secret))


class Keys:
    """The keys and tokens in the database: added, rotated, revoked, and followed while the service runs."""

    def __init__(
        self, pool: Pool, webhook_keys: WebhookKeys | None = None, tokens: Tokens | None = None
    ) -> None:
        self._pool = pool
        # `is None`, since a ring without keys is as false as none.
        self._rings: dict[Kind, Keyring] = {
            "WEBHOOK": WebhookKeys() if webhook_keys is None else webhook_keys,
            "API": Tokens() if tokens is None else tokens,
        }
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Keys:
        """Read what there is, then follow it, so that a revocation takes effect within seconds."""
        await self._try_refresh()
        self._task = asyncio.create_task(self._follow(), name="keys")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
            await self._try_refresh()

    async def refresh(self) -> None:
        """Note which keys were used, and read which of them are active."""
        rows = await self._pool.fetch(_sql["live"], timeout=_REFRESH_SECONDS_MAX)
        for kind, ring in self._rings.items():
            ring.replace_stored(
                Grant(
                    row["label"],
                    frozenset(row["scopes"]),
                    None if row["product_id"] is None else frozenset({row["product_id"]}),
                    row["expires_at"],
                    row["digest"],
                )
                for row in rows
                if row["kind"] == kind
            )
            if ring.used:
                used, ring.used = ring.used, {}
                await self._pool.execute(
                    _sql["used"], list(used), list(used.values()), timeout=_REFRESH_SECONDS_MAX
                )

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
        secret: str | None = None,
    ) -> str:
        """Make a key and return its secret, which is told this once and kept nowhere. Raises KeyNameTaken."""
        if kind == "API" and not scopes:
            scopes = SCOPES
        secret = secret or new_secret()
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

        Raises KeyUnknown. The overlap is the time there is to put the new key where the old one stands.
        """
        secret = new_secret()
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_sql["lock"])
            found = await connection.fetch(_sql["find"], label)
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
        revoked = await self._pool.fetch(_sql["revoke"], label)
        if not revoked:
            raise KeyUnknown(label)
        await self.refresh()
        return len(revoked)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            await self._try_refresh()

    async def _try_refresh(self) -> None:
        """Refresh; without Postgres the keys that are known go on opening what they did."""
        try:
            await self.refresh()
        except POSTGRES_FAILURES as error:
            _log.debug("keys_not_refreshed", reason=type(error).__name__)


def local_key(data_dir: Path) -> str:
    """Return the webhook key of a loopback service without keys, made at the first start.

    The only secret that is kept in plain text: its file is for its owner alone, and so is the terminal that
    shows the URL. Raises DataFolderNotWritable.
    """
    path = data_dir / LOCAL_KEY_FILE
    try:
        with contextlib.suppress(FileNotFoundError):
            found = path.read_text(encoding="ascii").strip()
            if found:
                return found
        data_dir.mkdir(parents=True, exist_ok=True)
        secret = new_secret()
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            os.fchmod(handle, 0o600)
            file.write(f"{secret}\n")
    except OSError as error:
        raise DataFolderNotWritable(data_dir, error.strerror or "unknown") from error
    return secret
