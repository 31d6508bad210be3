"""Training of networks: teacher, pretraining, fine-tuning, with losses, training loop and checkpoints."""

from __future__ import annotations
