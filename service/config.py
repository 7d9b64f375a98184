"""Reads the settings from the environment, each checked at the start and none of them guessed.

A setting `port` is the variable RECOUNT_PORT, or RECOUNT_PORT_FILE with the path of a file that holds the
value: the way secrets are handed to containers. An empty variable is as good as none. Names that start with
RECOUNT_TEST_ are for our own tests and are left alone; any other unknown name is refused.
"""

from __future__ import annotations

import difflib
import functools
import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from service.dsn import Dsn, is_host
from service.errors import ExposedWithoutSecrets, InvalidSetting, SettingsError, UnknownSetting
from service.labels import Label as Label
from service.labels import load_labels as load_labels

Scope = Literal["read", "personal", "raw", "admin"]
SCOPES: frozenset[Scope] = frozenset({"read", "personal", "raw", "admin"})

_PREFIX = "RECOUNT_"
_OF_TESTS = "RECOUNT_TEST_"
_BIGINT_MAX = 2**63 - 1
# A tool may encode what was pasted encoded already, and another on the way do so once more.
_ENCODINGS_MAX = 4
# Percent-encoded it is thrice as long, and still fits into the first line of a request.
_KEY_CHARACTERS_MAX = 1_000
_HIDDEN = "********"
# What is longer than these, a clock, a date or Postgres would choke on.
_YEAR_DAYS = 366
_YEAR_SECONDS = _YEAR_DAYS * 86_400
_SECRETS = ("database_url", "webhook_keys", "api_tokens")

Positive = Annotated[int, Field(ge=1, le=2**40)]


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


