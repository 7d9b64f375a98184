"""Gives status and type keys a label, and statuses a role, from a file and from what boards commonly use.

Sleekplan sends opaque keys (`s68dfa8421c534`) without a word of what they mean. The file says it, in TOML or,
with a name that ends in .json, as the same in JSON:

    [status]
    planned = "Next up"                                         # a label alone keeps a common key's role
    s68dfa8421c534 = { label = "Waiting for you", role = "OPEN" }

    [type]
    t68df02a7ea223 = "Bug"
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from service.errors import InvalidSetting

Kind = Literal["status", "type"]
Role = Literal["OPEN", "ROADMAP", "DONE", "DECLINED"]

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


def load_labels(path: Path | None) -> dict[str, Label]:
    """Return the labels by key: the common statuses, with the file's laid over them.

    Raises InvalidSetting for a file that cannot be read, or says what cannot be meant.
    """
    labels = {
        key: Label(key, key.replace("-", " ").capitalize(), role, "status")
        for role, keys in _COMMON.items()
        for key in keys
    }
    if path is None:
        return labels
    try:
        return labels | _from_file(_read(path), labels)
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


def _from_file(content: Any, common: Mapping[str, Label]) -> dict[str, Label]:
    labels: dict[str, Label] = {}
    for kind, entries in _table(content, "the file").items():
        if kind not in get_args(Kind):
            raise ValueError(f"{kind!r} is neither `status` nor `type`")
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
