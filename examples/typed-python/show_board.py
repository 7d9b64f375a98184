"""Prints the board as it was at a moment: python show_board.py http://127.0.0.1:8080/graphql [moment]."""

from __future__ import annotations

import asyncio
import os
import sys

from board_client import Client


async def main(url: str, moment: str | None = None) -> None:
    async with Client(url, os.environ.get("RECOUNT_TOKEN")) as client:
        board = await client.board(moment=moment)
    for item in board.items.nodes:
        net = item.votes.net if item.votes else None
        status = item.status.label or item.status.key if item.status else None
        print(net if net is not None else "?", status or "?", item.title or "?", sep="\t")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
