"""Evaluation of models: metrics, bootstrap intervals, curves, predictions, propensity, follow-up.

Training, monitoring, labels and study use it independently of each other.
"""

from __future__ import annotations
