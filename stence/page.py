"""HTML pages that stand alone: style and pictures inside, nothing loaded from anywhere, no script."""

from __future__ import annotations

import html

MODEL, OTHER, REFERENCE = "#1f5fa8", "#c4572e", "#8a8a8a"
"""Colours of pictures: what it is about, what is held against it, and what would be perfect."""
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 64em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; display: block; overflow-x: auto }
th, td { border-bottom: 1px solid #ddd; padding: .25em .6em; text-align: left; vertical-align: top }
img { max-width: 100% } code { overflow-wrap: anywhere }
"""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""The page may load nothing: its pictures are in it."""
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def page(title: str, body: str, style: str = "") -> str:
    """A page of ``body``, which is HTML; ``title`` is text, and ``style`` comes after the usual one."""
    return PAGE.format(policy=POLICY, title=html.escape(title), style=STYLE + style, body=body)
