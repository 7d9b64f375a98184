"""Does what GraphQL's mutations ask for: schema.context.Actions, over the parts of the service."""

from __future__ import annotations

from pathlib import Path

from projections.rebuild.rebuild import Rebuilder
from service.log.quarantine import Quarantine
from service.operate.erasure import Erasure
from service.operate.sweeping import Sweeping
from service.web.key_files import read_local_key


class Acting:
    """One process's hands."""

    def __init__(
        self, rebuilder: Rebuilder, quarantine: Quarantine, erasure: Erasure, sweeping: Sweeping, folder: Path
    ) -> None:
        self._rebuilder, self._quarantine = rebuilder, quarantine
        self._erasure, self._sweeping, self._folder = erasure, sweeping, folder

    async def rebuild(self, name: str | None) -> None:
        """Ask for a rebuild; the rebuilder of this or another instance does it."""
        await self._rebuilder.request(None if name is None else [name])

    async def quarantine_retry(self, id: str, products: frozenset[int] | None) -> tuple[int, bool]:
        """Record a delivery in quarantine; return its position and whether it was there already."""
        position, duplicate = await self._quarantine.retry(id, products=products)
        return position, duplicate

    async def quarantine_discard(self, id: str, products: frozenset[int] | None) -> None:
        """Close a delivery in quarantine and keep its bytes."""
        await self._quarantine.discard(id, products=products)

    async def erase_user(self, product_id: int, user_id: str, *, texts: bool, reason: str) -> int:
        """Erase a person's data; return how many events were redacted."""
        erased = await self._erasure.erase(product_id, user_id, texts=texts, reason=reason)
        return erased.events

    async def reconcile(self, product_id: int | None, *, full: bool) -> None:
        """Begin to compare a board with Sleekplan's."""
        await self._sweeping.compare(product_id, full=full)

    async def backfill(self, product_id: int | None) -> None:
        """Begin to fetch what was on a board before."""
        await self._sweeping.fetch(product_id)

    def webhook_key(self) -> str | None:
        """Return the key that the first start made; None where there is none, or its file is gone."""
        return read_local_key(self._folder)
