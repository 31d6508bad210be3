"""Other labels than stenosis: any table of yes/no answers about ECGs -> a fine-tuned model and its report.

What comes of it is for study: such a model is never registered, and scores nobody.
"""

from __future__ import annotations

from stence.labels.config import LabelsConfig, load_config
from stence.labels.fitting import fit_labels
from stence.labels.report import LabelsReport

__all__ = ["LabelsConfig", "LabelsReport", "fit_labels", "load_config"]
