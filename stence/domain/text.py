"""Words that anybody may have typed, made fit for a table, a log and a terminal."""

from __future__ import annotations

MAX_WORDS_CHARACTERS = 200


def plain_text(text: str, limit: int = MAX_WORDS_CHARACTERS) -> str | None:
    """Printable words in one line of at most ``limit`` characters; None if nothing is left.

    No control or escape character passes, nor NUL, which Postgres refuses.
    """
    line = " ".join(text[: 8 * limit].split())
    return "".join(filter(str.isprintable, line))[:limit].strip() or None
