"""Every figure that monitoring writes, by name: what alert rules may speak of."""

from __future__ import annotations

_JUDGED = {
    "auroc": "Area under the ROC curve",
    "auprc": "Area under the precision-recall curve",
    "ppv": "Share of the flagged who had the stenosis",
    "sensitivity": "Share of those with the stenosis who were flagged",
    "ece": "Expected calibration error",
    "calibration_slope": "Slope of the calibration line; 1 is calibrated, less is overconfident",
    "calibration_intercept": "Intercept of the calibration line, in log-odds",
    "calibration_predicted": "Mean probability in a tenth of the people",
    "calibration_observed": "Share with the stenosis in that tenth",
}
NAMES = {
    # operations
    "ecgs_arrived": "ECGs taken in the window that arrived",
    "feed_ratio": "ECGs that arrived, beside those of the same weekday in the reference",
    "feed_p": "p of so few ECGs",
    "quarantine_rate": "Share of the window's ECG files in quarantine",
    "backlog": "ECGs not yet scored at the window's end",
    "backlog_age_hours": "Hours that the oldest of them has waited",
    "latency_hours_median": "Hours from an ECG to its score, median",
    "latency_hours_p95": "Hours from an ECG to its score, 95th percentile",
    "ecgs_scored": "ECGs scored by runs that ended in the window",
    "ecgs_per_second": "ECGs a second of those runs",
    "hours_since_run": "Hours since the last finished scoring run, at the window's end",
    "runs_failed": "Scoring runs that failed",
    "part_failed": "1 where a part of monitoring could not be computed, else 0",
    # inputs and embeddings
    "input_ks": "Kolmogorov-Smirnov distance of a measure from the reference",
    "input_ks_p": "Its p, adjusted over the window",
    "input_psi": "Population stability index of a measure against the reference",
    "input_psi_consecutive": "The same against the day before",
    "input_missing": "Share of ECGs without age, sex or indication",
    "input_missing_expected": "The same share in the reference",
    "category_p": "p of the shares of indications or sexes, site by site",
    "new_category": "Share of ECGs of a device, site or rate that the reference lacks",
    "embedding_mmd": "Squared maximum mean discrepancy of the embeddings",
    "embedding_mmd_p": "Its p by permutation, adjusted over the window",
    # scores and workload
    "score_mean": "Mean probability",
    "score_shift": "How far the mean moved, in the reference's standard deviations",
    "score_mean_p": "Its p, adjusted over the targets",
    "score_ks": "Kolmogorov-Smirnov distance of the scores from the reference",
    "score_ks_p": "Its p, adjusted over the window",
    "score_psi": "Population stability index of the scores against the reference",
    "score_psi_consecutive": "The same against the day before",
    "model_agreement": "Spearman's correlation with the champion before",
    "flag_rate": "Share of ECGs that reach the threshold",
    "flags_promised": "Share that was promised when the threshold was chosen",
    "flag_rate_p": "p of so many flags, were the promise kept",
    # cath reports and outcomes
    "report_ks": "Kolmogorov-Smirnov distance of the cath reports from the reference",
    "report_ks_p": "Its p, adjusted over the window",
    "outcome_count": "ECGs with an outcome",
    "effective_sample_size": "People that the weighted figures are worth",
    "promised_auroc": "AUROC on the test patients, before the model was let in",
    **{f"outcome_{name}": f"{means}, of those who were sent" for name, means in _JUDGED.items()},
    **{f"outcome_{name}_weighted": f"{means}, weighted for who is sent" for name, means in _JUDGED.items()},
    **{
        f"expected_{name}": f"{_JUDGED[name]}, to expect of calibrated probabilities"
        for name in ("auroc", "auprc", "ppv", "sensitivity")
    },
}
"""Name and meaning. ``_p`` is always a probability that chance alone goes as far."""
LIVE = ("hours_since_run",)
"""Figures whose alerts are judged every hour, by how they stand then."""
