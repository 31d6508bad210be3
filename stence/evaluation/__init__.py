"""How good a model is: metrics, bootstrap intervals, curves, predictions, propensity, follow-up.

Training, monitoring, labels and study stand on it side by side.
"""

from __future__ import annotations
