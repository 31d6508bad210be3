"""Picture of a study: AUROC of the arms by share of labels, with gains, for each encoder and endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from stence.evaluation.pictures import DOTS_PER_INCH, png
from stence.page import MODEL, OTHER, REFERENCE
from stence.study.config import Arm
from stence.study.statistics import Row
from stence.study.table import endpoint

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL_INCHES = (2.8, 2.2)
COLOURS = {Arm.SCRATCH: REFERENCE, Arm.PUBLISHED: OTHER, Arm.STENCE: MODEL}
MARKS = {Arm.CLIP_ONLY: "^", Arm.PERMUTED_PAIRS: "x", Arm.STENOSIS_ONLY: "s", Arm.DISTILLATION: "D"}
"""Of the ablations, which have StenCE's colour, paler."""
BREADTH = 0.5
"""Width in which the arms of a row stand side by side."""


def draw(rows: Sequence[Row]) -> bytes:
    """Draw a PNG with one column of panels per encoder and one row per endpoint."""
    from matplotlib.figure import Figure  # noqa: PLC0415 (seconds to import)

    encoders, tasks = list(dict.fromkeys(r.encoder for r in rows)), list(dict.fromkeys(r.task for r in rows))
    size = (PANEL_INCHES[0] * len(encoders) + 0.6, PANEL_INCHES[1] * len(tasks) + 0.6)
    figure = Figure(size, DOTS_PER_INCH, layout="constrained")
    panels = figure.subplots(len(tasks), len(encoders), sharey=True, squeeze=False)
    for down, task in enumerate(tasks):
        for across, encoder in enumerate(encoders):
            panel = panels[down, across]
            _panel(panel, [row for row in rows if (row.encoder, row.task) == (encoder, task)])
            panel.set_title(f"{encoder}, {endpoint(task)}", fontsize=8)
            if down == len(tasks) - 1:
                panel.set_xlabel("labels")
            if across == 0:
                panel.set_ylabel("AUROC (95 %)")
    handles = {
        handle.get_label(): handle for axes in panels.flat for handle in axes.get_legend_handles_labels()[0]
    }
    if handles:
        figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=4, frameon=False)
    return png(figure)


def _panel(axes: Axes, rows: Sequence[Row]) -> None:
    axes.axhline(0.5, color=REFERENCE, linestyle=":", linewidth=1)
    arms = [arm for arm in Arm if any(arm in row.aurocs for row in rows)]
    beside = dict(zip(arms, np.linspace(-BREADTH / 2, BREADTH / 2, len(arms)), strict=True))
    for arm in arms:
        for place, row in enumerate(rows):
            found = row.aurocs.get(arm)
            if found is None or found.value is None or found.lower is None or found.upper is None:
                continue
            spread = [[found.value - found.lower], [found.upper - found.value]]
            axes.errorbar(
                place + beside[arm],
                found.value,
                spread,
                fmt=MARKS.get(arm, "o"),
                color=COLOURS.get(arm, MODEL),
                alpha=0.5 if arm in MARKS else 1,
                label=arm,
                markersize=4,
            )
    axes.set_xticks(range(len(rows)), [_share(row) for row in rows])
    axes.set_xlim(-0.5, len(rows) - 0.5)
    axes.spines[["top", "right"]].set_visible(False)


def _share(row: Row) -> str:
    """Label a row's place by its share of labels, and by a gain or loss that holds after Holm."""
    verdict = row.gain.verdict
    told = f"\n{verdict} over {row.gain.contrast.old}" if verdict in ("gain", "loss") else ""
    return f"{row.fraction:.4g}{told}"
