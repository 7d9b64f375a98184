"""Renders what is told as a text, and decides whether it is told at all: Jinja2, in its sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

from service.reactions.target import NotTaken

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.environment import TemplateExpression
    from jinja2.sandbox import SandboxedEnvironment

COMPILED_MAX: Final = 500
"""So many are kept compiled: that takes seventy times as long as to evaluate one."""
EXTRA: Final = "needs packages that are not installed: pip install 'recount-feedback[reactions]'"


@cache
def environment(*, html: bool = False) -> SandboxedEnvironment:
    """Return what templates are read in. Raises ValueError where Jinja2 is not installed.

    In `html` what is put in is text: a title that holds a link or an image is a stranger's. `| safe` lets it.
    """
    try:
        from jinja2 import ChainableUndefined
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError:
        raise ValueError(EXTRA) from None
    # Names are held against the document before: what is undefined then is below something that is null.
    return ImmutableSandboxedEnvironment(
        undefined=ChainableUndefined,
        autoescape=html,
        finalize=lambda value: "" if value is None else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def rendered(text: str, data: Mapping[str, Any], *, html: bool = False) -> str:
    """Return what a template makes of an answer. Raises NotTaken."""
    try:
        return _template(text, html).render(data).strip()
    except Exception as error:
        # Its own words may quote the data.
        raise NotTaken(f"its template fails: {type(error).__name__}", final=True) from None


def holds(expression: str, data: Mapping[str, Any]) -> bool:
    """Return whether an expression is true of an answer. Raises NotTaken."""
    try:
        return bool(_expression(expression)(**data))
    except Exception as error:
        raise NotTaken(f"its `when` fails: {type(error).__name__}", final=True) from None


@lru_cache(COMPILED_MAX)
def _template(text: str, html: bool) -> Template:
    return environment(html=html).from_string(text)


@lru_cache(COMPILED_MAX)
def _expression(text: str) -> TemplateExpression:
    return environment().compile_expression(text)
