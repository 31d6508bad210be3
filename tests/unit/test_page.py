"""HTML pages: texts are escaped, a template with an unknown name raises, and nothing may be loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from stence.page import page, templates


def test_a_title_is_escaped_and_a_body_is_not() -> None:
    content = page("<b>5 % & more", "<p>text</p>", "p { color: red }")
    assert "<title>&lt;b&gt;5 % &amp; more</title>" in content
    assert "<p>text</p>" in content
    assert "p { color: red }" in content
    assert "default-src 'none'" in content


def test_values_are_escaped(tmp_path: Path) -> None:
    (tmp_path / "part.j2").write_text('<td class="{{ kind }}">{{ text }}</td>')
    rendered = templates(tmp_path).get_template("part.j2").render(kind='"x"', text="<script>")
    assert rendered == '<td class="&#34;x&#34;">&lt;script&gt;</td>'


def test_a_name_without_a_value_raises(tmp_path: Path) -> None:
    (tmp_path / "part.j2").write_text("{{ unknown }}")
    with pytest.raises(UndefinedError, match="unknown"):
        templates(tmp_path).get_template("part.j2").render()
