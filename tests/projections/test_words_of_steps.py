"""A statement is left out of a step by words: both sides must mean the same ones."""

from __future__ import annotations

import re

import projections
from projections.catalogue import BUILT_IN, STAGING
from projections.steps import words_of
from service.sql_files import load

ENTITIES = {
    "item",
    "vote",
    "comment",
    "subscription",
    "user",
    "changelog",
    "changelog_subscriber",
    "satisfaction",
}


def test_every_word_that_a_statement_waits_for_is_one_that_a_step_can_have_and_none_is_for_nobody() -> None:
    said = load(projections.__file__, "words.sql")
    phrases = set(re.findall(r"(?:then|else) '([a-z ]+)'", "\n".join(said.values())))
    asked = {
        word
        for projection in BUILT_IN
        for statement in projection.statements.values()
        for line in re.findall(r"^-- only with: *(.+)$", statement, re.MULTILINE)
        for word in words_of(line)
    }

    assert set(said) == set(STAGING)
    actions = {f"{entity}.{verb}" for entity in ENTITIES for verb in ("create", "update")}
    assert asked - ENTITIES - actions == phrases
