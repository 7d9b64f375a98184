"""Reads the settings from the environment, each checked at the start and none of them guessed.

A setting `port` is the variable RECOUNT_PORT, or RECOUNT_PORT_FILE with the path of a file that holds the
value: the way secrets are handed to containers. An empty variable is as good as none. Names that start with
RECOUNT_TEST_ are for our own tests and are left alone; any other unknown name is refused.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from service.dsn import Dsn, is_host
from service.errors import ExposedWithoutSecrets, InvalidSetting, SettingsError, UnknownSetting
from service.given_lists import (
    BoardAddress,
    GroupScopes,
    Network,
    header_name,
    parse_boards,
    parse_group_scopes,
    parse_networks,
    parse_origins,
)
from service.given_secrets import (
    ApiKey,
    ApiToken,
    WebhookKey,
    parse_api_keys,
    parse_api_tokens,
    parse_webhook_keys,
)
from service.hosts import is_loopback

_PREFIX = "RECOUNT_"
_OF_TESTS = "RECOUNT_TEST_"
_HIDDEN = "********"
# What is longer than these, a clock, a date or Postgres would choke on.
_YEAR_DAYS = 366
_YEAR_SECONDS = _YEAR_DAYS * 86_400
_SECRETS = (
    "database_url",
    "read_url",
    "webhook_keys",
    "api_tokens",
    "sleekplan_api_key",
    "sleekplan_api_url",
)

_NEVER = ("erase_after_user_delete_days", "reconcile_every_hours", "reconcile_full_every_days")

_LISTS: Mapping[str, Callable[[str], object]] = {
    "webhook_keys": parse_webhook_keys,
    "api_tokens": parse_api_tokens,
    "trusted_proxy": parse_networks,
    "trusted_proxy_scopes": parse_group_scopes,
    "board_url": parse_boards,
    "allowed_origins": parse_origins,
    "sleekplan_api_key": parse_api_keys,
}

Positive = Annotated[int, Field(ge=1, le=2**40)]


class Settings(BaseSettings):
    """Every setting of Recount. Made by `load_settings`, which turns what is wrong into a sentence."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    database_url: SecretStr | None = Field(
        None,
        description="address of a PostgreSQL 15 or later; without it, one of our own runs in the data folder",
    )
    read_url: SecretStr | None = Field(
        None,
        description="address of replicas from which queries are read, each host in turn; without it, from "
        "the database",
    )
    read_lag_seconds_max: float = Field(
        10,
        gt=0,
        le=_YEAR_SECONDS,
        description="seconds behind the database after which a replica is read no longer",
    )
    stand_by: bool = Field(
        False,
        description="true: the database may be a replica at first; what comes is spooled until its promotion",
    )
    connections_max: int = Field(
        12,
        ge=8,
        le=1_000,
        description="most connections of an instance to the database, beside one that listens; and as many "
        "to each replica",
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
    trusted_proxy: Annotated[list[Network], NoDecode] = Field(
        [],
        description="addresses and networks of proxies whose word on who asks is taken, separated by commas",
    )
    trusted_proxy_user: str = Field(
        "X-Forwarded-User", description="header in which a trusted proxy says who asks"
    )
    trusted_proxy_groups: str = Field(
        "X-Forwarded-Groups", description="header in which a trusted proxy says which groups they are in"
    )
    trusted_proxy_scopes: Annotated[list[GroupScopes], NoDecode] = Field(
        parse_group_scopes("*:read"),
        description="what whoever a trusted proxy lets in may do, by the first group that they are in: "
        "product:read+personal@5456534244, separated by commas; `*` is everybody",
    )
    labels: Path | None = Field(
        None,
        description="TOML or JSON file that gives status and type keys a label, statuses a role and "
        "products a name",
    )
    board_url: Annotated[list[BoardAddress], NoDecode] = Field(
        [],
        description="address of the board at Sleekplan, which links to items begin with; several as "
        "https://board.example.com@5456534244, separated by commas, each for one product",
    )
    reactions: Path | None = Field(
        None, description="TOML file of rules: what is told to whom when something happens"
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
        description="longest time that a query may take, and a delivery's body to arrive, in seconds",
    )
    stop_delay_seconds: float = Field(
        0,
        ge=0,
        le=300,
        description="how long a stop still takes requests while /readyz says that it stops, in seconds",
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
    sleekplan_api_key: Annotated[list[ApiKey], NoDecode] = Field(
        [],
        description="key of Sleekplan's REST API, to back-fill and compare; several as key@5456534244, "
        "separated by commas, each for one product",
    )
    sleekplan_api_url: str = Field(
        "https://api.sleekplan.com/v1", description="address of Sleekplan's REST API, for a proxy before it"
    )
    sleekplan_rate: float = Field(
        2, gt=0, le=100, description="most requests to Sleekplan's REST API, in a second"
    )
    sleekplan_timezone: str = Field(
        "UTC", description="zone of the dates inside Sleekplan's objects, such as Europe/Berlin"
    )
    reconcile_every_hours: float | None = Field(
        None,
        gt=0,
        le=100 * _YEAR_DAYS,
        description="hours after which the service compares the board with the log by itself; "
        "not at all where it is `never`",
    )
    reconcile_full_every_days: float | None = Field(
        7,
        gt=0,
        le=100 * _YEAR_DAYS,
        description="days after which such a comparison asks for all that belongs to items, or `never`",
    )
    traces_url: str | None = Field(
        None,
        description="where a collector of OpenTelemetry takes traces over HTTP: "
        "http://127.0.0.1:4318/v1/traces; none are made without it",
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="form of the log's lines: json, text, or auto: text on a terminal only"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least level that is logged; requests are logged as info"
    )

    @field_validator("database_url", "read_url")
    @classmethod
    def _can_be_read(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        try:
            if value:
                Dsn.read(value.get_secret_value(), {})
        except InvalidSetting as error:
            raise InvalidSetting(variable(str(info.field_name)), error.reason) from None
        return value

    @model_validator(mode="after")
    def _has_what_is_replicated(self) -> Settings:
        if self.read_url and not self.database_url:
            raise InvalidSetting(
                "RECOUNT_READ_URL", "needs RECOUNT_DATABASE_URL: the database of our own has no replicas"
            )
        return self

    @field_validator("data_dir", "labels", "reactions")
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

    @field_validator(*_NEVER, mode="before")
    @classmethod
    def _read_never(cls, value: object) -> object:
        return None if value == "never" else value

    @field_validator(*_LISTS, mode="before")
    @classmethod
    def _read_list(cls, value: object, info: ValidationInfo) -> object:
        assert info.field_name is not None
        return _LISTS[info.field_name](value) if isinstance(value, str) else value

    @field_validator("trusted_proxy_user", "trusted_proxy_groups")
    @classmethod
    def _is_a_header(cls, value: str) -> str:
        return header_name(value)

    @field_validator("sleekplan_api_url")
    @classmethod
    def _fit_for_a_key(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must be an address such as https://api.sleekplan.com/v1, without a query")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError("must begin with https: the key would be sent readable")
        if parts.username is not None:
            raise ValueError("must not hold a user's name or password")
        return value.rstrip("/")

    @field_validator("traces_url")
    @classmethod
    def _takes_traces(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "http://127.0.0.1")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an address such as http://127.0.0.1:4318/v1/traces")
        if parts.username is not None or parts.query:
            raise ValueError(
                "must hold nothing secret: headers for a collector go into OTEL_EXPORTER_OTLP_HEADERS"
            )
        return value

    @field_validator("sleekplan_timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError("is no zone's name; take one such as Europe/Berlin or UTC") from None
        return value

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
        # An empty variable means the default, which is another thing than never.
        return {
            variable(name): _shown("never" if value is None and name in _NEVER else value)
            for name, value in self
        }


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
    told = "must be true or false" if found["type"] == "bool_parsing" else found["msg"]
    raise _refusal(found["loc"], told, values)


def variable(field: str) -> str:
    """Return the environment variable of a setting: `port` gives RECOUNT_PORT."""
    return _PREFIX + field.upper()


def check_exposure(settings: Settings, *, stored_keys: bool = False, stored_tokens: bool = False) -> None:
    """Refuse an address that others can reach unless there are keys and tokens to keep them out.

    Those of `recount keys` count too, and a proxy that lets people in does for tokens. Raises
    ExposedWithoutSecrets.
    """
    missing = []
    if not settings.webhook_keys and not stored_keys:
        missing.append(variable("webhook_keys"))
    if not settings.api_tokens and not stored_tokens and not settings.trusted_proxy:
        missing.append(variable("api_tokens"))
    if missing and not is_loopback(settings.host):
        raise ExposedWithoutSecrets(settings.host, missing)


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


def _shown_entry(entry: object) -> str:
    if not isinstance(entry, WebhookKey | ApiToken | ApiKey):
        return str(entry)
    scopes = f":{'+'.join(sorted(entry.scopes))}" if isinstance(entry, ApiToken) else ""
    product = "" if entry.product_id is None else f"@{entry.product_id}"
    return f"{_HIDDEN}{scopes}{product}"
