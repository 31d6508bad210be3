"""Published weights that stence can import, by name, with the reader of each file."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from stence.encoders import build
from stence.encoders.echoing_ecg import TEXT
from stence.encoders.otis import PRETRAINING_ONLY, VARIANTS
from stence.encoders.ptacl import check_published
from stence.weights import dinov2_names, segment_mil_names
from stence.weights.files import opened, tensors_of

Tensors = dict[str, Tensor]
DINOV2 = "dinov2-vits14"
SEGMENT_MIL = "segment-mil"
ECG_ENCODER = "ECG encoder"
"""Kind of the weights of an ECG encoder."""


@dataclass(frozen=True, slots=True)
class Importable:
    """Weights that a person can fetch and import with ``stence weights import``."""

    name: str
    kind: str
    licence: str
    source: str
    """Address where the authors publish the weights."""
    load: Callable[[bytes], Tensors]
    """Reader of a file's content. It raises WeightsError unless names and shapes of all weights fit."""


def _dinov2(content: bytes) -> Tensors:
    return dinov2_names.checked(tensors_of(opened(content)))


def _segment_mil(content: bytes) -> Tensors:
    return segment_mil_names.checked(tensors_of(opened(content)))


def _ptacl(content: bytes) -> Tensors:
    weights = tensors_of(opened(content))
    check_published(weights)
    return weights


def _encoder(
    name: str, under: str | None = None, beside: tuple[str, ...] = (), **config: str
) -> Callable[[bytes], Tensors]:
    """Build a reader for the published file of an encoder with this ``config``, or of its weights only.

    A checkpoint has the weights under the key ``under``. Weights whose names start with a prefix in
    ``beside`` belong to other parts of the authors' model, and are left out.
    """

    def load(content: bytes) -> Tensors:
        saved = opened(content, allowed=(argparse.Namespace, torch.Size))
        model = saved[under] if under and isinstance(saved, Mapping) and under in saved else saved
        weights = {name: tensor for name, tensor in tensors_of(model).items() if not name.startswith(beside)}
        build(name, **config).load_published(weights)
        return weights

    return load


IMPORTABLES = {
    importable.name: importable
    for importable in (
        Importable(
            DINOV2,
            kind="patch features of angiograms",
            licence="Apache-2.0",
            source="huggingface.co/facebook/dinov2-small (model.safetensors), or dinov2_vits14_pretrain.pth "
            "of github.com/facebookresearch/dinov2",
            load=_dinov2,
        ),
        Importable(
            SEGMENT_MIL,
            kind="teacher, with or without its backbone",
            licence="none is stated: ask its authors",
            source="the authors of SegmentMIL (github.com/NikolaCenic/mil-stenosis): last.pt of a training",
            load=_segment_mil,
        ),
        *(
            Importable(
                f"otis-{variant}",
                kind=ECG_ENCODER,
                licence="MIT (the code; none is stated for the weights)",
                source=f"otis_{variant}.pth, linked from github.com/oetu/otis",
                load=_encoder("otis", under="model", beside=PRETRAINING_ONLY, variant=variant),
            )
            for variant in VARIANTS
        ),
        Importable(
            "echoing-ecg",
            kind=ECG_ENCODER,
            licence="CC BY-NC-ND 4.0: no commercial use, no sharing of adapted weights",
            source="echoingecg.pt of huggingface.co/mcintoshML/EchoingECG",
            load=_encoder("echoing_ecg", beside=(TEXT,)),
        ),
        Importable(
            "ecgfounder",
            kind=ECG_ENCODER,
            licence="MIT (the code; none is stated for the weights)",
            source="12_lead_ECGFounder.pth of huggingface.co/PKUDigitalHealth/ECGFounder",
            load=_encoder("ecgfounder", under="state_dict"),
        ),
        Importable(
            "xecg-base",
            kind=ECG_ENCODER,
            licence="MIT",
            source="model.safetensors of huggingface.co/riccardolunelli/xECG_base_model_v1",
            load=_encoder("xecg"),
        ),
        Importable(
            "ptacl",
            kind=ECG_ENCODER,
            licence="none is stated: ask its authors",
            source="huggingface.co/alsalivan/vitmae_ecg, with the dimensions that its config.json names",
            load=_ptacl,
        ),
    )
}
