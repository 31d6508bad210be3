"""Build a model card from a manifest: Markdown from the template ``card.md``, and one HTML page."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from string import Template

from markdown import markdown

from stence.domain.targets import DECISIVE
from stence.page import page
from stence.registry import Manifest
from stence.training.model_card import tables
from stence.training.model_card.certainty import certainty
from stence.training.model_card.tables import plain

TEMPLATE = Path(__file__).with_name("card.md")
COURSES = "courses.png"
ATTENTION = "attention.png"


ATTENDED = (
    "Where the teacher looks: frames of test studies with stenosis (above), and the attention of the "
    "segment that\nit finds most probably stenotic, with its uncalibrated probability (below). The frames "
    "are coarse on purpose."
)
WITHHELD = (
    "frames are not shown here: their files do not state that no text is burned into them "
    "(BurnedInAnnotation, 0028,0301, is not NO)."
)


def model_card(manifest: Manifest, pictures: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files ``card.md`` and ``card.html``, and the pictures (PNG, by file name) of ``card.md``.

    ``courses.png`` belongs to the training section, ``attention.png`` to the teacher, the others to the
    metrics of the decisive target.
    """
    text = _text(manifest, pictures)
    return {"card.md": text.encode(), "card.html": _page(manifest, text, pictures).encode(), **pictures}


def _text(manifest: Manifest, pictures: Mapping[str, bytes]) -> str:
    measured, run = manifest.metrics, manifest.training_run
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        version=plain(manifest.model_version),
        created_at=f"{manifest.created_at:%Y-%m-%d %H:%M} UTC",
        summary=tables.summary(manifest),
        splits=tables.splits(manifest.training_data),
        left_out=tables.listed(manifest.training_data.left_out),
        stages=tables.stages(run.get("stages", {})),
        courses=_image(COURSES) if COURSES in pictures else "",
        weights=tables.weights(run.get("weights", {})),
        ranking=tables.ranking(measured),
        selection=tables.selection(measured.get(DECISIVE, {})),
        decisions=tables.decisions(measured),
        calibrated=tables.calibrated(run),
        screened=tables.screened(measured.get("screened")),
        certainty=certainty(measured.get("certainty")),
        decisive=DECISIVE,
        pictures="\n".join(_image(name) for name in pictures if name not in (COURSES, ATTENTION)),
        ablation=tables.ablation(measured.get("ablation")),
        pretest=tables.pretest(measured.get("pretest")),
        subgroups=tables.subgroups(measured.get(DECISIVE, {})),
        retrieval=tables.retrieval(measured.get("retrieval")),
        similar=tables.similar(measured.get("shared_space")),
        seeds=tables.seeds(measured.get("seeds")),
        teacher=tables.teacher(measured.get("teacher")),
        attention=_attention(run.get("withheld_frames", 0), ATTENTION in pictures),
        gate=tables.gate(manifest.gate),
        the_list=tables.the_list(manifest),
        thresholds=tables.thresholds(manifest.thresholds),
        origin=tables.origin(manifest),
    )


def _attention(withheld: int, has_picture: bool) -> str:
    """Return the picture of the teacher's attention, and how many frames are missing from it."""
    paragraphs = [ATTENDED, _image(ATTENTION)] if has_picture else []
    return "\n\n".join([*paragraphs, f"{withheld} {WITHHELD}"] if withheld else paragraphs)


def _image(name: str) -> str:
    return f"![{name.removesuffix('.png').replace('_', ' ')}]({name})"


def _page(manifest: Manifest, text: str, pictures: Mapping[str, bytes]) -> str:
    """Render the Markdown as HTML with every picture embedded."""
    body = markdown(text, extensions=["tables"])
    for name, content in pictures.items():
        inside = f'src="data:image/png;base64,{base64.b64encode(content).decode()}"'
        body = re.sub(f'src="{re.escape(name)}"', inside, body)
    return page(manifest.model_version, body)
