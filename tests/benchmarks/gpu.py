"""Everything that a GPU is for, on this host's GPU, in one table with what has to hold.

python tests/benchmarks/gpu.py [--minutes 8] [--smoke]

It needs no network. ``--smoke`` runs all of it in tiny sizes, on the CPU as well: its figures mean nothing.
What decides comes first; what the minutes do not suffice for is left out, and named.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from gpu_parts import forward, pipeline, training
from gpu_parts.measuring import PUBLISHED, SMOKE, Row, Sizes

Part = Callable[[Sizes, str], Iterator[Row]]


def parts(sizes: Sizes) -> dict[str, Part]:
    """Parts in the order of their importance."""
    first, *others = sizes.encoders
    return {
        "roofline": forward.roofline,
        first: partial(forward.forward, names=(first,)),
        "scorer": pipeline.scorer,
        "preprocessing": pipeline.preprocessing,
        "files to rows": pipeline.pipeline,
        "teacher": training.teacher,
        "pretraining": training.pretraining,
        "fine-tuning": training.finetuning,
        "DINOv2": training.dinov2,
        **{name: partial(forward.forward, names=(name,)) for name in others},
    }


def measure(sizes: Sizes, device: str, end: float) -> list[str]:
    """Print the rows; return what failed or was left out, in words. A part that breaks stops no other."""
    troubles = []
    for name, part in parts(sizes).items():
        if time.monotonic() > end:
            troubles.append(f"{name}: left out, the minutes are over")
            continue
        try:
            for row in part(sizes, device):
                print(row.text(), flush=True)
                if row.verdict == "FAIL":
                    troubles.append(f"{row.what}: {row.value:,.4g} {row.unit}, aim {row.aim:,.4g}")
        except Exception as error:
            traceback.print_exc()
            troubles.append(f"{name}: {type(error).__name__}")
    return troubles


def heading(device: str, sizes: Sizes) -> str:
    """The device, the versions, and whether the figures mean anything."""
    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU {platform.machine()}, no GPU"
    versions = f"torch {torch.__version__}, Python {platform.python_version()}"
    smoke = "; SMOKE: tiny sizes, these figures mean nothing" if sizes is SMOKE else ""
    return f"{name}, {pipeline.cores()} cores, {versions}{smoke}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--smoke", action="store_true")
    chosen = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not chosen.smoke:
        print("torch sees no GPU: there is nothing to measure. --smoke tries the code in tiny sizes.")
        return 2
    sizes = SMOKE if chosen.smoke else PUBLISHED
    print(heading(device, sizes))
    troubles = measure(sizes, device, time.monotonic() + 60 * chosen.minutes)
    print("\n".join(["", "Not as it should be:", *troubles] if troubles else ["", "All aims are reached."]))
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
