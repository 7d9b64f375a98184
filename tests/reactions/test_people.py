"""Messages to people by Apprise: what arrives, what is not sent, and where nothing is sent to."""

from __future__ import annotations

from pathlib import Path

import pytest

from schema.resume import ResumePoint
from service.reactions.rules import Rule
from service.reactions.target import NotTaken, Target, Telling
from service.reactions.targets import Targets, target_faults
from tests.given.receiver import Receiver, answers, hang

TELLING = Telling("all", "all_41", ResumePoint(41), {"events": {"summary": "Ana moved “Ä”", "item": None}})


def _rule(folder: Path, url: str, **members: str) -> Rule:
    (folder / "url").write_text(url)
    table = {"url_file": folder / "url", "text": "{{ events.summary }}", **members}
    return Rule.model_validate({"name": "all", "document": "", "message": table})


def _target(targets: Targets, folder: Path, url: str, *private_hosts: str, **members: str) -> Target:
    return targets.of(_rule(folder, url, **members), frozenset(private_hosts))


async def test_people_get_what_the_template_makes(
    targets: Targets, receiver: Receiver, tmp_path: Path
) -> None:
    title = _target(targets, tmp_path, receiver.people, "127.0.0.1", title="At {{ events.item.title }}!")

    await title.tell(TELLING, 20)
    assert title.shown(TELLING) == "At !\n\nAna moved “Ä”"
    await _target(targets, tmp_path, receiver.people, "127.0.0.1", text="{{ events.item }}").tell(TELLING, 20)

    assert receiver.texts == ["At !\nAna moved “Ä”"]


async def test_what_a_stranger_wrote_is_text_in_a_message_of_html(
    targets: Targets, receiver: Receiver, tmp_path: Path
) -> None:
    text = "<b>{{ events.summary }}</b>{{ events.item }}{{ events.by | safe }}"
    data = {"events": {"summary": '<img src="//example.com">', "item": None, "by": "<i>us</i>"}}
    target = _target(targets, tmp_path, receiver.people, "127.0.0.1", text=text, format="html")

    await target.tell(Telling("all", "all_41", ResumePoint(41), data), 20)

    assert receiver.texts == ["<b>&lt;img src=&#34;//example.com&#34;&gt;</b><i>us</i>"]


async def test_what_is_not_taken_or_redirected_or_hangs_is_said_so(
    targets: Targets, receiver: Receiver, tmp_path: Path
) -> None:
    target = _target(targets, tmp_path, f"{receiver.people}?redirect=yes", "127.0.0.1")
    for status in (500, 302, 307):
        receiver.behaves = answers(status, headers={"Location": "/hook"})
        with pytest.raises(NotTaken, match="did not take it"):
            await target.tell(TELLING, 20)
    assert (receiver.asked, receiver.texts) == ([], [])

    receiver.behaves = hang
    with pytest.raises(NotTaken, match=r"no answer came|did not take it"):
        await target.tell(TELLING, 0.3)


async def test_a_private_host_is_refused_unless_it_is_named(
    targets: Targets, receiver: Receiver, tmp_path: Path
) -> None:
    for url in (receiver.people, "json://localhost:1/", "mailto://user:secret@example.com?smtp=127.0.0.1"):
        with pytest.raises(NotTaken, match="is on a private address"):
            await _target(targets, tmp_path, url).tell(TELLING, 20)

    assert len(list(target_faults(_rule(tmp_path, receiver.people), frozenset()))) == 1
    [(_, said)] = target_faults(_rule(tmp_path, "no-such://secret"), frozenset())
    assert "secret" not in said
