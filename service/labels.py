"""Gives keys of statuses and types a label, statuses a role and products a name, from a file and by custom.

Sleekplan sends opaque keys (`s68dfa8421c534`) and numbers without a word of what they mean. The file says it,
in TOML or, with a name that ends in .json, as the same in JSON:

    [status]
    planned = "Next up"                                         # a label alone keeps a common key's role
    s68dfa8421c534 = { label = "Waiting for you", role = "OPEN" }

    [type]
    t68df02a7ea223 = "Bug"

    [product]
    5456534244 = "Calendar"
"""

from __future__ import annotations

import asyncio
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, get_args
from urllib.parse import quote

import structlog

from service.errors import InvalidSetting
from service.looks import looks_of

Kind = Literal["status", "type"]
Role = Literal["OPEN", "ROADMAP", "DONE", "DECLINED"]
LOOK_SECONDS: Final = 1.0

_log = structlog.get_logger(__name__)

_COMMON: dict[Role, tuple[str, ...]] = {
    "OPEN": ("open", "under-review", "reviewing"),
    "ROADMAP": ("planned", "in-progress"),
    "DONE": ("complete", "completed", "done"),
    "DECLINED": ("closed", "merged", "declined"),
}


@dataclass(frozen=True)
class Label:
    """What a key of Sleekplan's means: shown as `label`; of a status, the stage that it stands for."""

    key: str
    label: str
    role: Role | None
    kind: Kind


class Labels(dict[str, Label]):
    """The labels by key, and what products are called; read again from their file when it changes.

    They change in place, so that whoever was given them need not ask again. `boards` are the addresses of the
    products' boards at Sleekplan; under None, of those that have none of their own.
    """

    def __init__(self, path: Path | None, boards: Mapping[int | None, str]) -> None:
        super().__init__()
        self.products: dict[int, str] = {}
        self._path, self._boards = path, boards
        self._looks: object = None
        self._read()

    def read_again(self) -> bool:
        """Take what the file says where it has changed, and return whether it has.

        Raises InvalidSetting once for each change that cannot be meant, and keeps what was said before.
        """
        if self._path is None or looks_of(self._path) == self._looks:
            return False
        self._read()
        return True

    async def follow(self) -> None:
        """Read the file again whenever somebody has changed it, and say so: for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                if self.read_again():
                    _log.info("labels_read_again", keys=len(self), products=len(self.products))
            except InvalidSetting as error:
                _log.error("labels_refused", reason=str(error))

    def address_of(self, product_id: int, item_id: str) -> str | None:
        """Return where people see an item on its board; None where no address of the board is given."""
        board = self._boards.get(product_id, self._boards.get(None))
        return f"{board}/feedback/{quote(item_id, safe='')}" if board else None

    def _read(self) -> None:
        if self._path is not None:
            self._looks = looks_of(self._path)
        labels, products = _said(self._path)
        self.clear()
        self.update(labels)
        self.products = products


def load_labels(path: Path | None, boards: Mapping[int | None, str] = MappingProxyType({})) -> Labels:
    """Return the common statuses with the file's labels laid over them, and the names of its products.

    Raises InvalidSetting for a file that cannot be read, or says what cannot be meant.
    """
    return Labels(path, boards)


def _said(path: Path | None) -> tuple[dict[str, Label], dict[int, str]]:
    labels = {
        key: Label(key, key.replace("-", " ").capitalize(), role, "status")
        for role, keys in _COMMON.items()
        for key in keys
    }
    if path is None:
        return labels, {}
    try:
        content = _table(_read(path), "the file")
        products = _products(content.pop("product", {}))
        return labels | _from_file(content, labels), products
    except UnicodeDecodeError:
        reason = "it is no UTF-8 text"
    except RecursionError:
        reason = "it is nested too deeply"
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    raise InvalidSetting("RECOUNT_LABELS", f"names the file {path}, which cannot be used: {reason}")


def _read(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else tomllib.loads(text)


def _products(entries: Any) -> dict[int, str]:
    products = {}
    for key, name in _table(entries, "product").items():
        if not re.fullmatch(r"[1-9][0-9]{0,18}", key):
            raise ValueError(f"product has {key!r}, which is not the number of a product")
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"product.{key} is {name!r}, which is no name")
        products[int(key)] = name
    return products


def _from_file(content: dict[str, Any], common: Mapping[str, Label]) -> dict[str, Label]:
    labels: dict[str, Label] = {}
    for kind, entries in content.items():
        if kind not in get_args(Kind):
            raise ValueError(f"{kind!r} is none of `status`, `type` and `product`")
        for key, entry in _table(entries, kind).items():
            if key in labels:
                raise ValueError(f"{key!r} is given as a status and as a type")
            labels[key] = _label(kind, key, entry, common.get(key))
    return labels


def _label(kind: Any, key: str, entry: Any, common: Label | None) -> Label:
    if not isinstance(entry, str | dict):
        raise ValueError(f"{kind}.{key} is {entry!r}, neither a label nor a table with `label` and `role`")
    given = {"label": entry} if isinstance(entry, str) else entry
    role: Any = given.get("role", common.role if common and kind == "status" else None)
    label = given.get("label", common.label if common else key)
    if unknown := sorted(set(given) - {"label", "role"}):
        raise ValueError(f"{kind}.{key} has {unknown[0]!r}; there are `label` and `role`")
    if not isinstance(label, str) or not label:
        raise ValueError(f"{kind}.{key} has the label {label!r}, which is no text")
    if role is not None and (kind != "status" or role not in get_args(Role)):
        raise ValueError(
            f"{kind}.{key} has the role {role!r}; a status has one of {', '.join(get_args(Role))}"
        )
    return Label(key, label, role, kind)


def _table(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} is {value!r}, not a table")
    return value
