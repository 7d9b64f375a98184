"""What a search finds: words as they are written, in whatever script, in an item and its comments as one."""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncIterator
from typing import Literal

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projections.declare import declare
from tests.given.asking import Board, a_board, a_pool, body, new_database, post

TITLES = {
    1: "Café near the Straße",
    2: unicodedata.normalize("NFD", "Crème brûlée for Zoë"),
    3: "全文検索を追加してください",
    4: "Single-sign-on for teams",
    5: "ค้นหาข้อความ",
    6: "Export to example.com/files, in <b>bold</b> steps",
    7: "Łódź, smørrebrød and Ελλάδα",
    8: "한국어로 검색하기",
    9: "Sign the form; go on",
    10: "Wide ＡＢＣ and ﬁne print",
}
MOMENTS = ("", ', asOf: {time: "2026-06-01T00:00:00Z"}')


@pytest.fixture(scope="module")
async def board(server_url: str, template: str) -> AsyncIterator[Board]:
    async with new_database(server_url, template) as url, a_pool(url) as pool, a_board(pool) as board:
        await board.tell(
            *(body("item.create", "2026-05-01 10:00", post(n, title=text)) for n, text in TITLES.items()),
            body("comment.create", "2026-05-02 10:00", remark(1, 4, "Our provider speaks SAML")),
            body("comment.create", "2026-05-02 10:00", remark(2, 4, "Cheap, please")),
            body("comment.create", "2026-05-02 10:00", remark(3, 6, "A secret that was taken back")),
            body("comment.delete", "2026-05-03 10:00", remark(3, 6, "A secret that was taken back")),
        )
        yield board


def remark(number: int, item: int, text: str) -> dict[str, object]:
    return {"comment_id": number, "feedback_item": {"feedback_id": item}, "comment": text}


async def found(board: Board, words: str, moment: str = "") -> list[int]:
    asked = f"items(filter: {{search: $words}}{moment})"
    answer = await board.ask(
        f"query ($words: String!) {{ {asked} {{ nodes {{ sleekplanId }} }} }}", words=words
    )
    return sorted(int(item["sleekplanId"]) for item in answer["items"]["nodes"])


@pytest.mark.parametrize("moment", MOMENTS, ids=["now", "then"])
@pytest.mark.parametrize(
    ("words", "items"),
    [
        ("cafe", [1]),
        ("CAFÉ", [1]),
        (unicodedata.normalize("NFD", "café"), [1]),
        ("strasse", [1]),
        ("brulee", [2]),
        ("crème zoe", [2]),
        ("検索", [3]),
        ("追加して", [3]),
        ("索検", []),
        ("全文 追加", [3]),
        ("sign-on", [4]),
        ("sign on", [4, 9]),
        ('"sign on"', [4]),
        ("“sign on”", [4]),
        ("single-sign-on", [4]),
        ("sign -single", [9]),
        ("ข้อความ", [5]),
        ("example.com", [6]),
        ('"in bold steps"', [6]),
        ("lodz", [7]),
        ("smorrebrod", [7]),
        ("검색", [8]),
        ("abc fine", [10]),
        ("saml", [4]),
        ("single saml", [4]),
        ("teams cheap saml", [4]),
        ("sign -saml", [9]),
        ('sign -"speaks saml"', [9]),
        ("-sign", [1, 2, 3, 5, 6, 7, 8, 10]),
        ("cafe or saml", [1, 4]),
        ("cafe or sign -single", [1, 9]),
        ("cafe OR -sign", [1, 2, 3, 5, 6, 7, 8, 10]),
        ("secret", []),
        ("export -secret", [6]),
        ("or", []),
        ("-", []),
        ("!&|()", []),
        ('"', []),
        ("", []),
        ("sign !", [4, 9]),
    ],
)
async def test_a_search_finds(board: Board, words: str, items: list[int], moment: str) -> None:
    assert await found(board, words, moment) == items


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30))
async def test_whatever_is_looked_for_has_one_answer_now_and_then(board: Board, words: str) -> None:
    assert await found(board, words) == await found(board, words, MOMENTS[1])


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), title=st.sampled_from(sorted(TITLES.items())))
async def test_a_title_is_found_by_itself_in_any_form_and_by_any_part_of_what_has_no_spaces(
    board: Board, data: st.DataObject, title: tuple[int, str]
) -> None:
    number, text = title
    form: Literal["NFC", "NFD", "NFKC", "NFKD"] = data.draw(st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
    assert number in await found(board, unicodedata.normalize(form, text).replace("-", " "))
    if number == 3:
        start = data.draw(st.integers(0, len(text) - 1))
        assert await found(board, text[start : data.draw(st.integers(start + 1, len(text)))]) == [number]


async def test_a_search_goes_on_while_another_version_declares_its_functions(pool: asyncpg.Pool) -> None:
    async with a_board(pool) as board:
        await board.tell(body("item.create", "2026-05-01 10:00", post(1, title="Café")))
        await pool.execute("update read_model.declared set fingerprint = 'of another version'")

        async with pool.acquire() as connection:
            await declare(connection)

        assert await found(board, "cafe") == [1]
        await board.tell(body("item.update", "2026-05-02 10:00", post(1, title="Crème")))
        assert (await found(board, "cafe"), await found(board, "creme")) == ([], [1])
