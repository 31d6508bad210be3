"""Clean free text from files for tables, logs and terminals."""

from __future__ import annotations

import re

_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Characters that start a formula in a spreadsheet; the last four are the full-width forms."""
_PLAIN_NUMBER = re.compile(r"[-+]?[0-9]{1,40}(\.[0-9]{1,40})?(e[-+]?[0-9]{1,3})?", re.IGNORECASE)
MAX_WORDS_CHARACTERS = 200


def plain_text(text: str, limit: int = MAX_WORDS_CHARACTERS) -> str | None:
    """Return printable text in one line of at most ``limit`` characters; None if nothing is left.

    Control and escape characters are removed, and NUL, which Postgres refuses.

    >>> plain_text("ward\\t3\\nbed 2\\0")
    'ward 3 bed 2'
    """
    line = " ".join(text[: 8 * limit].split())
    return "".join(filter(str.isprintable, line))[:limit].strip() or None


def quoted_formula(text: str) -> str:
    """Return text for a CSV file; what a spreadsheet would compute gets a leading quote.

    >>> quoted_formula("=1+1"), quoted_formula("-1.5"), quoted_formula("ward 3")
    ("'=1+1", '-1.5', 'ward 3')
    """
    computed = text.lstrip().startswith(_FORMULA) and not _PLAIN_NUMBER.fullmatch(text)
    return f"'{text}" if computed else text
