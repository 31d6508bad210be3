"""Markdown tables of a model card, from a manifest's JSON."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from statistics import stdev
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
    "calibration_error": "calibration error",
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
    "alerts_per_1000": "alerts per 1,000 patients",
}
SCREENED = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "calibration_slope": "slope",
    "calibration_intercept": "intercept",
    "sensitivity": "recall (sensitivity)",
    "specificity": "specificity",
    "positive_predictive_value": "precision (PPV)",
    "alerts_per_1000": "alerts per 1,000 patients",
    "net_benefit": "net benefit",
}
SUBGROUP = ("prevalence", "auroc", "calibration_error", "sensitivity", "specificity", "alerts_per_1000")
COUNTS = ("ecgs", "patients", "cases")


def summary(manifest: Manifest) -> str:
    """Summary of the main target's metrics and the gate's verdict."""
    decisive, threshold = manifest.metrics.get(DECISIVE, {}), manifest.thresholds[manifest.decisive]
    judged = manifest.gate
    verdict = "not evaluated" if judged is None else judged["result"]
    rows = {
        f"AUROC {DECISIVE}": figure(decisive, "auroc"),
        "test patients": decisive.get("patients", "–"),
        "flagged from a probability of": f"{threshold.value:g} ({manifest.decisive})",
        "alerts per 1,000 patients": figure(decisive, "alerts_per_1000"),
        "gate": verdict,
    }
    return _rows(rows.items())


def splits(data: TrainingData) -> str:
    """Number of ECGs and patients by split."""
    return _rows((split, count, data.patients[split]) for split, count in data.ecgs.items())


def stages(histories: Mapping[str, Json]) -> str:
    """Training history of each stage."""
    if not histories:
        return "No training history was recorded."
    head = ("stage", "epochs", "steps", "best epoch", "best validation AUROC", "last training loss")
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


def the_list(manifest: Manifest) -> str:
    """Sentences on who is flagged, and how many patients that was promised to be."""
    promised = manifest.metrics.get("workload", {})
    sentences = [
        f"{manifest.decisive} alone raises flags; the other targets inform. A patient's newest ECG decides."
    ]
    if promised.get("flagged_per_1000_patients") is not None:
        estimate = figure(promised, "estimated_per_1000_patients")
        sentences.append(
            f"Promised: {promised['flagged_per_1000_patients']:g} flagged of 1,000 patients with an ECG, and "
            f"of 1,000 ECGs if each patient has one; on test patients {estimate}."
        )
    if promised.get("flagged_per_day") is not None:
        sentences.append(
            f"At {promised['patients_per_day']:.1f} patients with an ECG a day, as before this training, "
            f"that is {promised['flagged_per_day']:.1f} flagged patients a day. Those with known severe "
            "disease are among them, but not on the list."
        )
    return " ".join(sentences)


def weights(origins: Mapping[str, str]) -> str:
    """Origin and licence of each network's initial weights."""
    return _rows(origins.items() or [("random weights", "")])


def ranking(measured: Json) -> str:
    """Metrics that need no threshold."""
    return _figures(_questions(measured), ("target", *COUNTS), RANKING)


def decisions(measured: Json) -> str:
    """Metrics at the threshold."""
    return _figures(_questions(measured), ("target",), DECISIONS)


def subgroups(predicted: Json) -> str:
    """One target's metrics in each subgroup."""
    names = RANKING | DECISIONS
    found = predicted.get("subgroups", {})
    if not found:
        return "No ECG of the test patients states sex or age."
    return _figures(found, ("subgroup", *COUNTS), {name: names[name] for name in SUBGROUP})


def retrieval(found: Json | None) -> str:
    """Retrieval metrics: rank of an ECG's own angiogram."""
    if found is None:
        return "Not measured: the model was trained without angiograms."
    head = ("", *(f"recall@{k}" for k in found["recall"]), "median rank")
    table = _table(
        head, (_found(name, of) for name, of in (("this model", found), ("chance", found["chance"])))
    )
    return (
        f"Each of {found['ecgs']} ECGs of test patients ranks {found['angiograms']} studies by "
        f"their similarity in the shared space. The rank of its own study counts:\n\n{table}"
    )


def similar(found: Json | None) -> str:
    """What the training studies nearest to an ECG tell of its patient."""
    if found is None:
        return "Similar studies are not shown: the model shares no space with angiograms."
    measured = found["neighbours"]
    rows = (
        ("test ECGs with a stenosis of >= 70 %", figure(measured, "cases")),
        ("other test ECGs", figure(measured, "others")),
        ("difference", figure(measured, "difference")),
        ("a random choice", f"{measured['chance']:.3f}"),
    )
    table = _table((f"share of the {measured['count']} nearest training studies with >= 70 %", ""), rows)
    verdict = (
        "The difference is above what a random choice gives, so similar studies are shown beside an ECG."
        if measured["informative"]
        else "Cannot tell: the difference may be chance, so similar studies are not shown."
    )
    return f"{table}\n\n{verdict}"


def seeds(found: Mapping[str, Sequence[float]] | None) -> str:
    """Spread of the decisive target's AUROC over the seeds of the fine-tuning."""
    areas = (found or {}).get(DECISIVE, [])
    if len(areas) < 2:
        return "Fine-tuned with one seed: how much the metrics depend on the seed was not measured."
    listed = ", ".join(f"{area:.3f}" for area in areas)
    return (
        f"{len(areas)} fine-tunings that differ by their seed only; the first is this model. Their AUROC at "
        f"{DECISIVE}: {listed} (SD {stdev(areas):.3f})."
    )


