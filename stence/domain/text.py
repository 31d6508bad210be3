"""Clean free text from files for tables, logs and terminals."""

from __future__ import annotations

MAX_WORDS_CHARACTERS = 200


def plain_text(text: str, limit: int = MAX_WORDS_CHARACTERS) -> str | None:
    """Return printable text in one line of at most ``limit`` characters; None if nothing is left.

    Control and escape characters are removed, and NUL, which Postgres refuses.

    >>> plain_text("ward\\t3\\nbed 2\\0")
    'ward 3 bed 2'
    """
    line = " ".join(text[: 8 * limit].split())
    return "".join(filter(str.isprintable, line))[:limit].strip() or None
