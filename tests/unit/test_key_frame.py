"""The key frame of a run, however its pixels are stored, from a child process that costs a file at most."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from pydicom import uid
from pydicom.encaps import encapsulate

from stence.angiography import Decoder, Reason, UnusableAngiogramError, read_view
from stence.angiography.keyframe import opacification
from support import xa

PHANTOM = Path(__file__).parents[1] / "data/xa/phantom.dcm"
LOSSLESS = [
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
    uid.RLELossless,
]
SLOW = (2048, 4 * 24)
"""Side and number of frames that take seconds to decode."""


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(seconds=60, memory_bytes=2**30) as decoder:
        yield decoder


def reason_of(act: Callable[[], object]) -> Reason:
    with pytest.raises(UnusableAngiogramError) as caught:
        act()
    assert xa.PATIENT_ID not in caught.value.detail
    return caught.value.reason


def slow_run() -> bytes:
    side, frames = SLOW
    ramp = np.tile(np.arange(side, dtype=np.uint8), (side, 1))
    file = xa.dataset(np.broadcast_to(ramp, (frames, side, side)))
    xa.set_encapsulated(file, uid.JPEGBaseline8Bit, [xa.jpeg(ramp)] * frames)
    return xa.content(file)


def scaled(frame: np.ndarray) -> np.ndarray:
    return (frame - frame.min()) / np.float32(frame.max() - frame.min())


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda syntax: syntax.keyword)
def test_lossless_syntaxes_give_every_pixel(decoder: Decoder, syntax: uid.UID, bits: int):
    frames = xa.run(bits=bits)
    key = decoder.key_frame(xa.compressed(frames, syntax, bits))
    assert key.index == xa.KEY_FRAME
    np.testing.assert_allclose(key.pixels, scaled(frames[key.index].astype(np.float32)), atol=1e-6)
    assert (key.pixels.min(), key.pixels.max(), key.pixels.dtype) == (0, 1, np.float32)


@pytest.mark.parametrize(
    "syntax", [uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLSNearLossless, uid.JPEG2000]
)
def test_lossy_syntaxes_give_nearly_every_pixel(decoder: Decoder, syntax: uid.UID):
    frames = xa.run()
    key = decoder.key_frame(xa.compressed(frames, syntax))
    assert key.index == xa.KEY_FRAME
    assert np.abs(key.pixels - scaled(frames[key.index].astype(np.float32))).max() < 0.06


def test_vessels_are_dark_in_monochrome1_too(decoder: Decoder):
    frames = xa.run()
    plain = decoder.key_frame(xa.content(xa.dataset(frames)))
    inverted = xa.dataset(255 - frames)
    inverted.PhotometricInterpretation = "MONOCHROME1"
    key = decoder.key_frame(xa.content(inverted))
    assert key.index == plain.index
    np.testing.assert_allclose(key.pixels, plain.pixels, atol=1e-6)


def test_opacification_follows_the_filling(decoder: Decoder):
    key = decoder.key_frame(xa.content(xa.dataset(xa.run())))
    assert key.opacification.shape == (len(xa.FILLING),)
    assert np.corrcoef(key.opacification, xa.FILLING)[0, 1] > 0.95


def test_neither_dark_frames_nor_flashes_nor_noise_are_key_frames(decoder: Decoder):
    rng = np.random.default_rng(3)
    frames = xa.run().astype(np.float64)
    frames[0] = rng.normal(3, 1, frames[0].shape)  # the shutter still closed
    frames[1] *= 1.3
    frames[6] += rng.normal(0, 25, frames[6].shape)
    file = xa.dataset(np.clip(frames, 0, 255).round().astype(np.uint8))
    assert decoder.key_frame(xa.content(file)).index == xa.KEY_FRAME


def test_a_shutter_closed_most_of_the_time_hides_no_key_frame(decoder: Decoder):
    frames = np.zeros((20, 64, 64), dtype=np.uint8)
    frames[8 : 8 + len(xa.FILLING)] = xa.run()
    key = decoder.key_frame(xa.content(xa.dataset(frames)))
    assert key.index == 8 + xa.KEY_FRAME
    assert np.isfinite(key.opacification).all()


def test_the_collimators_edge_is_no_vessel(decoder: Decoder):
    frames = xa.run()
    field = np.hypot(*np.mgrid[-32:32, -32:32]) < 30
    for frame, shift in zip(frames, (0, 0, 0, 0, 0, 0, 1), strict=True):
        frame[~np.roll(field, shift, axis=1)] = 0
    assert decoder.key_frame(xa.content(xa.dataset(frames))).index == xa.KEY_FRAME


def test_any_frame_can_be_had(decoder: Decoder):
    frames = xa.run()
    content = xa.compressed(frames, uid.RLELossless)
    np.testing.assert_allclose(decoder.frame(content, 2), scaled(frames[2].astype(np.float32)), atol=1e-6)
    for index in (-1, 7):
        with pytest.raises(IndexError):
            decoder.frame(content, index)


def test_frames_in_several_fragments(decoder: Decoder):
    frames = xa.run()
    file = xa.dataset(frames)
    xa.set_encapsulated(file, uid.JPEGBaseline8Bit, [xa.jpeg(frame) for frame in frames])
    whole = decoder.key_frame(xa.content(file))
    halves = [encapsulate([xa.jpeg(frame)], fragments_per_frame=2, has_bot=False) for frame in frames]
    file.PixelData = b"\xfe\xff\x00\xe0\0\0\0\0" + b"".join(halves)
    np.testing.assert_array_equal(decoder.key_frame(xa.content(file)).pixels, whole.pixels)


def test_headers_are_judged_before_pixels(decoder: Decoder):
    file = xa.dataset(xa.run())
    del file.PositionerPrimaryAngle
    assert reason_of(lambda: decoder.key_frame(xa.content(file))) is Reason.ANGLES_MISSING
    file = xa.dataset(xa.run())
    file.PixelRepresentation = 1
    assert reason_of(lambda: decoder.key_frame(xa.content(file))) is Reason.UNSUPPORTED_PIXELS


def test_frames_without_anything_on_them_are_refused(decoder: Decoder):
    content = xa.content(xa.dataset(np.zeros((3, 64, 64), dtype=np.uint8)))
    assert reason_of(lambda: decoder.key_frame(content)) is Reason.BLANK


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.JPEGBaseline8Bit, uid.RLELossless])
def test_cut_files_are_truncated(decoder: Decoder, syntax: uid.UID):
    content = xa.compressed(xa.run(), syntax)
    for end in (len(content) - 9, len(content) * 2 // 3):
        assert reason_of(lambda end=end: decoder.key_frame(content[:end])) is Reason.TRUNCATED


def test_missing_frames_are_noticed(decoder: Decoder):
    frames = xa.run()
    file = xa.dataset(frames)
    xa.set_encapsulated(file, uid.JPEGBaseline8Bit, [xa.jpeg(frame) for frame in frames[:5]])
    assert reason_of(lambda: decoder.key_frame(xa.content(file))) is Reason.TRUNCATED


@pytest.mark.slow
def test_a_file_that_takes_too_long_costs_itself_alone():
    good = xa.content(xa.dataset(xa.run()))
    with Decoder(seconds=0.5, memory_bytes=2**30) as decoder:
        begun = time.monotonic()
        assert reason_of(lambda: decoder.key_frame(slow_run())) is Reason.DECODE_TIMEOUT
        assert decoder.key_frame(good).index == xa.KEY_FRAME
        assert time.monotonic() - begun < 15


@pytest.mark.slow
def test_a_file_that_takes_too_much_memory_costs_itself_alone():
    good = xa.content(xa.dataset(xa.run()))
    with Decoder(seconds=60, memory_bytes=24 * 2**20) as decoder:
        assert reason_of(lambda: decoder.key_frame(slow_run())) is Reason.DECODE_MEMORY
        assert reason_of(lambda: decoder.key_frame(good + bytes(2**26))) is Reason.DECODE_MEMORY
        assert decoder.key_frame(good).index == xa.KEY_FRAME


@pytest.mark.slow
def test_a_decoder_killed_between_files_is_replaced():
    good = xa.content(xa.dataset(xa.run()))
    others = set(psutil.Process().children())
    with Decoder(seconds=60, memory_bytes=2**30) as decoder:
        decoder.key_frame(good)
        (child,) = set(psutil.Process().children()) - others
        child.kill()
        assert decoder.key_frame(good).index == xa.KEY_FRAME


def test_decoders_work_in_threads_side_by_side():
    content = xa.compressed(xa.run(), uid.JPEGLosslessSV1)
    found: list[int] = []

    def work() -> None:
        with Decoder(seconds=60, memory_bytes=2**30) as decoder:
            found.extend(decoder.key_frame(content).index for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [xa.KEY_FRAME] * 10


@pytest.mark.slow
def test_no_decoder_outlives_its_parent(tmp_path: Path):
    """Neither one that waits nor one at work when the parent is killed."""
    (tmp_path / "slow.dcm").write_bytes(slow_run())
    (tmp_path / "good.dcm").write_bytes(xa.content(xa.dataset(xa.run())))
    program = """
        import pathlib, sys, threading
        from stence.angiography import Decoder
        slow, good = (pathlib.Path(name).read_bytes() for name in ("slow.dcm", "good.dcm"))
        waiting, working = (Decoder(seconds=1, memory_bytes=2**30) for _ in range(2))
        waiting.key_frame(good), working.key_frame(good)
        threading.Thread(target=working.key_frame, args=(slow,)).start()
        print("at work", flush=True)
        sys.stdin.read()
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"at work\n"
    children = psutil.Process(parent.pid).children()
    assert len(children) == 2
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()
    assert psutil.wait_procs(children, timeout=10)[1] == []


