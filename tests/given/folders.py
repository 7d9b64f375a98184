"""Where the checkout and what the tests share lie."""

from __future__ import annotations

from pathlib import Path
from typing import Final

GIVEN: Final = Path(__file__).parent
ROOT: Final = GIVEN.parent.parent
PAYLOADS: Final = GIVEN / "payloads"
"""One body an action, as Sleekplan sends it."""
QUESTIONS: Final = GIVEN / "questions"
"""The documents of the questions that the log should answer."""
