"""The scorer beside its forward pass alone, preprocessing on the CPU, and the way from files to rows."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import torch
from pipeline import write

from gpu_parts import forms
from gpu_parts.forward import aim_of, built
from gpu_parts.measuring import WINDOWS, Row, Sizes, rate
from stence import database, scoring
from stence.ecg import preprocess
from stence.models import RiskModel, clinical_values
from stence.objects import open_store
from stence.settings import Settings
from support.models import register

SHARE_OF_FORWARD = 0.9
ECGS_A_SECOND, CORES = 4000, 16
BUSY = 85.0
NEEDED_WINDOWS = 20_300
"""Windows a second that OTiS-base reads on an H200."""
BLOCKS = 8
MEMORY = Path("/dev/shm")  # noqa: S108 - where Linux keeps it
BYTES_AN_ECG = 150_000


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def preprocessing(sizes: Sizes, device: str) -> Iterator[Row]:
    """Windows a second that the CPU prepares, on one core and on all."""
    ecg = np.random.default_rng(0).normal(size=(WINDOWS, 12, 1500)).astype(np.float32)
    one = WINDOWS * rate(lambda: preprocess(ecg), "cpu", sizes.seconds)
    yield Row("preprocessing, one core", one, "windows/s")
    with ThreadPoolExecutor(cores()) as threads:
        batch = [ecg] * 16 * cores()
        every = (
            WINDOWS * len(batch) * rate(lambda: list(threads.map(preprocess, batch)), "cpu", sizes.seconds)
        )
    aim = NEEDED_WINDOWS if device == "cuda" else None
    note = f"{NEEDED_WINDOWS / one:.1f} cores feed OTiS-base on an H200"
    yield Row(f"preprocessing, {cores()} cores", every, "windows/s", aim, note=note)


def scorer(sizes: Sizes, device: str) -> Iterator[Row]:
    """ECGs a second of the scorer from arrays in memory, beside its forward pass alone."""
    model, form = RiskModel(built(sizes, "OTiS-base")), forms.default(device)
    whole, network = forms.scorer(model, form, device), forms.network(model, form, device)
    count = BLOCKS * sizes.block
    ecgs = np.random.default_rng(0).normal(size=(count, WINDOWS, 12, 1500)).astype(np.float32)
    unknown = clinical_values([None] * count, [None] * count)
    block = torch.from_numpy(ecgs[: sizes.block]).to(device)
    alone = sizes.block * rate(lambda: network.embed_and_answer(block), device, sizes.seconds)
    scored = count * rate(lambda: whole.embed_and_score(ecgs, unknown), device, sizes.seconds)
    aim = SHARE_OF_FORWARD if device == "cuda" else None
    yield Row(f"scorer, {form}", scored, "ECGs/s")
    yield Row(f"scorer, {form}: share of the forward pass alone", scored / alone, "", aim)


def pipeline(sizes: Sizes, device: str) -> Iterator[Row]:
    """ECGs a second from files of a local folder to rows in Postgres, and what was busy meanwhile."""
    model, form = RiskModel(built(sizes, "OTiS-base")), forms.default(device)
    with tempfile.TemporaryDirectory(dir=_roomy(sizes.ecgs)) as folder:
        settings = Settings(data_dir=Path(folder))
        store = open_store(settings.resolved_store_url, settings)
        write(store, sizes.ecgs)
        with database.connect(settings) as engine:
            scorer = forms.scorer(model, form, device)
            register(engine, scorer)
            scoring.index(engine, store, settings)
            with scoring.open_run(engine, store, settings, scorer) as run:
                run.score(limit=sizes.ecgs // 20)  # compiles what is compiled on first use
                with busy(device) as shares:
                    start = time.perf_counter()
                    done = run.score()
                    seconds = time.perf_counter() - start
    yield from _verdict(done / seconds, shares, form, device)


def _verdict(ecgs: float, shares: dict[str, float], form: str, device: str) -> Iterator[Row]:
    limit = max(shares, key=lambda name: shares[name])
    aims = aim_of(device) is not None
    aim = ECGS_A_SECOND if aims and cores() >= CORES else None
    note = "" if cores() >= CORES else f"the aim is for {CORES} cores, here are {cores()}"
    yield Row(f"files to rows, {form}, {cores()} cores", ecgs, "ECGs/s", aim, note=note)
    for name, share in shares.items():
        decides = name == limit and aims
        yield Row(
            f"  {name} busy", share, "%", BUSY if decides else None, note="the limit" if name == limit else ""
        )


@contextmanager
def busy(device: str) -> Iterator[dict[str, float]]:
    """Yield what will hold the share of time, in percent, in which CPU and GPU were busy in the context."""
    shares: dict[str, float] = {}
    psutil.cpu_percent()
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200"]
    watched = device == "cuda" and shutil.which("nvidia-smi")
    watch = subprocess.Popen(command, stdout=subprocess.PIPE, text=True) if watched else None
    try:
        yield shares
    finally:
        shares["CPU"] = psutil.cpu_percent()
        if watch is not None:
            watch.terminate()
            said = [line for line in watch.communicate()[0].splitlines() if line.strip().isdigit()]
            shares["GPU"] = statistics.fmean(map(int, said)) if said else 0.0


def _roomy(ecgs: int) -> Path | None:
    """A folder in memory, if there is room: the disk is not what is measured."""
    needed = ecgs * BYTES_AN_ECG + 2**30
    return MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > needed else None
