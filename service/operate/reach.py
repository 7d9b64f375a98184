"""Looks at the service from near and far: whether it is ready, and who can come to its doors."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import urljoin, urlsplit, urlunsplit

import aiohttp

from service.config import Settings
from service.errors import DataFolderNotWritable, ServiceElsewhere
from service.hosts import is_loopback
from service.operate.finding import Finding, fine, note, problem
from service.operate.running import address_of_service, service_here
from service.web.key_files import key_of_this_machine

HTTP_SECONDS_MAX: Final = 10.0


async def check_service(settings: Settings) -> list[Finding]:
    """Whether the service runs here, is ready, and takes a delivery with our key and no other."""
    try:
        base = address_of_service(settings)
    except ServiceElsewhere as others:
        return [note("service", str(others), "recount serve")]
    key = None
    with contextlib.suppress(DataFolderNotWritable):  # told by check_folder
        key = key_of_this_machine(settings)
    try:
        async with _session() as session:
            async with session.get(f"{base}/readyz") as answer:
                ready = await answer.json(content_type=None)
            findings = [_ready(ready)]
            findings += await _knock(session, f"{base}/webhooks", key, settings.body_bytes_max)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        return [note("service", f"none answers at {base} ({type(error).__name__})", "recount serve")]
    return findings


def _ready(answer: Any) -> Finding:
    if isinstance(answer, dict) and answer.get("ready"):
        told = f"ready; Postgres {answer.get('postgres')}, spool {answer.get('spool')}"
        if answer.get("postgres") == answer.get("spool") == "ok":
            if (keys := answer.get("keys")) is not None:
                mend = "recount keys add sleekplan, then enter its URL in Sleekplan"
                return problem("service", f"ready, but of the webhook's keys {keys}", mend)
            return fine("service", told)
        return problem("service", told, "mend that before the other one fails, too; what is said above tells")
    if isinstance(answer, dict):
        amiss = [f"{name} {said}" for name, said in answer.items() if name != "ready" and said != "ok"]
        answer = "; ".join(amiss)
    return problem("service", f"not ready: {answer}", "look at its log")


async def _knock(
    session: aiohttp.ClientSession, url: str, key: str | None, body_bytes_max: int
) -> list[Finding]:
    """Post to the webhook, with a key or with the one in its URL, without leaving anything in the log.

    A wrong key has to be answered 401; with the right one a body that is announced as too large has to be
    answered 413, which is said after the key was accepted and before anything is stored.
    """
    findings = []
    async with session.post(_plain(url), headers={"X-Secret": "not-a-key"}, data=b"{}") as answer:
        if answer.status == 401:
            findings.append(fine("webhook", f"{_plain(url)} refuses a wrong key"))
        elif answer.status == 503:
            findings.append(
                problem("webhook", f"{_plain(url)} does not know its keys, or is busy", "bring Postgres back")
            )
        else:
            findings.append(
                problem(
                    "webhook",
                    f"{_plain(url)} answers {answer.status} to a wrong key",
                    "is another program there?",
                )
            )
    if key is None and not urlsplit(url).query:
        return [*findings, note("webhook", "no key is known here, so none was tried")]
    headers = {"Content-Length": str(body_bytes_max + 1)} | ({} if key is None else {"X-Secret": key})
    async with session.post(url, headers=headers, data=_one_byte()) as answer:
        if answer.status == 413:
            findings.append(fine("webhook", "accepts our key"))
        elif answer.status == 401:
            findings.append(
                problem("webhook", "refuses our key", "is the service started with other settings?")
            )
        else:
            findings.append(
                note("webhook", f"answers {answer.status} where 413 was expected", "a proxy in between?")
            )
    return findings


async def _one_byte() -> AsyncIterator[bytes]:
    yield b"{"


async def check_reach(settings: Settings, public_url: str | None) -> list[Finding]:
    """Whether Sleekplan could reach the webhook."""
    if public_url is None:
        here = None if "host" in settings.model_fields_set else service_here(settings)
        host = (here and here.host) or settings.host
        if is_loopback(host):
            return [
                note(
                    "reach",
                    f"{host} can be reached from this machine only",
                    "put a proxy with a certificate, or a tunnel, in front of it, then try its address: "
                    "recount doctor --url 'https://…/webhooks?key=…'",
                )
            ]
        return [note("reach", "not tried", "recount doctor --url 'https://…/webhooks?key=…'")]
    parts = urlsplit(public_url)
    findings = []
    if parts.scheme != "https":
        findings.append(problem("reach", "the key would travel in the open", "give the webhook an https URL"))
    try:
        async with _session() as session:
            findings += await _knock(session, public_url, None, settings.body_bytes_max)
            findings.append(await _ask(session, urljoin(public_url, "/graphql")))
    except aiohttp.ClientConnectorCertificateError:
        findings.append(problem("reach", f"the certificate of {parts.hostname} is not accepted", "renew it"))
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        findings.append(
            problem(
                "reach",
                f"{parts.hostname} does not answer ({type(error).__name__})",
                "check its DNS entry, the firewall and the proxy",
            )
        )
    return findings


async def _ask(session: aiohttp.ClientSession, url: str) -> Finding:
    """Whether GraphQL answers without a token, as it does behind a proxy that leaves no trace of itself."""
    async with session.post(url, json={"query": "{ __typename }"}) as answer:
        if answer.status == 200:
            return problem(
                "graphql",
                f"{url} answers whoever asks, with everything",
                "set RECOUNT_API_TOKENS, or keep the proxy from passing /graphql on",
            )
        return fine("graphql", f"{url} answers nobody without a token ({answer.status})")


def _plain(url: str) -> str:
    """The address without its query, which holds the key."""
    return urlunsplit(urlsplit(url)._replace(query="", fragment=""))


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=HTTP_SECONDS_MAX))
