"""Fine-tune a model for binary labels other than stenosis, from a table of ECG labels; report its metrics.

The result is for research only: such a model is never registered and scores no patient.
"""

from __future__ import annotations

from stence.labels.config import LabelsConfig, load_config
from stence.labels.fitting import fit_labels
from stence.labels.report import LabelsReport

__all__ = ["LabelsConfig", "LabelsReport", "fit_labels", "load_config"]
