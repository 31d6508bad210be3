"""Published weights come in whole or not at all, and nothing in their files is ever run."""

from __future__ import annotations

import argparse
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from torch import Tensor

from stence import encoders, weights
from stence.angiography.backbones import open_backbone
from stence.cli import main
from stence.encoders.otis import VARIANTS, Architecture, otis
from stence.errors import ConfigurationError, WeightsError
from stence.fitting.finetuning import TrainingConfig, first_encoder
from stence.fitting.start import origin_of
from stence.fitting.teacher import TeacherConfig
from stence.models import SegmentMIL
from stence.objects import LocalStore
from stence.settings import Settings
from stence.training import RetrainConfig, load_preset
from stence.training.starts import first_teacher
from stence.weights import dinov2_names, segment_mil_names
from support.dinov2 import hugging_face_folder, meta_weights
from support.encoders import small
from support.weights import drawn, listed

DINOV2 = "dinov2-vits14"
STORED = "weights/dinov2-vits14/model.safetensors"


@pytest.fixture(scope="module")
def meta() -> dict[str, Tensor]:
    return meta_weights(depth=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, meta: dict[str, Tensor]) -> Path:
    return hugging_face_folder(tmp_path_factory.mktemp("dinov2-small"), meta)


@pytest.fixture(autouse=True)
def shallow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A DINOv2 of one layer has all kinds of weights, and a tenth of their number."""
    shapes = {
        name: shape
        for name, shape in dinov2_names.SHAPES.items()
        if ".layer." not in name or ".layer.0." in name
    }
    monkeypatch.setattr(dinov2_names, "SHAPES", shapes)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def saved(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "published.pth"
    torch.save(content, path)
    return path


def test_a_folder_of_hugging_face_comes_back_as_it_was(
    store: LocalStore, settings: Settings, folder: Path
) -> None:
    manifest = weights.import_weights(store, settings, DINOV2, folder)
    published = load_file(folder / "model.safetensors")
    read = weights.read(store, settings, DINOV2)
    assert read.keys() == published.keys()
    assert all(torch.equal(read[name], tensor) for name, tensor in published.items())
    content = (folder / "model.safetensors").read_bytes()
    assert manifest.published_sha256 == hashlib.sha256(content).hexdigest()
    assert weights.list_imported(store, settings) == {DINOV2: manifest}


def test_metas_file_holds_the_same_weights(
    store: LocalStore, settings: Settings, tmp_path: Path, folder: Path, meta: dict[str, Tensor]
) -> None:
    first = weights.import_weights(store, settings, DINOV2, saved(tmp_path, meta))
    second = weights.import_weights(store, settings, DINOV2, folder)
    assert first.sha256 == second.sha256
    assert first.published_sha256 != second.published_sha256


def test_half_precision_is_kept_as_float32(
    store: LocalStore, settings: Settings, tmp_path: Path, meta: dict[str, Tensor]
) -> None:
    halves = {name: tensor.half() for name, tensor in meta.items()}
    weights.import_weights(store, settings, DINOV2, saved(tmp_path, halves))
    read = weights.read(store, settings, DINOV2)
    assert {tensor.dtype for tensor in read.values()} == {torch.float32}
    assert torch.equal(read["layernorm.bias"], halves["norm.bias"].float())


class Intruder:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("name", [DINOV2, "otis-base"])
def test_a_file_that_would_run_code_is_refused_without_running_it(
    store: LocalStore, settings: Settings, tmp_path: Path, name: str
) -> None:
    path = saved(tmp_path, {"model": Intruder(tmp_path / "was here")})
    with pytest.raises(WeightsError, match="nothing in it was run"):
        weights.import_weights(store, settings, name, path)
    assert not (tmp_path / "was here").exists()
    torch.load(path, weights_only=False)  # it would have
    assert (tmp_path / "was here").exists()


@pytest.mark.parametrize("content", [b"", b"text", b"\0" * 8 + b"{", b"PK\3\4 and no more", b"\x80\2."])
def test_a_damaged_file_is_refused(
    store: LocalStore, settings: Settings, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(WeightsError, match="this file is damaged"):
        weights.import_weights(store, settings, DINOV2, tmp_path / "file")
    assert list(store.list("")) == []


def test_every_misfit_is_named(
    store: LocalStore, settings: Settings, tmp_path: Path, meta: dict[str, Tensor]
) -> None:
    wrong = {name: tensor for name, tensor in meta.items() if name != "norm.bias"}
    wrong |= {"register_tokens": torch.zeros(1, 4, 384), "pos_embed": torch.zeros(1, 257, 384)}
    with pytest.raises(WeightsError) as refusal:
        weights.import_weights(store, settings, DINOV2, saved(tmp_path, wrong))
    for misfit in ("layernorm.bias", "register_tokens", "(1, 257, 384), not (1, 1370, 384)"):
        assert misfit in str(refusal.value)


def test_numbers_that_are_none_are_refused(
    store: LocalStore, settings: Settings, tmp_path: Path, meta: dict[str, Tensor]
) -> None:
    broken = meta | {"norm.bias": torch.full((384,), torch.nan)}
    with pytest.raises(WeightsError, match=r"not finite: norm\.bias"):
        weights.import_weights(store, settings, DINOV2, saved(tmp_path, broken))


def test_others_are_replaced_only_on_demand(
    store: LocalStore, settings: Settings, tmp_path: Path, folder: Path, meta: dict[str, Tensor]
) -> None:
    first = weights.import_weights(store, settings, DINOV2, folder)
    assert weights.import_weights(store, settings, DINOV2, folder).sha256 == first.sha256
    other = saved(tmp_path, meta | {"norm.bias": torch.ones(384)})
    with pytest.raises(WeightsError, match="--replace"):
        weights.import_weights(store, settings, DINOV2, other)
    assert weights.read_manifest(store, settings, DINOV2).sha256 == first.sha256
    weights.import_weights(store, settings, DINOV2, other, replace=True)
    assert torch.equal(weights.read(store, settings, DINOV2)["layernorm.bias"], torch.ones(384))


def test_weights_altered_in_the_store_are_not_read(
    store: LocalStore, settings: Settings, folder: Path
) -> None:
    weights.import_weights(store, settings, DINOV2, folder)
    content = bytearray(store.get(STORED))
    content[-1] ^= 1
    store.put(STORED, bytes(content))
    with pytest.raises(WeightsError, match="was altered"):
        weights.read(store, settings, DINOV2)
    weights.import_weights(store, settings, DINOV2, folder)
    assert weights.read(store, settings, DINOV2)


def test_weights_never_imported_say_where_to_get_them(store: LocalStore, settings: Settings) -> None:
    with pytest.raises(WeightsError, match=r"huggingface.*stence weights import dinov2-vits14 PATH"):
        weights.read(store, settings, DINOV2)
    assert weights.list_imported(store, settings) == {}


def test_an_unknown_name_lists_the_known_ones(store: LocalStore, settings: Settings, folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="dinov2-vits14, segment-mil, otis-base"):
        weights.import_weights(store, settings, "resnet", folder)


def test_a_pretraining_checkpoint_of_otis_gives_its_encoder(
    store: LocalStore, settings: Settings, tmp_path: Path
) -> None:
    model = drawn(otis("base").state_dict())
    checkpoint = {
        "model": model | {"mask_token": torch.zeros(1, 1, 160), "decoder_norm.bias": torch.zeros(160)},
        "args": argparse.Namespace(lr=1e-4, input_size=torch.Size([1, 12, 1008])),
        "domains": {"ecg": torch.Size([12])},
        "domain_offsets": {"ecg": 0},
    }
    weights.import_weights(store, settings, "otis-base", saved(tmp_path, checkpoint))
    encoder = otis("base")
    encoder.load_published(weights.read(store, settings, "otis-base"))
    assert all(torch.equal(tensor, model[name]) for name, tensor in encoder.state_dict().items())


@pytest.mark.parametrize("variant", ["large", "huge"])
def test_the_larger_otis_can_be_imported_and_built(
    store: LocalStore, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variant: str
) -> None:
    monkeypatch.setitem(VARIANTS, variant, Architecture(width=24, depth=2, heads=2))
    model = drawn(otis(variant).state_dict())
    weights.import_weights(store, settings, f"otis-{variant}", saved(tmp_path, {"model": model}))
    config = TrainingConfig(
        encoder_config={"variant": variant}, epochs=1, patience=1, encoder_rate=1e-3, head_rate=1e-3
    )
    encoder = first_encoder(config, weights.read(store, settings, f"otis-{variant}"))
    assert all(torch.equal(tensor, model[name]) for name, tensor in encoder.state_dict().items())
    with pytest.raises(WeightsError, match="do not fit OTiS"):
        weights.import_weights(store, settings, "otis-base", saved(tmp_path, {"model": model}))


@pytest.fixture
def teachers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """The published weights of a narrow SegmentMIL, as its authors' class names them."""
    own = SegmentMIL(384, embed_dim=16, layers=1, heads=2).state_dict()
    monkeypatch.setattr(
        segment_mil_names, "SHAPES", {name: tuple(tensor.shape) for name, tensor in own.items()}
    )
    drawn_weights = drawn(own) | {"pos_embeddings": own["pos_embeddings"]}
    named = {name.replace("projector.", "projector.0."): tensor for name, tensor in drawn_weights.items()}
    return named | {f"classifier.0.{part}": named[f"classifiers.0.0.{part}"] for part in ("weight", "bias")}