def teacher(found: Json | None) -> str:
    """The teacher's AUROC for each of its targets."""
    if found is None:
        return "Not measured: the model has no teacher."
    areas = ((name, "–" if area is None else f"{area:.3f}") for name, area in found["auroc"].items())
    return _table((f"target ({found['studies']} studies)", "AUROC"), areas)


def calibrated(run: Json) -> str:
    """Which questions were too rare for a calibration of their own."""
    few = run.get("temperature_only")
    if few is None:
        return ""
    if not few:
        return "Every question had enough patients of either answer for a calibration of its own."
    return (
        f"Too few patients of either answer to calibrate {', '.join(few)} (asked among patients in whom the "
        "degree before holds): its logits share the temperature of the others, and nothing more."
    )


def screened(found: Json | None) -> str:
    """Estimates for everybody screened, or the reason why there are none."""
    if found is None or "cannot_tell" in found:
        reason = "it was not estimated" if found is None else plain(found["cannot_tell"])
        return f"Cannot tell: {reason}"
    prevalence = ", ".join(f"{name} {figure(found['prevalence'], name)}" for name in found["prevalence"])
    share = f"{found['share_referred']:.0%}"
    return (
        f"Estimated from {found['referred_patients']} referred patients who calibrate and "
        f"{found['unreferred_patients']} patients without a study; {share} of the people with an ECG were "
        f"referred. Share of everybody with the disease: {prevalence}.\n\n"
        + _figures(found["targets"], ("target", "patients"), SCREENED)
    )


def ablation(found: Json | None) -> str:
    """AUROC of the model and of its parts, and what the model gains over each, per patient."""
    if not found:
        return "Not measured."
    names = next(iter(found.values()))["others"]
    head = ("target", "this model", *(column for name in names for column in (name, "gain")))
    rows = (
        (
            target,
            figure(of, "model"),
            *(figure(of["others"][name], each) for name in names for each in ("auroc", "gain")),
        )
        for target, of in found.items()
    )
    return _table(head, rows)


def pretest(found: Json | None) -> str:
    """The published pre-test probability beside the model, on the patients for whom it is defined."""
    if found is None:
        return "Not measured."
    rows = (
        (
            name,
            figure(of, "auroc"),
            figure(of, "gain"),
            "–" if (mean := of["expected"]) is None else f"{mean:.3f}",
        )
        for name, of in found["models"].items()
    )
    return (
        f"Defined for {found['patients']} of {found['labelled']} test patients with a label, of whom "
        f"{found['with_symptoms']} have symptoms on file. Observed: {figure(found, 'observed')}.\n\n"
        + _table(("", "AUROC", "gain of this model", "expected"), rows)
    )


def gate(verdict: Json | None) -> str:
    """The gate's verdict, the champion's version, and the result of each check."""
    if verdict is None:
        return "The gate did not evaluate this model."
    champion = plain(verdict.get("champion") or "no champion")
    better = "shown to be better" if verdict["better"] else "not shown to be better"
    rows = ((check["name"], _mark(check["result"]), check["finding"]) for check in verdict["checks"])
    return f"Verdict: {_mark(verdict['result'])}, compared with {champion}; {better}.\n\n" + _table(
        ("check", "result", "finding"), rows
    )


def thresholds(chosen: Mapping[str, Threshold]) -> str:
    """Threshold of each target, and the rule that set it."""
    return _rows((name, f"{each.value:g}", each.rule) for name, each in chosen.items())


def origin(manifest: Manifest) -> str:
    """Origin of the model: code, data, seed, device and file hashes."""
    code = manifest.code
    rows = {
        "encoder": manifest.architecture.encoder,
        "clinical values": manifest.architecture.clinical,
        "preprocessing": f"{manifest.preprocessing.version}, {manifest.preprocessing.windows} windows an ECG",
        "data fingerprint": manifest.training_data.fingerprint,
        "seed": manifest.training_config.get("seed", "–"),
        "device": manifest.training_run.get("device", "–"),
        "stence": f"{code.stence}, commit {code.git_commit or 'unknown'}",
        "libraries": ", ".join(f"{name} {version}" for name, version in code.libraries.items()) or "–",
        **{f"SHA-256 of {name}": sha256 for name, sha256 in manifest.files.items()},
    }
    return _rows(rows.items())


def selection(measured: Json) -> str:
    """Explain the AUROC of a model that was compared with a champion."""
    before = figure(measured, "auroc_measured")
    if before == "–":
        return ""
    return (
        f"The AUROC of {DECISIVE} is corrected for selection: measured on the test patients it is {before}, "
        "which is partly luck if it is above the champion's, and the more so the more models were tried. It "
        "is shrunk toward the champion's, by the spread that retrainings have among each other."
    )


def listed(values: Mapping[str, Any]) -> str:
    """Format as ``a 1, b 2``, or ``nothing``."""
    return ", ".join(f"{plain(name)} {plain(value)}" for name, value in sorted(values.items())) or "nothing"


def figure(measured: Json, name: str) -> str:
    """Format a metric and its interval: ``0.692 (0.610 to 0.760)``."""
    found = measured.get(name)
    if not found or found["value"] is None:
        return "–"
    digits = 0 if name == "alerts_per_1000" else 3
    return f"{found['value']:.{digits}f} ({found['lower']:.{digits}f} to {found['upper']:.{digits}f})"


def plain(value: object) -> str:
    """Escape text so that it is neither a Markdown table cell's end nor HTML."""
    return html.escape(str(value), quote=False).replace("|", "&#124;")


def _mark(result: str) -> str:
    return "passed" if result == "passed" else f"**{result}**"


def _questions(measured: Json) -> dict[str, Json]:
    """Select the metrics of the targets, then of the grey zones."""
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
