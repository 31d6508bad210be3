"""Inference: numeric forms of an encoder, and its overlapped execution on a CPU or a GPU."""

from __future__ import annotations

from stence.inference.forms import FORMS, FP32, available_forms, hindrance, library_of, prepare_network

__all__ = ["FORMS", "FP32", "available_forms", "hindrance", "library_of", "prepare_network"]
