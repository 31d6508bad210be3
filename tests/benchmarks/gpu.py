"""Everything that a GPU is for, on this host's GPU, in one table with what has to hold.

python tests/benchmarks/gpu.py [--minutes 8] [--only PART ...] [--smoke]

It needs no network. ``--smoke`` runs all of it in tiny sizes, on the CPU as well: its figures mean nothing.
What decides comes first; what the minutes do not suffice for is left out, and named, for a run of its own.
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


def measure(name: str, rows: Iterator[Row], end: float) -> Iterator[str]:
    """Print the rows of a part; yield what failed or was left out, in words. A broken part stops no other."""
    try:
        while time.monotonic() < end:
            if (row := next(rows, None)) is None:
                return
            print(row.text(), flush=True)
            if row.verdict == "FAIL":
                yield f"{row.what}: {row.value:,.4g} {row.unit}, aim {row.aim:,.4g}"
        yield f"{name}: the minutes are over, run it with --only '{name}'"
    except Exception as error:
        traceback.print_exc()
        yield f"{name}: {type(error).__name__}"


def heading(device: str, sizes: Sizes) -> str:
    """The device, the versions, and whether the figures mean anything."""
    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU {platform.machine()}, no GPU"
    versions = f"torch {torch.__version__}, Python {platform.python_version()}"
    smoke = "; SMOKE: tiny sizes, these figures mean nothing" if sizes is SMOKE else ""
    return f"{name}, {pipeline.cores()} cores, {versions}{smoke}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--only", nargs="+", choices=[*parts(PUBLISHED)], help="Parts to measure.")
    parser.add_argument("--smoke", action="store_true")
    chosen = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not chosen.smoke:
        print("torch sees no GPU: there is nothing to measure. --smoke tries the code in tiny sizes.")
        return 2
    sizes = SMOKE if chosen.smoke else PUBLISHED
    print(heading(device, sizes))
    end = time.monotonic() + 60 * chosen.minutes
    wanted = [(name, part) for name, part in parts(sizes).items() if name in (chosen.only or parts(sizes))]
    troubles = [said for name, part in wanted for said in measure(name, part(sizes, device), end)]
    print("\n".join(["", "Not as it should be:", *troubles] if troubles else ["", "All aims are reached."]))
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
