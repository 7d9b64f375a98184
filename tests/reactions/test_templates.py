"""Templates: what they name is selected, what they make is safe, and what is null is nothing."""

from __future__ import annotations

import pytest

from schema.answer.execute import Operations
from schema.build import build_schema
from service.reactions.document import followed_by
from service.reactions.target import NotTaken
from service.reactions.template_names import expression_faults, template_faults
from service.reactions.templates import holds, rendered

DOCUMENT = """
subscription {
  events {
    summary rawPayload item { title tags status { key } votes { net } } changes { field before after }
  }
}
"""
DATA = {
    "events": {
        "summary": "Ana moved “Dark mode”",
        "item": {"title": "Dark <b>mode</b>", "tags": None, "status": None, "votes": {"net": 3}},
        "changes": [{"field": "status", "before": "open", "after": "planned"}],
    }
}


@pytest.fixture(scope="module")
async def shape() -> object:
    operations = Operations(build_schema())
    followed = await followed_by(operations, DOCUMENT, {}, ["read", "raw"])
    operations.close()
    return followed.shape


RIGHT = [
    "{{ events.summary.upper() }} {{ events['item'].title | replace('a', 'b') }}",
    "{% for each in events.changes %}{{ loop.index }} {{ each.field }}{{ each.before.any }}{% endfor %}",
    "{% for change in events.changes | selectattr('field', 'eq', 'status') %}{{ change.after }}{% endfor %}",
    "{% set item = events.item %}{{ item.votes.net }} {{ events.rawPayload.data.anything }}",
    "{% with one = events.changes | first %}{{ one.field }}{% endwith %}{{ events.changes[0].field }}",
    "{% macro bold(text) %}*{{ text }}*{% endmacro %}{{ bold(events.summary) }}{{ range(3) | list }}",
    "{{ events.item.tags | join(', ') if events.item.tags else 'none' }}{{ events.changes[:2] | length }}",
]
WRONG = [
    ("{{ event.summary }}", 1, "'event', which the document does not select; there is events"),
    (
        "a\n{{ events.item.titel }}",
        2,
        "'titel', which the document does not select; there is title, tags, status, votes",
    ),
    ("{{ events['nothing'] }}", 1, "'nothing'"),
    ("{{ events.summary.title_of }}", 1, "'title_of'"),
    ("{{ events.changes.field }}", 1, "'field'"),
    ("{% for c in events.changes %}\n{{ c.was }}{% endfor %}", 2, "'was'"),
    ("{% for c in events.changes | sort(attribute='field') %}{{ c.was }}{% endfor %}", 1, "'was'"),
    ("{% if events.item.deleted %}x{% endif %}", 1, "'deleted'"),
    ("{% set item = events.item %}{{ item.titel }}", 1, "'titel'"),
    ("{{ (events.changes | last).was }}", 1, "'was'"),
    ("{% macro one(x) %}{{ y }}{% endmacro %}{{ one(1) }}", 1, "'y'"),
    ("{{ loop.index }}", 1, "'loop'"),
    ("{{ events.summary", 1, "is no template"),
    ("{{ events.summary | upcase }}", 1, "is no template"),
]


@pytest.mark.parametrize("text", RIGHT)
def test_what_names_only_what_is_selected_is_right(text: str, shape) -> None:
    assert list(template_faults(text, shape)) == []


@pytest.mark.parametrize(("text", "line", "said"), WRONG)
def test_what_names_anything_else_is_found_with_its_line(text: str, line: int, said: str, shape) -> None:
    [(found, fault)] = template_faults(text, shape)

    assert found == line
    assert said in fault


def test_an_expression_is_looked_at_in_the_same_way(shape) -> None:
    assert (
        list(expression_faults("events.item.votes.net > 3 and 'x' in (events.item.tags or [])", shape)) == []
    )
    [(line, said)] = expression_faults("events.item.vote > 3", shape)
    assert (line, "'vote'" in said) == (1, True)
    assert "is no template" in next(iter(expression_faults("events.item >", shape)))[1]


def test_what_is_null_is_written_as_nothing_and_nothing_is_escaped() -> None:
    text = "{{ events.item.title }}|{{ events.item.status.key }}|{{ events.item.tags }}|"

    assert rendered(text, DATA) == "Dark <b>mode</b>|||"


def test_what_fails_quotes_nothing_of_the_answer() -> None:
    with pytest.raises(NotTaken) as refused:
        rendered("{{ events.summary + 1 }}", DATA)
    assert (refused.value.reason, refused.value.final) == ("its template fails: TypeError", True)
    with pytest.raises(NotTaken, match="its `when` fails: TypeError"):
        holds("events.item.tags > 3", DATA)


@pytest.mark.parametrize(
    "text",
    [
        "{{ events.__class__.__mro__ }}",
        "{{ events.summary.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ self.__init__.__globals__ }}",
        "{{ events.update({'a': 1}) }}",
        "{{ range.__globals__ }}",
    ],
)
def test_the_sandbox_gives_nothing_of_the_process(text: str) -> None:
    try:
        said = rendered(text, DATA)
    except NotTaken:
        return
    assert said == ""


def test_when_says_what_is_told() -> None:
    assert holds("events.item.votes.net >= 3", DATA)
    assert not holds("events.item.status.key == 'planned'", DATA)
    assert holds("events.changes | selectattr('after', 'eq', 'planned') | list", DATA)
