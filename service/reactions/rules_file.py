"""Reads the file of reactions: every rule when all are right, else all that is wrong, with its lines."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from graphql import GraphQLError
from pydantic import ValidationError

from schema.answer.execute import Operations
from schema.errors import Refused
from service.errors import InvalidSetting, MissingScope, ReactionsRefused, reason_of
from service.reactions.document import Followed, asked_by, followed_by
from service.reactions.rules import Rule
from service.reactions.targets import target_faults
from service.reactions.template_names import expression_faults, template_faults
from service.reactions.toml_lines import TomlLines
from service.scopes import SCOPES

MEMBERS: Final = ("private_hosts", "reaction")

_TOML_PLACE: Final = re.compile(r" \((?:at line (\d+), column \d+|at end of document)\)$")


@dataclass(frozen=True, slots=True)
class Reaction:
    """A rule, with what it follows."""

    rule: Rule
    followed: Followed


@dataclass(frozen=True, slots=True)
class RulesFile:
    """The rules, and the hosts that may be on private addresses."""

    reactions: tuple[Reaction, ...] = ()
    private_hosts: frozenset[str] = frozenset()


class Fault(NamedTuple):
    """What is wrong with a rule: in which of its members, and in which line of that one's text, from 1."""

    member: str
    said: str
    line: int = 0


async def read_rules(path: Path, operations: Operations) -> RulesFile:
    """Return the rules of a file. Raises ReactionsRefused with all that is wrong, and InvalidSetting."""
    text = _text_of(path)
    lines = TomlLines(text)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _TOML_PLACE.search(str(error))
        line = int(place[1]) if place and place[1] else lines.last
        raise ReactionsRefused(path, [(line, _TOML_PLACE.sub("", str(error)))]) from None
    tables, allowed, wrong = _tables_of(content, lines)
    reactions = []
    for index, given in enumerate(tables):
        rule, faults = _rule_of(given)
        followed, more = await _followed_of(given, operations)
        faults += more
        if followed is not None:
            faults += _name_faults(given, followed)
        if rule is not None:
            faults += [Fault(*each) for each in target_faults(rule, allowed)]
        if rule is not None and followed is not None:
            reactions.append(Reaction(rule, followed))
        name = given.get("name", "a rule")
        wrong += [(lines.of_rule(index, *fault[::2]), f"{name}: {fault.said}") for fault in faults]
    wrong += _repeated(tables, lines)
    if wrong:
        raise ReactionsRefused(path, sorted(wrong))
    return RulesFile(tuple(reactions), allowed)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is no UTF-8 text" if isinstance(error, ValueError) else reason_of(error)
    raise InvalidSetting("RECOUNT_REACTIONS", f"names the file {path}, which cannot be read: {reason}")


def _tables_of(
    content: dict[str, Any], lines: TomlLines
) -> tuple[Sequence[dict[str, Any]], frozenset[str], list[tuple[int, str]]]:
    """Return the tables of the rules, the private hosts, and what is wrong beside the rules."""
    wrong = [
        (lines.of_file(name), f"there is no {name!r}; there are {' and '.join(MEMBERS)}")
        for name in content
        if name not in MEMBERS
    ]
    hosts = content.get("private_hosts", [])
    if not isinstance(hosts, list) or not all(isinstance(host, str) for host in hosts):
        wrong.append((lines.of_file("private_hosts"), "private_hosts is no list of the names of hosts"))
        hosts = []
    tables = content.get("reaction", [])
    if not isinstance(tables, list) or len(tables) != len(lines.rules):
        wrong.append((lines.of_file("reaction"), "a rule begins with a line of its own: [[reaction]]"))
        tables = []
    return tables, frozenset(host.lower() for host in hosts), wrong


def _rule_of(given: dict[str, Any]) -> tuple[Rule | None, list[Fault]]:
    try:
        return Rule.model_validate(given), []
    except ValidationError as error:
        # Their own texts quote nothing that was given: it may be a secret in the wrong place.
        found = error.errors(include_url=False, include_context=False, include_input=False)
    return None, [_fault_of(each["loc"], each["type"], each["msg"]) for each in found]


def _fault_of(place: tuple[int | str, ...], kind: str, said: str) -> Fault:
    member = ".".join(str(part) for part in place[:2]) if place else "name"
    path = ".".join(str(part) for part in place)
    match kind:
        case "extra_forbidden":
            return Fault(member, f"there is no {path!r}")
        case "missing":
            return Fault(member, f"{path} is missing")
        case "string_pattern_mismatch" if member == "name":
            return Fault(member, "its name may hold small letters, digits and -, 63 at most")
    said = said.removeprefix("Value error, ")
    if not path:
        return Fault(member, said)
    joint = " " if said.startswith(("is ", "wants ", "names ")) else ": "
    return Fault(member, f"{path}{joint}{said[:1].lower()}{said[1:]}")


async def _followed_of(given: dict[str, Any], operations: Operations) -> tuple[Followed | None, list[Fault]]:
    """Return what a rule follows. Of one that is wrong elsewhere the document is looked at all the same."""
    text, variables, scopes = given.get("document"), given.get("variables", {}), given.get("scopes", ["read"])
    if not isinstance(text, str) or not isinstance(variables, dict):
        return None, []
    known = [scope for scope in scopes if scope in SCOPES] if isinstance(scopes, list) else []
    prepare = followed_by if given.get("every") is None else asked_by
    try:
        return await prepare(operations, text, variables, known), []
    except Refused as refused:
        return None, [
            Fault("document", _said_of_rule(error), error.locations[0].line if error.locations else 0)
            for error in refused.errors
        ]


def _said_of_rule(error: GraphQLError) -> str:
    """What is wrong with a document: a rule has no token, its scopes are a member of its own."""
    if isinstance(missing := error.original_error, MissingScope):
        scopes = ", ".join(f'"{each}"' for each in missing.scopes)
        return f"{missing.field}: leave the field out, or write scopes = [{scopes}]"
    return error.message


def _name_faults(given: dict[str, Any], followed: Followed) -> Iterator[Fault]:
    """Say what a rule's templates name that its document does not select."""
    if isinstance(when := given.get("when"), str):
        yield from (
            Fault("when", f"`when` {said}", line) for line, said in expression_faults(when, followed.shape)
        )
    message = given.get("message")
    texts = message if isinstance(message, dict) else {}
    for name in ("title", "text"):
        if isinstance(text := texts.get(name), str):
            for line, said in template_faults(text, followed.shape):
                yield Fault(f"message.{name}", f"its {name} {said}", line)


def _repeated(tables: Sequence[dict[str, Any]], lines: TomlLines) -> Iterator[tuple[int, str]]:
    first: dict[str, int] = {}
    for index, given in enumerate(tables):
        name, line = given.get("name"), lines.of_rule(index, "name")
        if isinstance(name, str) and first.setdefault(name, line) != line:
            yield line, f"{name}: another rule has this name, in line {first[name]}"