class Settings(BaseSettings):
    """Every setting of Recount. Made by `load_settings`, which turns what is wrong into a sentence."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    database_url: SecretStr | None = Field(
        None,
        description="address of a PostgreSQL 15 or later; without it, one of our own runs in the data folder",
    )
    data_dir: Path = Field(
        Path(".recount"),
        description="folder for the embedded database, the spool and the key made at first start",
    )
    host: str = Field(
        "127.0.0.1", description="address to listen on; others than loopback need keys and tokens"
    )
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 takes any that is free")
    webhook_keys: Annotated[list[WebhookKey], NoDecode] = Field(
        [],
        description="secrets of the webhook URL, separated by commas; key@5456534244 binds one to a product",
    )
    api_tokens: Annotated[list[ApiToken], NoDecode] = Field(
        [],
        description="tokens for GraphQL, separated by commas; token:read+personal@5456534244 names scopes "
        "(read, personal, raw, admin; all when none is named) and binds it to a product",
    )
    labels: Path | None = Field(
        None, description="TOML or JSON file that gives status and type keys a label, and statuses a role"
    )
    body_bytes_max: Positive = Field(1024 * 1024, description="largest webhook body that is taken, in bytes")
    spool_bytes_max: Positive = Field(
        1024**3, description="most that is kept in files while Postgres does not answer, in bytes"
    )
    append_queue_max: Positive = Field(10_000, description="most deliveries that wait to be written")
    append_batch_max: Positive = Field(1_000, description="most events that are written in one call")
    untimed_window_seconds: int = Field(
        600,
        ge=0,
        le=100 * _YEAR_SECONDS,
        description="for how long equal bodies without a time of their own are one delivery, in seconds",
    )
    read_deadline_seconds: float = Field(
        10,
        gt=0,
        le=_YEAR_SECONDS,
        description="longest time that a query may take, and a body may take to arrive, in seconds",
    )
    bodies_in_flight_max: Positive = Field(256, description="most webhook bodies that are read at once")
    graphql_cost_max: Positive = Field(
        25_000, description="most points that a GraphQL operation may cost, of which every value costs one"
    )
    graphql_debug: bool = Field(False, description="tell GraphQL clients the text of internal errors")
    allowed_origins: Annotated[list[str], NoDecode] = Field(
        [],
        description="other sites whose pages may use GraphQL, separated by commas: https://board.example.com",
    )
    sockets_max: Positive = Field(20_000, description="most WebSockets and most event streams that are open")
    operations_socket_max: Positive = Field(100, description="most operations that run on one WebSocket")
    operations_address_max: Positive = Field(
        5_000, description="most operations that run from one address; a proxy counts as one"
    )
    silent_after_days: float = Field(
        3,
        gt=0,
        le=100 * _YEAR_DAYS,
        description="days without an event after which a product that usually has some is reported",
    )
    erase_after_user_delete_days: float | None = Field(
        30,
        ge=0,
        le=100 * _YEAR_DAYS,
        description="days after Sleekplan's user.delete at which the person's data is redacted; "
        "never where it is `never`",
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="form of the log's lines: json, text, or auto: text on a terminal only"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least level that is logged; requests are logged as info"
    )

    @field_validator("database_url")
    @classmethod
    def _can_be_read(cls, value: SecretStr | None) -> SecretStr | None:
        if value:
            Dsn.read(value.get_secret_value(), {})
        return value

    @field_validator("data_dir", "labels")
    @classmethod
    def _expanded(cls, value: Path | None) -> Path | None:
        try:
            return value and value.expanduser()
        except RuntimeError:
            raise ValueError("begins with ~, but no home folder is known; write the path out") from None

    @field_validator("host")
    @classmethod
    def _without_brackets(cls, value: str) -> str:
        host = value.strip()
        host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        if not is_host(host):
            raise ValueError(
                "must be an address or a name, without scheme and port: 127.0.0.1, ::1, localhost"
            )
        return host

    @field_validator("erase_after_user_delete_days", mode="before")
    @classmethod
    def _read_never(cls, value: object) -> object:
        return None if value == "never" else value

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _read_origins(cls, value: object) -> object:
        return parse_origins(value) if isinstance(value, str) else value

    @field_validator("webhook_keys", mode="before")
    @classmethod
    def _read_keys(cls, value: object) -> object:
        return parse_webhook_keys(value) if isinstance(value, str) else value

    @field_validator("api_tokens", mode="before")
    @classmethod
    def _read_tokens(cls, value: object) -> object:
        return parse_api_tokens(value) if isinstance(value, str) else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load_settings` hands over: it reads the environment, `_FILE` variants included."""
        return (init_settings,)

    @property
    def untimed_window(self) -> timedelta:
        """For how long equal bodies without a time of their own are one delivery."""
        return timedelta(seconds=self.untimed_window_seconds)

    def redacted(self) -> dict[str, str]:
        """Return every setting by the name of its variable, fit to be shown: without what is secret."""
        return {variable(name): _shown(getattr(self, name)) for name in type(self).model_fields}


