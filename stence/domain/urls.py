"""URLs as they may be shown."""

from __future__ import annotations

MASK = "***"


def without_secrets(url: str) -> str:
    """``url`` without what may be a secret in it: user and password, and the values of a query.

    Also where the password holds an ``@`` or a slash that should have been escaped.

    >>> without_secrets("https://user:password@s3.example.org/")
    'https://***@s3.example.org/'
    """
    scheme, mark, rest = url.partition("://") if "://" in url else ("", "", url)
    authority = rest.partition("/")[0]
    port = authority.partition(":")[2]
    if "@" in authority or ("@" in rest and port and not port.isdigit()):
        rest = f"{MASK}@{rest.rpartition('@')[2]}"
    before, query, _ = rest.partition("?")
    return scheme + mark + (before + query + MASK if query else rest)