def test_a_childs_environment_holds_no_credentials(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STENCE_S3_SECRET_KEY", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    others = set(psutil.Process().children())
    with Decoder(seconds=60, memory_bytes=2**30) as decoder:
        decoder.key_frame(xa.content(xa.dataset(xa.run())))
        (child,) = set(psutil.Process().children()) - others
        assert "secret" not in child.environ().values()


def test_a_real_run(decoder: Decoder):
    content = PHANTOM.read_bytes()
    view = read_view(content)
    key = decoder.key_frame(content)
    assert (view.primary_angle, view.secondary_angle, view.frames) == (0.1, 28.7, 4)
    assert key.pixels.shape == (256, 256)
    assert key.index > 0  # the first frame is the noisiest


@pytest.mark.shared
def test_a_real_patients_run(shared: Path, decoder: Decoder):
    """Contrast medium arrives with the 17th frame and fills the whole artery from about the 45th on."""
    key = decoder.key_frame((shared / "data/xa/rubo_0002.dcm").read_bytes())
    assert key.index >= 45
    assert key.pixels.shape == (512, 512)
    assert key.opacification[:16].max() < 0.6 * key.opacification[45:].min()


@pytest.mark.shared
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_real_phantoms(shared: Path, decoder: Decoder, number: int):
    key = decoder.key_frame((shared / f"data/xa/phantom_IM{number}.dcm").read_bytes())
    assert key.index > 0
    assert key.opacification[0] < 0.8 * key.opacification.max()


# --- what counts as contrast medium, frame by frame ---------------------------------------------------------


@pytest.fixture
def grey() -> np.ndarray:
    """A run of 128 x 128 pixels in 0..1."""
    return xa.run(side=128).astype(np.float32) / 255


def test_a_brighter_exposure_shows_no_more_contrast_medium(grey: np.ndarray) -> None:
    flash = xa.KEY_FRAME - 1
    expected = opacification(grey)
    grey *= np.float32(0.6)
    grey[flash] *= np.float32(1.5)
    found = opacification(grey)
    assert found.argmax() == xa.KEY_FRAME
    np.testing.assert_allclose(found, expected, rtol=0.05)


def test_noise_is_no_contrast_medium(grey: np.ndarray) -> None:
    grey[0] += np.random.default_rng(3).normal(0, 0.2, grey[0].shape).astype(np.float32)
    found = opacification(grey)
    assert found[0] < 0.05 * found.max()


def test_the_edge_of_a_collimator_that_moves_is_no_contrast_medium(grey: np.ndarray) -> None:
    y, x = np.mgrid[-64:64, -64:64]
    for frame, shift in zip(grey, (0, 0, 0, 0, 0, 4, 8), strict=True):
        frame[np.hypot(y, x - shift) > 56] = 0
    found = opacification(grey)
    assert found.argmax() == xa.KEY_FRAME
    assert found[0] < 0.2 * found.max()


def test_frames_before_the_exposure_do_not_change_those_of_it(grey: np.ndarray) -> None:
    shut = np.zeros((13, 128, 128), np.float32)
    found = opacification(np.concatenate([shut, grey]))
    np.testing.assert_allclose(found[13:], opacification(grey), rtol=0.05)
    assert found[:13].max() == 0
