"""How the generated client speaks HTTP: by aiohttp, which Recount itself uses. Copied into board_client/."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import aiohttp

from .base_model import UnsetType


class Refused(Exception):
    """The service answered with errors; `codes` are for programs."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        self.codes = [error.get("extensions", {}).get("code") for error in errors]
        super().__init__("; ".join(error["message"] for error in errors))


class AioHttpClient:
    """One session to one endpoint; `token` as RECOUNT_API_TOKENS has it, none on loopback."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(headers=self._headers)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def execute(
        self,
        query: str,
        operation_name: str | None = None,
        variables: dict[str, Any] | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        """Send an operation and return the whole response."""
        assert self._session is not None, "use it in `async with`"
        given = {name: value for name, value in (variables or {}).items() if not isinstance(value, UnsetType)}
        body = {"query": query, "operationName": operation_name, "variables": given}
        async with self._session.post(self._url, json=body) as response:
            answer: dict[str, Any] = await response.json(content_type=None)
            return answer

    def get_data(self, response: dict[str, Any]) -> dict[str, Any]:
        """Return the data of a response; raises Refused."""
        if response.get("errors"):
            raise Refused(response["errors"])
        data: dict[str, Any] = response["data"]
        return data
