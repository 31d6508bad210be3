"""The model card: what a model is for, what it learned from, and all that was measured of it."""

from __future__ import annotations

from stence.training.model_card.card import model_card

__all__ = ["model_card"]
