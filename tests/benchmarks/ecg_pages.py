"""How long pages of 100 flagged ECGs take, and what an explanation costs with a large encoder.

python tests/benchmarks/ecg_pages.py [ECGS]

The pages' model is tiny, so that its passes hardly count: what remains is reading, delineation, drawing, SQL
and the store.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))  # for support

import numpy as np
import torch

from stence import database, registry, scoring
from stence.ecg import Recording
from stence.ecg.recipes import STENCE
from stence.encoders import build
from stence.explain import write_pages
from stence.explain.saliency import explain
from stence.models import Calibration, RiskModel, RiskScorer
from stence.objects import open_store
from stence.settings import Settings
from support.champion import crown
from support.database import server_folder
from support.ecgs import heartbeats, store_ecg
from support.scoring import give_patients

LARGE = {"otis": {}, "ecgfounder": {}}
"""Encoders at their published size."""
EXPLAINED = 1


def main() -> None:
    ecgs = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    print(f"{torch.get_num_threads()} threads")
    seconds, cpu, sizes = pages(ecgs)
    kilobytes = np.array(sizes) / 1000
    print(f"{ecgs} pages: {seconds:.1f} s, {cpu:.1f} s of CPU, median {np.median(kilobytes):.0f} kB")
    for name, config in LARGE.items():
        torch.manual_seed(1)
        model = RiskModel(build(name, **{"window_samples": STENCE.samples, **config})).eval()
        about = {"model_version": name, "recipe": STENCE, "windows": 3, "thresholds": {}}
        scorer = RiskScorer(model, Calibration(), **about)
        recordings = [Recording(heartbeats(n).astype(np.float32) / 1000, 500) for n in range(EXPLAINED)]
        explain(scorer, recordings[0], seed=1)
        start = time.perf_counter()
        for recording in recordings:
            explain(scorer, recording, seed=1)
        each = (time.perf_counter() - start) / EXPLAINED
        start = time.perf_counter()
        scorer.score(np.stack([scorer.prepare(recording) for recording in recordings]))
        once = (time.perf_counter() - start) / EXPLAINED
        print(f"{name}: {each:.1f} s an explanation, {once:.2f} s a score")


def pages(count: int) -> tuple[float, float, list[int]]:
    """Seconds and CPU seconds for the pages of ``count`` flagged ECGs, and the sizes in bytes."""
    with server_folder() as folder, TemporaryDirectory() as data:
        settings = Settings(data_dir=folder, store_url=Path(data).as_uri(), device="cpu")
        with database.connect(settings) as engine:
            store = open_store(settings.resolved_store_url, settings)
            for number in range(count):
                store_ecg(store, f"ecg/{number}.hea", heartbeats(number))
            give_patients(store, *((f"p{number}", str(number)) for number in range(count)))
            crown(engine, store, settings, threshold=0)
            champion = registry.load_champion(engine, store, settings)
            scoring.index(engine, store, settings)
            with scoring.open_run(engine, store, settings, champion) as run:
                while run.score():
                    pass
            start, cpu = time.perf_counter(), time.process_time()
            counts = write_pages(engine, store, settings, champion)
            seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
            if counts.written != count:
                raise SystemExit(f"{counts.written} of {count} pages")
            return seconds, cpu, [found.size for found in store.list(settings.page_prefix)]


if __name__ == "__main__":
    main()
