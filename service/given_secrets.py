"""Reads the secrets that settings give: keys and tokens, several at once, each perhaps for one product."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from pydantic import SecretStr

from service.scopes import SCOPES, Scope

_BIGINT_MAX = 2**63 - 1
# A tool may encode what was pasted encoded already, and another on the way do so once more.
_ENCODINGS_MAX = 4
# Percent-encoded it is thrice as long, and still fits into the first line of a request.
_KEY_CHARACTERS_MAX = 1_000


@dataclass(frozen=True)
class WebhookKey:
    """A secret that Sleekplan adds to the webhook's URL; with a product, good for that product alone."""

    secret: SecretStr
    product_id: int | None = None


@dataclass(frozen=True)
class ApiToken:
    """A bearer token for GraphQL: what its holder may do, and for which product."""

    secret: SecretStr
    scopes: frozenset[Scope] = SCOPES
    product_id: int | None = None


@dataclass(frozen=True)
class ApiKey:
    """A key of Sleekplan's REST API; with a product, for that product's board alone."""

    secret: SecretStr
    product_id: int | None = None


def in_one_spelling(secret: str) -> str:
    """Return a secret in the one spelling in which it is compared, however it came.

    A key is pasted into a URL as it stands or percent-encoded, and clients, proxies and forms encode and
    decode it as they like: a `+` may arrive as `+`, `%2B`, `%252B` or a space. The rest tells keys apart.

    >>> in_one_spelling("a+b"), in_one_spelling("a%2Bb"), in_one_spelling("a b"), in_one_spelling("50%off")
    ('a+b', 'a+b', 'a+b', '50%off')
    """
    for _ in range(_ENCODINGS_MAX):
        decoded = unquote(secret, errors="surrogateescape") if "%" in secret else secret
        if decoded == secret:
            break
        secret = decoded
    return secret.replace(" ", "+")


def parse_webhook_keys(text: str) -> list[WebhookKey]:
    """Read keys such as `first,second@5456534244`. Raises ValueError, which never quotes a key."""
    keys = []
    for number, entry in entries(text):
        secret, product_id = split_product(number, entry)
        if "#" in secret:
            raise ValueError(
                f"entry {number} holds a #, and what follows one in a URL is never sent; take a key of "
                "letters, digits, - and _, or write the # as %23, here as well"
            )
        keys.append(WebhookKey(SecretStr(_secret(number, secret)), product_id))
    _refuse_repeats([key.secret for key in keys])
    return keys


def parse_api_tokens(text: str) -> list[ApiToken]:
    """Read tokens such as `first:read+personal@5456534244,second`. Raises ValueError, which quotes none.

    A token without scopes has them all, as one without a product is good for all products.
    """
    tokens = []
    for number, entry in entries(text):
        rest, product_id = split_product(number, entry)
        secret, colon, names = rest.partition(":")
        scopes = scopes_of(number, names) if colon else SCOPES
        tokens.append(ApiToken(SecretStr(_secret(number, secret)), scopes, product_id))
    _refuse_repeats([token.secret for token in tokens])
    return tokens


def parse_api_keys(text: str) -> list[ApiKey]:
    """Read keys of Sleekplan's such as `first@5456534244,second@7`. Raises ValueError, which quotes none."""
    keys = []
    for number, entry in entries(text):
        secret, product_id = split_product(number, entry)
        keys.append(ApiKey(SecretStr(_secret(number, secret)), product_id))
    products = [key.product_id for key in keys]
    if len(set(products)) < len(products):
        raise ValueError("gives one product two keys, or none several; write each as key@product")
    return keys


def entries(text: str) -> list[tuple[int, str]]:
    """Return the parts between commas or line ends, each with its number, which is how errors name it."""
    parts = [part.strip() for part in re.split(r"[,\n]", text.strip().rstrip(","))]
    if any(not part for part in parts):
        raise ValueError(f"entry {parts.index('') + 1} is empty; look for two commas in a row")
    return list(enumerate(parts, start=1))


def split_product(number: int, entry: str) -> tuple[str, int | None]:
    """Return an entry without its `@5456534244`, and that product. Raises ValueError."""
    rest, at, product = entry.rpartition("@")
    if not at:
        return entry, None
    if not re.fullmatch(r"[0-9]{1,19}", product) or not 0 < int(product) <= _BIGINT_MAX:
        raise ValueError(f"in entry {number}, what follows the @ is not the number of a product")
    return rest, int(product)


def _secret(number: int, text: str) -> str:
    if not text:
        raise ValueError(f"entry {number} has nothing before its @ or its scopes")
    if not re.fullmatch(r"[!-~]+", text) or "@" in text:
        raise ValueError(
            f"entry {number} may hold only printable ASCII without spaces, commas and a second @"
        )
    if len(text) > _KEY_CHARACTERS_MAX:
        raise ValueError(
            f"entry {number} has {len(text)} characters; more than {_KEY_CHARACTERS_MAX} may not fit into "
            "a request's first line"
        )
    return text


def scopes_of(number: int, names: str) -> frozenset[Scope]:
    """Return the scopes of `read+personal`. Raises ValueError."""
    # Not quoted: what follows a colon may be the rest of a token with a colon in it.
    given = names.split("+")
    scopes = frozenset(scope for scope in SCOPES if scope in given)
    if len(scopes) != len(given):
        raise ValueError(
            f"in entry {number}, what follows the : must be scopes, joined by +; there are "
            f"{', '.join(sorted(SCOPES))}"
        )
    return scopes


def _refuse_repeats(secrets: list[SecretStr]) -> None:
    seen: dict[str, int] = {}
    for number, secret in enumerate(secrets, start=1):
        first = seen.setdefault(in_one_spelling(secret.get_secret_value()), number)
        if first != number:
            raise ValueError(
                f"entries {first} and {number} are the same, at least in a URL; each may be given once"
            )
