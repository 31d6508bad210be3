"""A model card's tables in Markdown, from a manifest's JSON."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stence.domain.targets import DECISIVE
from stence.models import TARGET_NAMES, Threshold
from stence.registry.manifest import Manifest, TrainingData

Json = Mapping[str, Any]

RANKING = {
    "prevalence": "prevalence",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "brier": "Brier score",
    "calibration_error": "expected calibration error",
    "calibration_slope": "slope",
    "calibration_intercept": "intercept",
}
DECISIONS = {
    "sensitivity": "recall (sensitivity)",
    "specificity": "specificity",
    "positive_predictive_value": "precision (PPV)",
    "f1": "F1",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "kappa": "Cohen's kappa",
    "alerts_per_1000": "alerts per 1,000 ECGs",
}
SUBGROUP = ("prevalence", "auroc", "calibration_error", "sensitivity", "specificity", "alerts_per_1000")
COUNTS = ("ecgs", "patients", "cases")


def summary(manifest: Manifest) -> str:
    """The first things to know."""
    decisive, threshold = manifest.metrics.get(DECISIVE, {}), manifest.thresholds[DECISIVE]
    judged = manifest.gate
    verdict = "not judged" if judged is None else "passed" if judged["passed"] else "failed"
    rows = {
        f"AUROC {DECISIVE}": figure(decisive, "auroc"),
        "test patients": decisive.get("patients", "–"),
        "flagged from a probability of": f"{threshold.value:g}",
        "alerts per 1,000 ECGs": figure(decisive, "alerts_per_1000"),
        "gate": verdict,
    }
    return _rows(rows.items())


def splits(data: TrainingData) -> str:
    """ECGs and patients by split."""
    return _rows((split, count, data.patients[split]) for split, count in data.ecgs.items())


def stages(histories: Mapping[str, Json]) -> str:
    """How each stage went."""
    if not histories:
        return "No courses were recorded."
    head = ("stage", "epochs", "steps", "best epoch", "its validation AUROC", "last training loss")
    return _table(
        head,
        (
            (
                name,
                history["epochs"],
                history["steps"],
                history["best_epoch"],
                f"{history['best_validation_auroc']:.3f}",
                f"{history['training_losses'][-1]:.4f}",
            )
            for name, history in histories.items()
        ),
    )


def weights(origins: Mapping[str, str]) -> str:
    """Where each network's first weights come from, with their licence."""
    return _rows(origins.items() or [("random weights", "")])


def ranking(measured: Json) -> str:
    """Figures that need no threshold."""
    return _figures(_questions(measured), ("question", *COUNTS), RANKING)


def decisions(measured: Json) -> str:
    """Figures at the threshold."""
    return _figures(_questions(measured), ("question",), DECISIONS)


def subgroups(predicted: Json) -> str:
    """One question's figures in each subgroup."""
    names = RANKING | DECISIONS
    found = predicted.get("subgroups", {})
    if not found:
        return "No ECG of the test patients names sex or age."
    return _figures(found, ("subgroup", *COUNTS), {name: names[name] for name in SUBGROUP})


def retrieval(found: Json | None) -> str:
    """How often an ECG finds its own angiogram."""
    if found is None:
        return "Not measured: it was trained without angiograms."
    head = ("", *(f"recall@{k}" for k in found["recall"]), "median rank")
    table = _table(
        head, (_found(name, of) for name, of in (("this model", found), ("chance", found["chance"])))
    )
    return (
        f"{found['ecgs']} ECGs of test patients, each looking for its own study among {found['angiograms']} "
        f"by their nearness in the shared space:\n\n{table}"
    )


def teacher(found: Json | None) -> str:
    """The teacher's AUROC for each of its targets."""
    if found is None:
        return "Not measured: there was none."
    areas = ((name, "–" if area is None else f"{area:.3f}") for name, area in found["auroc"].items())
    return _table((f"target ({found['studies']} studies)", "AUROC"), areas)


def gate(verdict: Json | None) -> str:
    """Each check of the gate, and whom it was held against."""
    if verdict is None:
        return "It was not judged by the gate."
    champion = plain(verdict.get("champion") or "no champion")
    marks = {True: "passed", False: "**failed**"}
    rows = ((check["name"], marks[check["passed"]], check["finding"]) for check in verdict["checks"])
    return f"It {marks[verdict['passed']]}, held against {champion}.\n\n" + _table(
        ("check", "verdict", "finding"), rows
    )


def thresholds(chosen: Mapping[str, Threshold]) -> str:
    """Where each target is flagged, and why."""
    return _rows((name, f"{each.value:g}", each.rule) for name, each in chosen.items())


def origin(manifest: Manifest) -> str:
    """Where the model comes from, to the byte."""
    code = manifest.code
    rows = {
        "encoder": manifest.architecture.encoder,
        "preprocessing": f"{manifest.preprocessing.version}, {manifest.preprocessing.windows} windows an ECG",
        "data fingerprint": manifest.training_data.fingerprint,
        "seed": manifest.training_config.get("seed", "–"),
        "device": manifest.training_run.get("device", "–"),
        "stence": f"{code.stence}, commit {code.git_commit or 'unknown'}",
        "libraries": ", ".join(f"{name} {version}" for name, version in code.libraries.items()) or "–",
        **{f"SHA-256 of {name}": sha256 for name, sha256 in manifest.files.items()},
    }
    return _rows(rows.items())


def listed(values: Mapping[str, Any]) -> str:
    """``a 1, b 2``, or ``nothing``."""
    return ", ".join(f"{plain(name)} {plain(value)}" for name, value in sorted(values.items())) or "nothing"


def figure(measured: Json, name: str) -> str:
    """A figure and its interval: ``0.692 (0.610 to 0.760)``."""
    found = measured.get(name)
    if not found or found["value"] is None:
        return "–"
    digits = 0 if name == "alerts_per_1000" else 3
    return f"{found['value']:.{digits}f} ({found['lower']:.{digits}f} to {found['upper']:.{digits}f})"


def plain(value: object) -> str:
    """Text that is neither Markdown's table nor HTML."""
    return html.escape(str(value), quote=False).replace("|", "&#124;")


def _questions(measured: Json) -> dict[str, Json]:
    """The targets, then the grey zones."""
    zones = [name for name in measured if name.startswith("grey_zone_")]
    return {name: measured[name] for name in (*TARGET_NAMES, *zones) if name in measured}


def _figures(of: Mapping[str, Json], counts: Sequence[str], names: Mapping[str, str]) -> str:
    rows = (
        (
            name,
            *(measured.get(count, "–") for count in counts[1:]),
            *(figure(measured, each) for each in names),
        )
        for name, measured in of.items()
    )
    return _table((*counts, *names.values()), rows)


def _found(name: str, of: Json) -> tuple[object, ...]:
    return (name, *(f"{share:.3f}" for share in of["recall"].values()), f"{of['median_rank']:g}")


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    return "\n".join([_row(head), "|" + "---|" * len(head), _rows(rows)])


def _rows(rows: Iterable[Sequence[object]]) -> str:
    return "\n".join(map(_row, rows))


def _row(cells: Sequence[object]) -> str:
    marked = (str(cell) if str(cell).startswith("**") else plain(cell) for cell in cells)
    return f"| {' | '.join(marked)} |"
