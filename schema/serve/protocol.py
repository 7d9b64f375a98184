"""Has the words of graphql-transport-ws: its messages, why a socket is closed, and frames."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

import orjson

PROTOCOL: Final = "graphql-transport-ws"


class Close(IntEnum):
    """Why a socket is closed, as the protocol numbers it."""

    GOING_AWAY = 1001
    TRY_AGAIN_LATER = 1013
    BAD_REQUEST = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    INIT_TIMEOUT = 4408
    SUBSCRIBER_EXISTS = 4409
    TOO_MANY_INIT = 4429
    STALLED = 4504


class Violation(Exception):
    """A client broke the protocol; the socket is closed with this code and reason."""

    def __init__(self, code: Close, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(reason)


def message_of(text: str) -> dict[str, Any]:
    """Return the message in a frame; raises Violation for what is none."""
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Violation(Close.BAD_REQUEST, "Invalid message: not JSON") from None
    if not isinstance(message, dict):
        raise Violation(Close.BAD_REQUEST, "Invalid message: not an object")
    return message


def payload_of(message: dict[str, Any]) -> dict[str, Any] | None:
    """Return the payload of a message; raises Violation for what is no object."""
    payload = message.get("payload")
    if payload is not None and not isinstance(payload, dict):
        raise Violation(Close.BAD_REQUEST, f"Invalid message: the payload of {message['type']} is no object")
    return payload


def id_of(message: dict[str, Any]) -> str:
    """Return the id of a message's operation; raises Violation where it has none."""
    operation_id = message.get("id")
    if not isinstance(operation_id, str) or not operation_id or len(operation_id) > 100:
        raise Violation(Close.BAD_REQUEST, f"Invalid message: {message['type']} without an id")
    return operation_id


def text_frame(payload: bytes) -> bytes:
    """Return an unmasked text frame, as a server sends it."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


def closing_words(text: str) -> bytes:
    """Return a reason that fits a close frame, which takes 123 bytes."""
    return text.encode()[:123].decode(errors="ignore").encode()