SMALL_TEACHER = TeacherConfig(embed_dim=16, layers=1, heads=2, weights="segment-mil")


def retraining_with(backbone: str) -> RetrainConfig:
    small = load_preset("small").model_dump()
    return RetrainConfig.model_validate(small | {"backbone": backbone, "teacher": SMALL_TEACHER.model_dump()})


def test_a_published_teacher_is_the_start_of_the_teacher_with_its_own_backbone(
    store: LocalStore,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    teachers: dict[str, Tensor],
    meta: dict[str, Tensor],
) -> None:
    file = teachers | {f"encoder.backbone.{name}": tensor for name, tensor in meta.items()}
    monkeypatch.setenv("STENCE_DATA_DIR", str(tmp_path))
    imported = CliRunner().invoke(main, ["weights", "import", "segment-mil", str(saved(tmp_path, file))])
    assert imported.exit_code == 0, imported.output
    store = LocalStore(tmp_path / "store")
    start = first_teacher(store, settings, retraining_with("segment-mil"), 384)
    assert start.origin.startswith("segment-mil, SHA-256")
    assert start.weights is not None
    model = SMALL_TEACHER.build(384, start.weights)
    assert torch.equal(model.projector.weight, teachers["projector.0.weight"])
    assert torch.equal(model.classifiers[0][0].bias, teachers["classifier.0.bias"])

    monkeypatch.setattr(dinov2_names, "DEPTH", 1)
    backbone = open_backbone("segment-mil", store, settings, "cpu")
    assert backbone.version.startswith("segment-mil-")
    norm = backbone._network.state_dict()["layernorm.weight"]
    assert torch.equal(norm, meta["norm.weight"])
    with pytest.raises(ConfigurationError, match="set backbone: segment-mil"):
        first_teacher(store, settings, retraining_with("dinov2-vits14"), 384)


