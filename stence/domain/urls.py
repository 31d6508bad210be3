"""Remove secrets from URLs before they are shown."""

from __future__ import annotations

MASK = "***"


def without_secrets(url: str) -> str:
    """Return ``url`` without possible secrets: user, password, and the values of a query.

    This also works if the password has an unescaped ``@`` or slash.

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
