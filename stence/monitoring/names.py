"""Names and meanings of all metrics that monitoring writes, and that alert rules may use."""

from __future__ import annotations

from stence.evaluation.outcome_weights import POPULATIONS

_JUDGED = {
    "auroc": "Area under the ROC curve",
    "auprc": "Area under the precision-recall curve",
    "ppv": "Share with the stenosis among the flagged",
    "sensitivity": "Share flagged among patients with the stenosis",
    "ece": "Expected calibration error",
    "calibration_slope": "Slope of the calibration line; 1 is calibrated, below 1 is overconfident",
    "calibration_intercept": "Intercept of the calibration line, in log-odds",
    "calibration_predicted": "Mean probability in a tenth of the patients",
    "calibration_observed": "Share with the stenosis in a tenth of the patients",
}
_BEHIND = {
    "effective_size": "Effective number of patients behind the metrics",
    "top_weight": "Share of all weight that the hundredth of the patients with the largest weights carries",
    "withheld": "Reason for which the metrics are withheld, a number of stence.monitoring.withheld",
}
NAMES = {
    # operations
    "ecgs_arrived": "ECGs taken in the window that arrived",
    "feed_ratio": "ECGs that arrived, relative to the same weekday in the reference",
    "feed_p": "p of at most this number of ECGs",
    "quarantine_rate": "Share of the window's ECG files in quarantine",
    "backlog": "ECGs without a score at the window's end",
    "backlog_age_hours": "Hours since the oldest ECG without a score arrived",
    "latency_hours_median": "Hours from ECG to score, median",
    "latency_hours_p95": "Hours from ECG to score, 95th percentile",
    "ecgs_scored": "ECGs scored by runs that ended in the window",
    "ecgs_per_second": "ECGs per second in scoring runs that ended in the window",
    "hours_since_run": "Hours since the last finished scoring run, at the window's end",
    "runs_failed": "Scoring runs that failed",
    "part_failed": "1 if a part of monitoring failed, else 0",
    # inputs and embeddings
    "input_ks": "Kolmogorov-Smirnov distance of a measure from the reference",
    "input_ks_p": "p of input_ks, adjusted over the window",
    "input_psi": "Population stability index of a measure against the reference",
    "input_psi_consecutive": "Population stability index of a measure against the day before",
    "input_missing": "Share of ECGs without age, sex or indication",
    "input_missing_expected": "Share of ECGs without age, sex or indication in the reference",
    "input_left_out": "Share of ECGs left out of comparisons of the hospital; observations: in the reference",
    "category_p": "p of equal shares of indications or sexes, site by site",
    "new_category": "Share of ECGs of a device, site or rate that the reference lacks",
    "embedding_mmd": "Squared maximum mean discrepancy of the embeddings",
    "embedding_mmd_p": "p of embedding_mmd by permutation, adjusted over the window",
    # scores and workload
    "score_mean": "Mean probability",
    "score_shift": "Shift of the mean probability from like days, in standard deviations",
    "score_mean_p": "p of score_shift, adjusted over the targets",
    "score_ewma": "Moving average of score_shift, in standard deviations",
    "score_ewma_p": "p of score_ewma, adjusted over the targets",
    "score_like_days": "Days of this kind (weekday or weekend) in the reference",
    "score_left_out": "Share of ECGs left out of score_shift; observations: in the reference",
    "score_ks": "Kolmogorov-Smirnov distance of the scores from the reference",
    "score_ks_p": "p of score_ks, adjusted over the window",
    "score_psi": "Population stability index of the scores against the reference",
    "score_psi_consecutive": "Population stability index of the scores against the day before",
    "model_agreement": "Rank correlation with the last champion, given age and sex",
    "flag_rate": "Share of ECGs that reach the threshold",
    "flags_promised": "Share of flagged ECGs that was promised when the threshold was chosen",
    "flag_rate_p": "p of at least this number of flags, if the promise is kept",
    "patient_flag_rate": "Share of patients with an ECG that reaches the threshold",
    "patients_flagged": "Patients with an ECG that reaches the threshold",
    "patients_flagged_promised": "Flagged patients a day that were promised at training",
    # cath reports and outcomes
    "report_ks": "Kolmogorov-Smirnov distance of the cath reports from the reference",
    "report_ks_p": "p of report_ks, adjusted over the window",
    "outcome_count": "ECGs with an outcome",
    "outcome_censored": "Patients whose cath study came after the outcome days: referred, without an outcome",
    "outcome_clipped_share": "Share of scored patients whose propensity of referral is clipped",
    "outcome_smallest_propensity": "Smallest propensity of referral of a scored patient, before it is raised",
    "promised_auroc": "AUROC on the test patients at training",
    **{
        f"outcome_{name}{suffix}": f"{means}, {population}"
        for suffix, population in POPULATIONS.items()
        for name, means in (_JUDGED | _BEHIND).items()
    },
    **{
        f"expected_{name}": f"{_JUDGED[name]}, expected from calibrated probabilities"
        for name in ("auroc", "auprc", "ppv", "sensitivity")
    },
}
"""Name and meaning. ``_p`` is always the probability of a value at least as extreme by chance."""
LIVE = ("hours_since_run",)
"""Metrics that describe the present. Their alerts are judged every hour."""
