"""Numeric forms of a model on a device, the reference ``fp32`` first."""

from __future__ import annotations

from gpu_parts.measuring import WINDOWS
from stence.ecg import PREPROCESSING_VERSION
from stence.ecg.recipes import VERSIONS
from stence.inference import Form, available_forms, prepare_network
from stence.models import Calibration, RiskModel, RiskScorer
from stence.models.risk import InferenceForm


def names(device: str) -> tuple[str, ...]:
    """Forms that this host can compute in."""
    return available_forms(device)


def default(device: str) -> str:
    """The form that a model has by default on this kind of device, where the host can compute in it."""
    return "bf16" if "bf16" in names(device) else "fp32"


def network(model: RiskModel, form: str, device: str) -> InferenceForm:
    """The network of a model in a form, on the device."""
    reference = InferenceForm(model).to(device)
    return reference if form == "fp32" else prepare_network(reference, form, device, WINDOWS)


def scorer(model: RiskModel, form: str, device: str) -> RiskScorer:
    """A scorer of the model in a form, on the device."""
    about = {"model_version": "bench-1", "recipe": VERSIONS[PREPROCESSING_VERSION], "windows": WINDOWS}
    reference = RiskScorer(model, Calibration(), **about, thresholds={}, device=device)
    return reference if form == "fp32" else reference.in_form(Form(form))
