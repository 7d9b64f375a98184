"""Holds the place of what must not be shown: addresses and secrets, in files of their own or variables."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

NOT_SET: Final = "which is not set"
"""How a fault ends that is of this process's environment, and not of the file."""
STRICT: Final = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Hidden(BaseModel):
    """Where something is that nobody is shown. It is read when it is needed, so that it can be changed."""

    model_config = STRICT

    file: Path | None = None
    env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None

    @field_validator("env")
    @classmethod
    def _is_no_setting(cls, value: str | None) -> str | None:
        if value is not None and value.startswith("RECOUNT_"):
            raise ValueError("is a name of our settings, of which unknown ones are refused; take another")
        return value

    def read(self) -> SecretStr:
        """Return it as it is now. Raises ValueError, which says where it should be."""
        if self.env is not None:
            value, where = (
                os.environ.get(self.env, ""),
                f"is to be in the variable {self.env}, {NOT_SET}",
            )
        else:
            value, where = (
                _text(self.file),
                f"is to be in the file {self.file}, which is empty or cannot be read",
            )
        if not value.strip():
            raise ValueError(where)
        return SecretStr(value.strip())


class TargetTable(BaseModel):
    """The table of a target: each member that is Hidden is given as `…_file` or `…_env`, never itself."""

    model_config = STRICT

    @model_validator(mode="before")
    @classmethod
    def _hide(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            raise ValueError('is no table, such as { url_env = "CRM_URL", secret_env = "CRM_SECRET" }')
        made = dict(given)
        for name, member in cls.model_fields.items():
            if member.annotation is not Hidden:
                continue
            if name in given:
                raise ValueError(f"`{name}` is never written here; give {name}_file or {name}_env")
            ways = {way: made.pop(f"{name}_{way}") for way in ("file", "env") if f"{name}_{way}" in made}
            if len(ways) != 1:
                raise ValueError(f"wants {name}_file or {name}_env, one of them")
            made[name] = ways
        return made


def _text(path: Path | None) -> str:
    assert path is not None, "a table has either"
    try:
        return path.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, RuntimeError):
        return ""
