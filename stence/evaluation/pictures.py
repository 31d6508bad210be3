"""Plots of a model card as PNG: curves of its metrics, training histories, attention over frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.evaluation import curves
from stence.evaluation.metrics import BinaryPredictions
from stence.page import MODEL, OTHER, REFERENCE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INCHES = (4.6, 3.8)
DOTS_PER_INCH = 110
DECISION_THRESHOLDS = np.linspace(0.01, 0.8, 80)


def pictures(predicted: BinaryPredictions) -> dict[str, bytes]:
    """Plot ROC, precision-recall, calibration and decision curve, by file name.

    The result is empty without cases or without controls.
    """
    if len(np.unique(predicted.label)) < 2:
        return {}
    return {
        "roc.png": _curve(
            curves.roc(predicted), "1 - specificity", "sensitivity", reference=([0, 1], [0, 1])
        ),
        "precision_recall.png": _curve(
            curves.precision_recall(predicted),
            "recall",
            "precision",
            reference=([0, 1], [_prevalence(predicted)] * 2),
        ),
        "calibration.png": _calibration(predicted),
        "decision_curve.png": _decision_curve(predicted),
    }


def histories(stages: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Plot training loss and validation AUROC of each stage over its epochs, with the best epoch marked.

    ``stages`` are one or more training histories of the manifest, see
    ``stence.fitting.loop.TrainingHistory``.
    """
    figure = _figure(len(stages))
    for number, (name, history) in enumerate(stages.items(), start=1):
        losses = figure.add_subplot(2, len(stages), number, title=name, ylabel="training loss")
        losses.plot(range(1, history["epochs"] + 1), history["training_losses"], color=MODEL)
        judged = figure.add_subplot(
            2, len(stages), len(stages) + number, sharex=losses, xlabel="epoch", ylabel="validation AUROC"
        )
        judged.plot(history["judged_epochs"], history["validation_aurocs"], ".-", color=OTHER)
        for axes in (losses, judged):
            axes.axvline(history["best_epoch"], color=REFERENCE, linestyle=":")
            axes.spines[["top", "right"]].set_visible(False)
    return png(figure)


class Overlay(NamedTuple):
    """A ``frame`` (n, n) in 0..1, and the ``heat`` (n, n) in 0..1 to be drawn over it."""

    title: str
    frame: NDArray[np.float32]
    heat: NDArray[np.float32]


def overlays(drawn: Sequence[Overlay]) -> bytes:
    """Draw frames in a row, and below each the same frame with its heat."""
    figure = _figure(len(drawn))
    figure.set_size_inches(INCHES[1] / 2 * len(drawn), INCHES[1] + 0.3)
    for number, (title, frame, heat) in enumerate(drawn, start=1):
        for row in (0, 1):
            axes = figure.add_subplot(2, len(drawn), row * len(drawn) + number)
            axes.imshow(frame, cmap="gray", vmin=0, vmax=1)
            if row:
                axes.imshow(heat, cmap="inferno", alpha=0.9 * np.sqrt(heat), vmin=0, vmax=1)
            else:
                axes.set_title(title, fontsize=9)
            axes.set_axis_off()
    return png(figure)


def _curve(
    curve: curves.Curve, x_label: str, y_label: str, reference: tuple[list[float], list[float]]
) -> bytes:
    figure = _figure()
    axes = _axes(figure, x_label, y_label)
    axes.plot(*reference, color=REFERENCE, linestyle=":")
    axes.plot(curve.x, curve.y, color=MODEL)
    axes.plot(*curve.chosen, "o", color=OTHER, label="at the threshold")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.legend(frameon=False)
    return png(figure)


def _calibration(predicted: BinaryPredictions) -> bytes:
    found = curves.calibration(predicted)
    figure = _figure()
    axes = _axes(figure, "predicted probability", "share of cases")
    axes.plot([0, 1], [0, 1], color=REFERENCE, linestyle=":")
    axes.plot([each.predicted for each in found], [each.observed for each in found], "o-", color=MODEL)
    for each in found:
        axes.annotate(
            f"{each.ecgs}", (each.predicted, each.observed), (0, 6), textcoords="offset points", fontsize=8
        )
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.08), aspect="equal")
    axes.set_title("number of ECGs at each point", fontsize=9)
    return png(figure)


def _decision_curve(predicted: BinaryPredictions) -> bytes:
    by_model, by_all = curves.net_benefit(predicted, DECISION_THRESHOLDS)
    figure = _figure()
    axes = _axes(figure, "threshold probability", "net benefit per patient")
    axes.axhline(0, color=REFERENCE, label="flag nobody")
    axes.plot(DECISION_THRESHOLDS, by_all, color=REFERENCE, linestyle=":", label="flag everybody")
    axes.plot(DECISION_THRESHOLDS, by_model, color=MODEL, label="flag by the model")
    axes.axvline(predicted.threshold, color=OTHER, linewidth=1, label="the threshold")
    top = _prevalence(predicted)
    axes.set(xlim=(0, DECISION_THRESHOLDS[-1]), ylim=(-0.15 * top, 1.1 * top))
    axes.legend(frameon=False, fontsize=8)
    return png(figure)


def _prevalence(predicted: BinaryPredictions) -> float:
    """Return the share of cases by weight, which is the precision of random flags."""
    return float(np.average(predicted.label, weights=predicted.weights))


def _figure(width: int = 1) -> Figure:
    # The import takes seconds and is needed only after a training. pyplot has global state, so avoid it.
    from matplotlib.figure import Figure  # noqa: PLC0415

    return Figure((INCHES[0] * width, INCHES[1]), DOTS_PER_INCH, layout="constrained")


def _axes(figure: Figure, x_label: str, y_label: str) -> Axes:
    axes = figure.add_subplot(xlabel=x_label, ylabel=y_label)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def png(figure: Figure) -> bytes:
    """Return the figure as PNG bytes, the same bytes every time."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
