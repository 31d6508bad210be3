"""Decoding a 12-lead WFDB record (12 x 5000, format 16+24): stence against ``wfdb.rdrecord``.

python tests/benchmarks/wfdb_decode.py
"""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import wfdb

from stence import ecg

SOURCE = Path(__file__).parents[1] / "data" / "wfdb"
RECORD = "E00271"
ROUNDS = 15


def milliseconds(function: Callable[[], object], calls: int) -> float:
    """Of one call, in a row of ``calls``."""
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return 1000 * (time.perf_counter() - start) / calls


def main() -> None:
    with TemporaryDirectory() as folder:
        header = Path(folder, f"{RECORD}.hea")
        shutil.copy(SOURCE / f"{RECORD}.mat", folder)
        text = (SOURCE / header.name).read_text()
        header.write_text(
            text.replace(f"{RECORD}.mat 12", f"{RECORD} 12", 1)
        )  # as it stands, wfdb refuses it
        files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
        theirs = wfdb.rdrecord(str(header.with_suffix(""))).p_signal.T.astype(np.float32)
        recording = ecg.decode(header.name, files)
        if recording.signal.tobytes() != theirs.tobytes():
            raise SystemExit("the two disagree")
        ways: list[tuple[str, Callable[[], object], int]] = [
            ("wfdb.rdrecord, from a file", lambda: wfdb.rdrecord(str(header.with_suffix(""))), 5),
            ("stence.ecg.read, from a file", lambda: ecg.read(header), 50),
            ("stence.ecg.decode, from bytes", lambda: ecg.decode(header.name, files), 100),
            ("  and the quality check", lambda: ecg.check(recording), 100),
            ("  and the content hash", lambda: recording.content_hash, 100),
        ]
        for _, function, _ in ways:
            function()
        rounds = [[milliseconds(function, calls) for _, function, calls in ways] for _ in range(ROUNDS)]
        medians = [statistics.median(times) for times in zip(*rounds, strict=True)]
    print(f"{'median of ' + str(ROUNDS) + ' rounds, alternating':36} {'ms':>8} {'times as fast':>14}")
    for (name, _, _), median in zip(ways, medians, strict=True):
        print(f"{name:36} {median:8.3f} {medians[0] / median:14.1f}")


if __name__ == "__main__":
    main()
