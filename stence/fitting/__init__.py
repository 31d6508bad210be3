"""How networks are fitted: teacher, pretraining, fine-tuning, their losses, loops and checkpoints."""

from __future__ import annotations
