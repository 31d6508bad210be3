"""The model card: a model's intended use, training data and metrics."""

from __future__ import annotations

from stence.training.model_card.card import model_card

__all__ = ["model_card"]
