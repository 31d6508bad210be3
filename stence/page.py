"""HTML pages that stand alone: styles and images are inside, they load nothing and run no script."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

MODEL, OTHER, REFERENCE = "#1f5fa8", "#c4572e", "#8a8a8a"
"""Chart colours: the model, a comparison, and the ideal."""
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 64em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; display: block; overflow-x: auto }
th, td { border-bottom: 1px solid #ddd; padding: .25em .6em; text-align: left; vertical-align: top }
img { max-width: 100% } code { overflow-wrap: anywhere }
"""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""Content security policy: the browser loads nothing. Images are part of the page."""


def page(title: str, body: str, style: str = "") -> str:
    """A page around ``body``, which is HTML. ``title`` is text; ``style`` is added after ``STYLE``."""
    template = templates(Path(__file__).parent).get_template("page.html.j2")
    return template.render(policy=POLICY, title=title, style=STYLE + style, body=body)


def templates(folder: Path) -> Environment:
    """The Jinja2 templates of a folder. They escape every value; a name without a value raises."""
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
