"""A signed webhook: where it may go, how it is signed, and what becomes of each answer."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import SecretStr
from standardwebhooks import Webhook

from schema.resume import ResumePoint
from service.reactions.addresses import is_public
from service.reactions.rules import Rule, WebhookTable
from service.reactions.target import NotTaken, Target, Telling
from service.reactions.targets import Targets
from service.reactions.webhook import signed
from tests.given.receiver import SECRET, Receiver, answers, hang
from tests.given.waiting import eventually

TELLING = Telling("all", "all_41_2", ResumePoint(41, 2), {"events": {"summary": "Ana moved “Ä”"}})


def _target(targets: Targets, folder: Path, url: str, *private_hosts: str) -> Target:
    (folder / "url").write_text(f"{url}\n")
    (folder / "secret").write_text(f"{SECRET}\n")
    table = {"url_file": folder / "url", "secret_file": folder / "secret"}
    rule = Rule.model_validate({"name": "all", "document": "", "webhook": table})
    return targets.of(rule, frozenset(private_hosts))


async def _refused(target: Target, timeout_seconds: float = 20) -> NotTaken:
    with pytest.raises(NotTaken) as refused:
        await target.tell(TELLING, timeout_seconds)
    return refused.value


def test_the_standard_library_verifies_what_is_signed_and_nothing_else() -> None:
    body = TELLING.body()
    headers = signed(SecretStr(SECRET), TELLING.id, datetime.now(UTC), body)

    assert Webhook(SECRET).verify(body, headers)["id"] == "all_41_2"
    for wrong in ({"webhook-id": "all_41_1"}, {"webhook-timestamp": "1"}):
        with pytest.raises(Exception, match=r"."):
            Webhook(SECRET).verify(body, headers | wrong)


async def test_what_it_sends_says_where_it_stands(
    targets: Targets, receiver: Receiver, tmp_path: Path
) -> None:
    await _target(targets, tmp_path, receiver.url, "127.0.0.1").tell(TELLING, 20)

    assert receiver.taken == [
        {"type": "all", "id": "all_41_2", "position": 41, "ordinal": 2, "data": TELLING.data}
    ]


async def test_a_redirect_is_not_followed(targets: Targets, receiver: Receiver, tmp_path: Path) -> None:
    for status in (301, 302, 303, 307, 308):
        receiver.behaves = answers(status, headers={"Location": "/elsewhere"})

        refused = await _refused(_target(targets, tmp_path, receiver.url, "127.0.0.1"))

        assert refused.reason == f"it answered {status}, and redirects are not followed"
    assert receiver.asked == ["/hook all_41_2"] * 5


async def test_what_it_asks_to_wait_is_waited_but_no_day(
    targets: Targets, receiver: Receiver, tmp_path: Path
) -> None:
    target = _target(targets, tmp_path, receiver.url, "127.0.0.1")
    for said, seconds in (("120", 120.0), ("86400", 3600.0), ("soon", None)):
        receiver.behaves = answers(429, headers={"Retry-After": said})

        refused = await _refused(target)

        assert (refused.wait_seconds, refused.final) == (seconds, False)


async def test_one_that_hangs_is_given_up_after_its_time(
    targets: Targets, receiver: Receiver, tmp_path: Path
) -> None:
    receiver.behaves = hang

    refused = await _refused(_target(targets, tmp_path, receiver.url, "127.0.0.1"), 0.2)

    assert refused.reason == "no answer came within 0.2 seconds"


async def test_one_that_is_not_there_or_breaks_off_is_told_without_its_address(
    targets: Targets, receiver: Receiver, tmp_path: Path
) -> None:
    async def break_off(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    receiver.behaves = break_off
    nobody = _target(targets, tmp_path, "http://127.0.0.1:1/very-secret", "127.0.0.1")

    assert (await _refused(nobody)).reason == "it could not be reached: Connection refused"
    (tmp_path / "url").write_text(receiver.url)
    assert "could not be reached" in (await _refused(nobody)).reason


@pytest.mark.parametrize(
    "url",
    [
        "https://localhost:1/", "https://127.0.0.1:1/", "https://[::1]:1/",
        "https://0x7f.1:1/", "https://[::ffff:10.0.0.1]:1/", "https://169.254.169.254/", "https://0.0.0.0:1/",
    ],
)  # fmt: skip
async def test_a_private_address_is_refused_however_it_is_written(
    url: str, targets: Targets, tmp_path: Path
) -> None:
    refused = await _refused(_target(targets, tmp_path, url))

    assert "is on a private address" in refused.reason


async def test_address_and_secret_can_be_changed_while_it_runs(
    targets: Targets, receiver: Receiver, tmp_path: Path
) -> None:
    target = _target(targets, tmp_path, "http://127.0.0.1:1/", "127.0.0.1")
    await _refused(target)

    (tmp_path / "url").write_text(receiver.url)
    await target.tell(TELLING, 20)
    (tmp_path / "secret").write_text("")
    refused = await _refused(target)

    assert len(receiver.taken) == 1
    assert refused.reason == f"is to be in the file {tmp_path / 'secret'}, which is empty or cannot be read"


def test_only_addresses_of_the_internet_are_public() -> None:
    private = ["10.1.2.3", "172.16.0.1", "192.168.0.1", "100.64.0.1", "127.0.0.1", "169.254.1.1", "0.0.0.0"]
    private += ["224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1%1", "fc00::1", "ff02::1"]
    private += ["::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "2002:0a00:0001::1"]

    assert [each for each in private if is_public(each)] == []
    assert is_public("93.184.215.14")
    assert is_public("2606:2800:21f:cb07:6820:80da:af6b:8b2c")


def test_a_table_says_one_way_for_each_thing_that_is_hidden() -> None:
    given = {"url_env": "URL", "url_file": "url", "secret_env": "SECRET"}

    with pytest.raises(ValueError, match="wants url_file or url_env, one of them"):
        WebhookTable.model_validate(given)
    with pytest.raises(ValueError, match="name of our settings"):
        WebhookTable.model_validate({"url_env": "RECOUNT_URL", "secret_env": "SECRET"})


async def test_one_that_is_told_to_end_at_the_moment_at_which_it_gives_up_ends(
    targets: Targets, receiver: Receiver, tmp_path: Path
) -> None:
    """By aiohttp's limit it went on with the next message, and whoever waited for its end did so for ever."""
    receiver.behaves = hang
    target = _target(targets, tmp_path, receiver.url, "127.0.0.1")
    telling = asyncio.create_task(target.tell(TELLING, 0.5))
    begun = time.monotonic()
    await eventually(lambda: bool(receiver.asked))

    loop = asyncio.get_running_loop()
    loop.call_later(begun + 0.6 - time.monotonic(), telling.cancel)
    # The loop is busy meanwhile, so that it meets both at once.
    loop.call_soon(time.sleep, max(begun + 0.7 - time.monotonic(), 0))
    await asyncio.wait([telling])

    assert telling.cancelled()
