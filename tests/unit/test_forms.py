"""An encoder computes in other numeric forms almost as in fp32, and each ECG as if it were alone."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch

from stence import encoders
from stence.domain.targets import TARGET_NAMES
from stence.ecg.recipes import STENCE
from stence.errors import FormError
from stence.evaluation.forms import FormBounds, FormChanges
from stence.inference import FORMS, Form, available_forms, cache, hindrance, infer, prepare_network
from stence.inference.blocks import BLOCK, Blocks
from stence.models import Calibration, RiskModel, RiskScorer, Threshold
from stence.models.risk import InferenceForm

WINDOWS, SAMPLES, ECGS = 3, 240, 11
FAST = [form for form in available_forms("cpu") if form != "fp32"]
SMALL = {
    "otis": {"width": 32, "depth": 3, "heads": 2},
    "ecgfounder": {"stem": 16, "widths": (16, 32), "blocks": (1, 2)},
    "xecg": {"width": 32, "heads": 2, "hidden": 32, "blocks": "sm", "patch_samples": 24},
}


def network(encoder: str = "otis") -> InferenceForm:
    torch.manual_seed(0)
    model = RiskModel(encoders.build(encoder, **SMALL[encoder], window_samples=SAMPLES))
    with torch.no_grad():
        for _ in range(5):
            model(torch.randn(16, 12, SAMPLES))
    return InferenceForm(model.eval())


@pytest.fixture(scope="module")
def ecgs() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((ECGS, WINDOWS, 12, SAMPLES)).astype(np.float32)


@pytest.fixture
def scorer() -> RiskScorer:
    torch.manual_seed(0)
    model = RiskModel(encoders.build("otis", **SMALL["otis"], window_samples=SAMPLES)).eval()
    about = {"model_version": "test-1", "recipe": STENCE, "windows": WINDOWS}
    return RiskScorer(model, Calibration(), **about, thresholds={"stenosis_70": Threshold(0.5, "test")})


def relative_error(network: InferenceForm, form: str, ecgs: np.ndarray) -> float:
    exact, other = (
        infer(each, ecgs, "cpu").embeddings
        for each in (network, prepare_network(network, form, "cpu", WINDOWS))
    )
    return float(np.linalg.norm(other - exact) / np.linalg.norm(exact))


def test_this_host_has_the_extra_for_cpus() -> None:
    assert "fp32-openvino" in FAST


@pytest.mark.slow
@pytest.mark.parametrize("encoder", SMALL)
def test_embeddings_of_another_form_are_near(encoder: str, ecgs: np.ndarray) -> None:
    limits = {"fp32-openvino": 1e-5, "bf16-openvino": 2e-2}
    for form in FAST:
        assert relative_error(network(encoder), form, ecgs[:3]) < limits[form]


def test_the_class_token_of_otis_is_exact_where_the_bulk_is_coarse() -> None:
    torch.manual_seed(0)
    encoder = encoders.build("otis", width=32, depth=6, heads=2, window_samples=480).eval().folded()
    windows = torch.randn(8, 12, 480)
    with torch.inference_mode():
        exact = encoder(windows)
        bulk, read_out = encoder.parts()
        torch.testing.assert_close(read_out(*bulk(windows)), exact, rtol=0, atol=1e-5)
        mixed = read_out(*deepcopy(bulk).bfloat16()(windows.bfloat16()))
        coarse = deepcopy(encoder).bfloat16()(windows.bfloat16()).float()
    assert (mixed - exact).norm() < 0.4 * (coarse - exact).norm()


@pytest.mark.slow
@pytest.mark.parametrize("form", FAST)
def test_a_score_in_a_form_does_not_depend_on_the_other_ecgs_or_on_threads(
    form: str, scorer: RiskScorer, ecgs: np.ndarray
) -> None:
    fast = scorer.in_form(Form(form))
    together = fast.score(ecgs)
    np.testing.assert_array_equal(fast.score(ecgs[::-1])[::-1], together)
    np.testing.assert_array_equal(fast.score(ecgs[4:5])[0], together[4])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 3)
        np.testing.assert_array_equal(scorer.in_form(Form(form)).score(ecgs), together)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.slow
def test_a_form_is_the_scorers_and_explanations_stay_in_fp32(scorer: RiskScorer, ecgs: np.ndarray) -> None:
    fast = scorer.in_form(Form("bf16-openvino" if "bf16-openvino" in FAST else "fp32-openvino"))
    assert (scorer.form, fast.form in FAST) == ("fp32", True)
    unknown = np.full((1, 2), np.nan)
    windows = torch.from_numpy(ecgs[:1])
    with torch.no_grad():
        np.testing.assert_array_equal(fast.log_odds(unknown)(windows), scorer.log_odds(unknown)(windows))


@pytest.mark.slow
def test_the_mean_error_of_a_form_is_subtracted(scorer: RiskScorer, ecgs: np.ndarray) -> None:
    plain = scorer.in_form(Form("fp32-openvino")).embed(ecgs)
    shifted = scorer.in_form(Form("fp32-openvino", [1.0] * plain.shape[1])).embed(ecgs)
    np.testing.assert_allclose(plain - shifted, 1, atol=1e-5)


def test_the_next_batch_may_start_before_the_last_is_awaited(scorer: RiskScorer, ecgs: np.ndarray) -> None:
    unknown = np.full((ECGS, 2), np.nan)
    first, second = scorer.start(ecgs, unknown), scorer.start(ecgs[::-1], unknown)
    np.testing.assert_array_equal(second.result().probabilities[::-1], first.result().probabilities)


def test_cancelled_ecgs_are_not_computed(scorer: RiskScorer, ecgs: np.ndarray) -> None:
    many = np.tile(ecgs, (200, 1, 1, 1))
    waiting = scorer.start(many, np.full((len(many), 2), np.nan))
    waiting.cancel()
    left = sum(future.cancelled() for future in waiting._inferred._futures)
    assert left > len(many) / 2
    assert scorer.score(ecgs).shape == (ECGS, 6)


def test_an_error_of_the_network_is_raised_to_the_caller(scorer: RiskScorer, ecgs: np.ndarray) -> None:
    started = scorer.start(ecgs[..., :100], np.full((ECGS, 2), np.nan))
    with pytest.raises(ValueError, match="reads"):
        started.result()


@pytest.mark.slow
def test_converted_files_are_kept_and_made_anew_where_they_were_altered(
    tmp_path: Path, ecgs: np.ndarray
) -> None:
    form = Form("fp32-openvino", cache=tmp_path)
    expected = infer(prepare_network(network(), form, "cpu", WINDOWS), ecgs, "cpu").embeddings
    (folder,) = (path for path in tmp_path.iterdir() if path.name != cache.UNFINISHED)
    assert cache.is_unaltered(folder)
    inode = (folder / "encoder.bin").stat().st_ino
    prepare_network(network(), form, "cpu", WINDOWS)
    assert (folder / "encoder.bin").stat().st_ino == inode
    content = bytearray((folder / "encoder.bin").read_bytes())
    content[-5] ^= 255
    (folder / "encoder.bin").write_bytes(content)
    assert not cache.is_unaltered(folder)
    again = infer(prepare_network(network(), form, "cpu", WINDOWS), ecgs, "cpu").embeddings
    np.testing.assert_array_equal(again, expected)
    assert cache.is_unaltered(folder)


@pytest.mark.slow
def test_openvino_reports_nothing_to_the_internet(tmp_path: Path) -> None:
    code = (
        "import sys; from stence.inference import available_forms; available_forms('cpu');"
        "assert 'openvino' in sys.modules and sys.modules['openvino_telemetry'] is None"
    )
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | {
        "HOME": str(tmp_path)
    }
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert list(tmp_path.iterdir()) == []


def test_a_form_that_this_host_cannot_compute_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "torch sees no GPU" in str(hindrance("bf16", "cuda")) or torch.cuda.is_available()
    with pytest.raises(FormError, match=r"a cpu has the forms fp32, fp32-openvino, bf16-openvino\."):
        prepare_network(network(), "fp16", "cpu")
    monkeypatch.setattr("stence.inference.openvino_encoder.find_spec", lambda name: None)
    with pytest.raises(FormError, match=r"OpenVINO is not installed: pip install 'stence\[cpu\]'"):
        prepare_network(network(), "fp32-openvino", "cpu")
    assert available_forms("cpu") == ("fp32",)


def test_bf16_needs_a_processor_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stence.inference.openvino_encoder._abilities", lambda: ["FP32", "INT8"])
    assert "fp32-openvino" in available_forms("cpu")
    assert "this processor has no bf16" in str(hindrance("bf16-openvino", "cpu"))


@pytest.mark.parametrize("count", [0, 1, BLOCK, 2 * BLOCK + 5])
def test_blocks_give_each_ecg_its_own_result(count: int) -> None:
    """On the CPU: torch's stand-ins for streams and events do nothing, the blocks are those of a GPU."""
    small = np.random.default_rng(1).standard_normal((count, 1, 12, 48)).astype(np.float32)
    torch.manual_seed(0)
    encoder = encoders.build("otis", width=8, depth=1, heads=1, window_samples=48)
    net = InferenceForm(RiskModel(encoder).eval())
    engine = Blocks(net, "cpu")
    first, second = engine.start(small), engine.start(small[::-1])
    found = first.result()
    assert found.embeddings.shape == (count, 8)
    assert found.logits.dtype == np.float64
    np.testing.assert_array_equal(second.result().logits[::-1], found.logits)
    if count:
        np.testing.assert_array_equal(engine.start(small[-1:]).result().logits[0], found.logits[-1])
        np.testing.assert_allclose(found.logits, infer(net, small, "cpu").logits, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("encoder", SMALL)
def test_every_encoder_computes_in_half_precision(encoder: str, dtype: torch.dtype) -> None:
    exact = network(encoder).folded
    windows = torch.randn(2, 12, SAMPLES)
    with torch.inference_mode():
        expected = exact(windows)
        bulk, read_out = exact.to(dtype).parts()
        embedded = read_out(*bulk(windows.to(dtype)))
    assert embedded.dtype == dtype
    assert ((embedded.float() - expected).norm() / expected.norm()).item() < 0.1


def test_forms_of_both_kinds_of_device_begin_with_the_reference() -> None:
    assert {forms[0] for forms in FORMS.values()} == {"fp32"}


def changes(probability: float = 0.0, *, swap: bool = False) -> FormChanges:
    before = np.linspace(0.1, 0.9, 100)[:, None].repeat(6, axis=1)
    after = before + probability
    if swap:
        after[[40, 60]] = after[[60, 40]]
    return FormChanges.between(before, after, "stenosis_70", threshold=0.5)


def test_a_form_within_the_bounds_is_not_refused() -> None:
    assert list(changes(0.0001).beyond(FormBounds())) == []
    assert changes(0.0001).mean["stenosis_70"] == pytest.approx(0.0001)


def test_a_form_beyond_a_bound_is_refused_with_its_figure() -> None:
    (largest, flags) = changes(0.0061).beyond(FormBounds())
    assert largest == "a probability changes by 0.0061, more than 0.005"
    assert flags == "1 of 100 flags change, more than 1 of 1,000"
    _, rank, flags = changes(swap=True).beyond(FormBounds())
    assert rank.startswith("the rank correlation is 0.99")
    assert flags.startswith("2 of 100 flags change")


def test_ranks_of_probabilities_that_do_not_vary_agree() -> None:
    same = np.full((5, len(TARGET_NAMES)), 0.3)
    assert FormChanges.between(same, same, "stenosis_70", 0.5).rank["stenosis_70"] == 1


def test_many_threads_may_share_a_network_in_a_form(ecgs: np.ndarray) -> None:
    fast = prepare_network(network(), "fp32-openvino", "cpu", WINDOWS)
    one = [torch.from_numpy(ecg[None]) for ecg in ecgs]
    expected = [fast.embed_and_answer(ecg)[0].numpy() for ecg in one]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda ecg: fast.embed_and_answer(ecg)[0].numpy(), one * 4))
    np.testing.assert_array_equal(np.concatenate(found), np.concatenate(expected * 4))


def test_a_conversion_leaves_the_logs_of_others_alone(caplog: pytest.LogCaptureFixture) -> None:
    prepare_network(network(), "fp32-openvino", "cpu", WINDOWS)
    logging.getLogger("stence.scoring.run").warning("the run is lost")
    logging.warning("so are %d others", 2)
    assert caplog.messages[-2:] == ["the run is lost", "so are 2 others"]
