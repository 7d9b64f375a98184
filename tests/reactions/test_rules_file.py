"""The file of reactions: what is wrong with it is said at once, all of it, with its lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from schema.answer.execute import Operations
from schema.build import build_schema
from service.config import load_settings
from service.errors import InvalidSetting, ReactionsRefused
from service.reactions.reactions import refuse_wrong_rules
from service.reactions.rules_file import read_rules
from tests.given.receiver import SECRET, a_file, a_rule
from tests.given.running import recount

RIGHT = """
[[reaction]]
name = "right"
document = "subscription { events { position } }"
webhook = { url_env = "HOOK_URL", secret_env = "HOOK_SECRET" }
"""
WRONG = '''\
colour = "blue"

[[reaction]]
name = "unknown-field"
document = """
subscription {
  events { position }
  [[reaction]] # is no line of the file's
}
"""
webhook = { url_env = "HOOK_URL", secret_env = "HOOK_SECRET" }

[[reaction]]
name = "two-fields"
document = \'\'\'
subscription {
  events {
    positon
    item { titel }
  }
}\'\'\'
webhook = { url_env = "HOOK_URL", secret_env = "HOOK_SECRET" }

[[reaction]]
name = "two-fields"
then = "explode"
colour = "red"
document = "subscription { events { position } }"
[reaction.webhook]
url = "https://hooks.example.com/very-secret"
secret_env = "HOOK_SECRET"

[[reaction]]
name = "No Name"
document = "{ items { totalCount } }"

[[reaction]]
name = "private"
document = "subscription { events { position user { mail } } }"
webhook = { url_env = "PRIVATE_URL", secret_env = "WEAK_SECRET" }

[[reaction]]
name = "nowhere"
document = "subscription { events(after: 3) { position } }"
webhook = { url_file = "no-such-file", secret_env = "NO_SUCH_VARIABLE" }

[[reaction]]
name = "state"
document = "subscription { projections { name } }"
webhook = { url_env = "PLAIN_URL", secret_env = "HOOK_SECRET" }
'''


@pytest.fixture
def operations() -> Iterator[Operations]:
    opened = Operations(build_schema())
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "HOOK_URL": "https://hooks.example.com/in",
        "HOOK_SECRET": SECRET,
        "PRIVATE_URL": "https://169.254.169.254/latest/meta-data/very-secret",
        "PLAIN_URL": "http://hooks.example.com/very-secret",
        "WEAK_SECRET": "whsec_dmVyeS1zZWNyZXQ=",
    }.items():
        monkeypatch.setenv(name, value)


async def _wrong(text: str, folder: Path, operations: Operations) -> list[tuple[int, str]]:
    path = folder / "reactions.toml"
    path.write_text(text)
    with pytest.raises(ReactionsRefused) as refused:
        await read_rules(path, operations)
    assert "very-secret" not in str(refused.value)
    assert all(f"{path}:{line}: " in str(refused.value) for line, _ in refused.value.wrong)
    return list(refused.value.wrong)


async def test_a_file_that_is_right_gives_its_rules(tmp_path: Path, operations: Operations) -> None:
    (tmp_path / "reactions.toml").write_text(RIGHT)

    file = await read_rules(tmp_path / "reactions.toml", operations)

    assert [reaction.rule.name for reaction in file.reactions] == ["right"]
    assert file.reactions[0].rule.origins == {"WEBHOOK"}


async def test_all_that_is_wrong_is_said_at_once_with_its_line(
    tmp_path: Path, operations: Operations
) -> None:
    wrong = await _wrong(WRONG, tmp_path, operations)

    assert [(line, text.partition(":")[0]) for line, text in wrong] == [
        (1, "there is no 'colour'; there are private_hosts and reaction"),
        (8, "unknown-field"),
        (18, "two-fields"),
        (19, "two-fields"),
        (25, "two-fields"),
        (26, "two-fields"),
        (27, "two-fields"),
        (29, "two-fields"),
        (34, "No Name"),
        (35, "No Name"),
        (39, "private"),
        (40, "private"),
        (40, "private"),
        (44, "nowhere"),
        (45, "nowhere"),
        (45, "nowhere"),
        (49, "state"),
        (50, "state"),
    ]
    said = dict(reversed(wrong))
    assert said[18] == "two-fields: Cannot query field 'positon' on type 'Event'. Did you mean 'position'?"
    assert said[25] == "two-fields: another rule has this name, in line 14"
    assert "`url` is never written here; give url_file or url_env" in said[29]
    assert said[39] == 'private: User.mail: leave the field out, or write scopes = ["read", "personal"]', (
        "and nothing of a token: a rule has none"
    )
    assert said[40].startswith("private: secret is no secret")


@pytest.mark.parametrize(("kind", "every"), [("subscription", ""), ("query", "every = 'monday 08:00 UTC'")])
async def test_an_argument_that_nothing_could_be_found_by_is_said_with_its_line(
    kind: str, every: str, tmp_path: Path, operations: Operations
) -> None:
    document = f'{kind} {{ items(filter: {{authorId: {{eq: "nobody"}}}}) {{ __typename }} }}'
    webhook = 'webhook = { url_env = "HOOK_URL", secret_env = "HOOK_SECRET" }'
    rule = f"[[reaction]]\nname = 'of-one'\ndocument = '{document}'\n{webhook}\n{every}"

    [(line, said)] = await _wrong(rule, tmp_path, operations)

    assert (line, "'nobody' is not one of our ids" in said) == (3, True)


@pytest.mark.parametrize(
    ("text", "line"),
    [('[[reaction]]\nname = "a\n', 2), ("[[reaction]]\nname = 1 2\n", 2), ('name = """', 1)],
)
async def test_what_is_no_toml_is_said_with_its_line(
    text: str, line: int, tmp_path: Path, operations: Operations
) -> None:
    [(found, _)] = await _wrong(text, tmp_path, operations)

    assert found == line


async def test_rules_in_another_form_than_tables_of_their_own_are_refused(
    tmp_path: Path, operations: Operations
) -> None:
    for text in ('reaction = [{name = "a"}]', 'reaction = "a"', '[reaction]\nname = "a"'):
        [(line, said)] = await _wrong(text, tmp_path, operations)

        assert (line, "[[reaction]]" in said) == (1, True)


async def test_a_host_on_a_private_address_is_let_through_by_its_name(
    tmp_path: Path, operations: Operations
) -> None:
    rule = a_rule(tmp_path, "http://127.0.0.1:9/hook")

    file = await read_rules(a_file(tmp_path, rule), operations)

    assert len(file.reactions) == 1
    with pytest.raises(ReactionsRefused, match="https"):
        await read_rules(a_file(tmp_path, rule, private_hosts=("127.0.0.2",)), operations)


async def test_a_service_does_not_start_with_a_file_that_is_wrong_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "reactions.toml").write_text(WRONG)
    env = {"RECOUNT_DATA_DIR": str(tmp_path / "data"), "RECOUNT_PORT": "0"}

    ended = await recount("serve", env=env | {"RECOUNT_REACTIONS": str(tmp_path / "reactions.toml")})
    with pytest.raises(InvalidSetting, match="cannot be read"):
        await refuse_wrong_rules(load_settings({"RECOUNT_REACTIONS": str(tmp_path / "nothing.toml")}))

    assert ended.returncode == 2
    assert ended.stderr.count(f"{tmp_path / 'reactions.toml'}:") == 18
    assert not (tmp_path / "data").exists()
