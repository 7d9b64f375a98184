"""Who may do what: by a token, by a proxy's word, or anybody on this machine where nobody has a token."""

from __future__ import annotations

from schema.context import EVERYTHING, Caller
from schema.serve.who import Credential, Vouched, Who
from service.errors import PostgresAway
from service.web.keys import Tokens


class Callers:
    """Those who may come in; `alone` says that nobody but this machine, and no proxy, reaches the service."""

    def __init__(self, who: Who, tokens: Tokens, *, alone: bool) -> None:
        self._who = who
        self._tokens = tokens
        self._alone = alone
        self.began_open = self.is_open
        """Whether there was no token then: the last one that ends does not open what was closed."""

    @property
    def is_open(self) -> bool:
        """Whether everybody on this machine may do everything."""
        return self._alone and self._tokens.known and not len(self._tokens)

    async def authenticate(self, credential: Credential) -> Caller | None:
        """Return who asks, None for nobody. Raises PostgresAway where it alone knows."""
        if isinstance(credential, Vouched):
            return self._who.caller(credential)
        if credential is None and self.began_open and self.is_open:
            return EVERYTHING
        grant = self._tokens.find(credential)
        if grant is None:
            if self._tokens.known:
                return None
            raise PostgresAway
        return Caller(grant.scopes, grant.products, grant.expires_at)
