"""Decoding pydicom's 12-lead ECG: stence, with all particulars, against ``waveform_array`` of pydicom.

python tests/benchmarks/dicom_decode.py
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pydicom
from pydicom.data import get_testdata_file

from stence import ecg

REPETITIONS = 60


def main() -> None:
    """Print the median milliseconds of both, measured in turns."""
    content = Path(str(get_testdata_file("waveform_ecg.dcm"))).read_bytes()
    readers: dict[str, Callable[[], object]] = {
        "stence": lambda: ecg.decode("1.dcm", {"1.dcm": content}),
        "pydicom": lambda: pydicom.dcmread(io.BytesIO(content)).waveform_array(0),
    }
    taken: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(REPETITIONS):
        for name, read in readers.items():
            start = time.perf_counter()
            read()
            taken[name].append(time.perf_counter() - start)
    medians = {name: 1000 * statistics.median(times) for name, times in taken.items()}
    for name, median in medians.items():
        print(f"{name:8} {median:6.2f} ms  {median / medians['stence']:5.1f}x")


if __name__ == "__main__":
    main()