def test_a_published_teacher_without_its_backbone_needs_another(
    store: LocalStore, settings: Settings, tmp_path: Path, teachers: dict[str, Tensor]
) -> None:
    weights.import_weights(store, settings, "segment-mil", saved(tmp_path, teachers))
    assert first_teacher(store, settings, retraining_with("dinov2-vits14"), 384).weights is not None
    with pytest.raises(WeightsError, match="do not fit SegmentMIL"):
        first_teacher(store, settings, retraining_with("ridges"), 64)
    with pytest.raises(WeightsError, match="has no backbone: set backbone: dinov2-vits14"):
        open_backbone("segment-mil", store, settings, "cpu")
    unlike = {name: tensor for name, tensor in teachers.items() if name != "query"}
    with pytest.raises(WeightsError, match=r"missing: query \(11, 16\)"):
        weights.import_weights(store, settings, "segment-mil", saved(tmp_path, unlike), replace=True)


def test_the_names_of_the_published_teacher_are_those_of_the_model() -> None:
    with torch.device("meta"):
        own = SegmentMIL().state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in own.items()} == segment_mil_names.SHAPES


@pytest.mark.slow
def test_a_checkpoint_of_ecgfounder_gives_its_encoder(
    store: LocalStore, settings: Settings, tmp_path: Path, shared: Path
) -> None:
    model = drawn(listed(shared / "encoders/ecgfounder_keys.txt"))
    weights.import_weights(store, settings, "ecgfounder", saved(tmp_path, {"epoch": 3, "state_dict": model}))
    encoder = encoders.build("ecgfounder")
    encoder.load_published(weights.read(store, settings, "ecgfounder"))
    assert all(torch.equal(tensor, model[name]) for name, tensor in encoder.state_dict().items())


def test_the_file_of_echoing_ecg_gives_its_ecg_branch(
    store: LocalStore, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights.published, "build", small)
    encoder = small("echoing_ecg")
    head = {name: torch.zeros(tensor.shape) for name, tensor in encoder._idle().items()}
    branch = {f"ecg_encoder.{name}": tensor for name, tensor in (drawn(encoder.state_dict()) | head).items()}
    both = branch | {"text_encoder.linear.weight": torch.zeros(512, 768)}
    weights.import_weights(store, settings, "echoing-ecg", saved(tmp_path, both))
    assert weights.read(store, settings, "echoing-ecg").keys() == branch.keys()


def test_the_command_line_tells_hash_and_licence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: Path
) -> None:
    monkeypatch.setenv("STENCE_DATA_DIR", str(tmp_path))
    imported = CliRunner().invoke(main, ["weights", "import", DINOV2, str(folder)])
    assert imported.exit_code == 0, imported.output
    sha256 = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert sha256 in imported.output
    assert "Apache-2.0" in imported.output
    listed = CliRunner().invoke(main, ["weights", "list"])
    assert listed.exit_code == 0, listed.output
    assert "otis-base" in listed.output
    assert sha256[:12] in listed.output
    refused = CliRunner().invoke(main, ["weights", "import", "otis-base", str(folder)])
    assert refused.exit_code == 1
    assert "do not fit OTiS" in refused.output


def test_where_a_training_started_is_told_with_the_licence(
    store: LocalStore, settings: Settings, folder: Path
) -> None:
    imported = weights.import_weights(store, settings, DINOV2, folder)
    assert origin_of(store, settings, DINOV2) == f"{DINOV2}, SHA-256 {imported.sha256}, licence Apache-2.0"