def load_settings(environment: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Return the settings of the environment, with `overrides` (a command's options) going first.

    Overrides that are None count as not given. Raises UnknownSetting or InvalidSetting.
    """
    values: dict[str, Any] = dict(_from_environment(os.environ if environment is None else environment))
    values |= {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        # Outside this block, so that no traceback carries the error: it holds what was given.
        found = error.errors(include_url=False, include_context=False)[0]
    raise _refusal(found["loc"], found["msg"], values)


def variable(field: str) -> str:
    """Return the environment variable of a setting: `port` gives RECOUNT_PORT."""
    return _PREFIX + field.upper()


def check_exposure(settings: Settings, *, stored_keys: bool = False, stored_tokens: bool = False) -> None:
    """Refuse an address that others can reach unless there are keys and tokens to keep them out.

    Those of `recount keys` count too. Raises ExposedWithoutSecrets.
    """
    missing = []
    if not settings.webhook_keys and not stored_keys:
        missing.append(variable("webhook_keys"))
    if not settings.api_tokens and not stored_tokens:
        missing.append(variable("api_tokens"))
    if missing and not is_loopback(settings.host):
        raise ExposedWithoutSecrets(settings.host, missing)


def near_url(host: str, port: int) -> str:
    """Return the URL by which this machine reaches a service that listens on `host`."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"http://{host}:{port}"
    if address.is_unspecified:
        host = "127.0.0.1" if address.version == 4 else "::1"
    return f"http://{bracketed(host)}:{port}"


def bracketed(host: str) -> str:
    """Return a host as it stands before a port."""
    return f"[{host.replace('%', '%25')}]" if ":" in host else host


@functools.lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`. A name is what it says: it is not looked up."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


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
    for number, entry in _entries(text):
        secret, product_id = _split_product(number, entry)
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
    for number, entry in _entries(text):
        rest, product_id = _split_product(number, entry)
        secret, colon, names = rest.partition(":")
        scopes = _scopes(number, names) if colon else SCOPES
        tokens.append(ApiToken(SecretStr(_secret(number, secret)), scopes, product_id))
    _refuse_repeats([token.secret for token in tokens])
    return tokens


def parse_origins(text: str) -> list[str]:
    """Read origins such as `https://board.example.com,http://localhost:3000`. Raises ValueError."""
    origins = [part.strip() for part in text.split(",") if part.strip()]
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or origin != f"{parts.scheme}://{parts.netloc}":
            raise ValueError("must be origins as browsers send them: a scheme and a host, without a path")
    return origins


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    fields = {variable(name): name for name in Settings.model_fields}
    known = [*fields, *(f"{name}_FILE" for name in fields)]
    values: dict[str, str] = {}
    for name in sorted(environment):
        if not name.startswith(_PREFIX) or name.startswith(_OF_TESTS):
            continue
        if name not in known:
            raise UnknownSetting(name, difflib.get_close_matches(name, known, n=2, cutoff=0.75))
        if not environment[name]:
            continue
        bare = name if name in fields else name.removesuffix("_FILE")
        if fields[bare] in values:
            raise InvalidSetting(name, f"and {bare} are both set; unset one of them")
        values[fields[bare]] = (
            environment[name] if name == bare else _file(name, fields[bare], environment[name])
        )
    return values


def _file(name: str, field: str, path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").strip()
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except UnicodeDecodeError:
        reason = "it is no UTF-8 text"
    except RuntimeError:
        reason = "this user has no home"
    # Where a secret was given instead of the file that holds it, the path is the secret.
    named = "a file" if field in _SECRETS else f"the file {path}"
    raise InvalidSetting(name, f"takes the path of a file, and names {named} that cannot be read: {reason}")


def _refusal(place: tuple[int | str, ...], message: str, values: Mapping[str, Any]) -> SettingsError:
    field = str(place[0])
    reason = message.removeprefix("Value error, ")
    if field not in Settings.model_fields:
        return UnknownSetting(variable(field), difflib.get_close_matches(field, Settings.model_fields))
    if field in _SECRETS:
        return InvalidSetting(variable(field), f"is wrong: {reason[:1].lower()}{reason[1:]}")
    return InvalidSetting(variable(field), f"is {str(values[field])!r}: {reason[:1].lower()}{reason[1:]}")


def _entries(text: str) -> list[tuple[int, str]]:
    """The parts between commas or line ends, each with its number, which is how errors name it."""
    parts = [part.strip() for part in re.split(r"[,\n]", text.strip().rstrip(","))]
    if any(not part for part in parts):
        raise ValueError(f"entry {parts.index('') + 1} is empty; look for two commas in a row")
    return list(enumerate(parts, start=1))


def _split_product(number: int, entry: str) -> tuple[str, int | None]:
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


def _scopes(number: int, names: str) -> frozenset[Scope]:
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


def _shown(value: object) -> str:
    match value:
        case None:
            return ""
        case SecretStr():
            return _HIDDEN
        case list():
            return ",".join(_shown_entry(entry) for entry in value)
        case _:
            return str(value)


def _shown_entry(entry: WebhookKey | ApiToken | str) -> str:
    if isinstance(entry, str):
        return entry
    scopes = f":{'+'.join(sorted(entry.scopes))}" if isinstance(entry, ApiToken) else ""
    product = "" if entry.product_id is None else f"@{entry.product_id}"
    return f"{_HIDDEN}{scopes}{product}"
