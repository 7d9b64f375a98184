"""Posts every change of an item's status to a chat, and goes on where it stopped after being killed.

    CHAT_URL=https://chat.example.com/hooks/… python notify.py [http://127.0.0.1:8080/graphql]

`last-position` beside this file holds the last change that the chat has taken. A message may come twice
when it is killed between the two, and none is ever left out.
"""

import asyncio
import os
import sys
from pathlib import Path

import aiohttp
from gql import Client, gql
from gql.transport.websockets import WebsocketsTransport

PLACE = Path(__file__).with_name("last-position")
CHANGES = gql("""
  subscription StatusChanges($after: Position) {
    events(after: $after, filter: {types: [ITEM_STATUS_CHANGED], origins: [WEBHOOK]}) { position summary }
  }
""")


async def follow(url: str, chat_url: str) -> None:
    """Follow until the connection ends; what was handled by then is in the file."""
    transport = WebsocketsTransport(
        url.replace("http", "ws", 1), init_payload={"token": os.environ.get("TOKEN", "")}
    )
    async with aiohttp.ClientSession() as chat, Client(transport=transport) as recount:
        if not PLACE.exists():  # the first start begins now, and says so, in case it is killed at once
            found = await recount.execute(gql("{ projections { position } }"))
            PLACE.write_text(str(min(each["position"] for each in found["projections"])))
        after = int(PLACE.read_text())
        async for message in recount.subscribe(CHANGES, variable_values={"after": after}):
            event = message["events"]
            async with chat.post(chat_url, json={"text": event["summary"]}, raise_for_status=True):
                PLACE.write_text(str(event["position"]))


async def main(url: str = "http://127.0.0.1:8080/graphql") -> None:
    """Follow for ever."""
    while True:
        try:
            await follow(url, os.environ["CHAT_URL"])
        except Exception as error:  # the service or the chat is away: come again
            print(f"again in five seconds: {error}", file=sys.stderr)
        await asyncio.sleep(5)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
