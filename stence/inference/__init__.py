"""Inference: numeric forms of an encoder, and its overlapped execution on a CPU or a GPU."""

from __future__ import annotations

from stence.inference.blocks import Blocks
from stence.inference.engine import AnsweringNetwork, Ecgs, Engine, Inferred, Pending
from stence.inference.forms import (
    FORMS,
    FP32,
    Form,
    available_forms,
    hardware_of,
    hindrance,
    library_of,
    prepare_network,
)
from stence.inference.one_by_one import OneByOne

__all__ = [
    "FORMS",
    "FP32",
    "Engine",
    "Form",
    "Inferred",
    "Pending",
    "available_forms",
    "engine_of",
    "hardware_of",
    "hindrance",
    "infer",
    "library_of",
    "prepare_network",
]


def engine_of(network: AnsweringNetwork, device: str) -> Engine:
    """Return the engine for a network that is on ``device``: ``cpu`` or ``cuda``."""
    return OneByOne(network) if device == "cpu" else Blocks(network, device)


def infer(network: AnsweringNetwork, ecgs: Ecgs, device: str) -> Inferred:
    """Return embeddings and logits of ECGs (n, windows, 12, samples), each independent of the others."""
    return engine_of(network, device).start(ecgs).result()
