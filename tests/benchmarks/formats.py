"""Reading by format: files a second of one core, beside the best public reader at hand in the same run.

python tests/benchmarks/formats.py [REPETITIONS]

stence also reads all particulars and applies its limits. Real files are those of ../shared, where it is;
formats without one are written by the tests' writers.
"""

from __future__ import annotations

import io
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import edfio
import pydicom
import wfdb
from pydicom.data import get_testdata_file

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests")]

from stence import ecg  # noqa: E402
from support.samples import samples  # noqa: E402

SHARED = ROOT.parent / "shared" / "data"
REAL = {"MUSE": "muse/braveheart_example1.xml", "Sierra": "sierra/129DYPRG.XML", "WFDB": "ludb/1.hea"}
REAL |= {"SCP": "scp/Example.scp", "aECG": "aecg/example_aecg.xml"}
ARCHIVES = ("zip", "tar", "gzip")
PARSERS = {"MUSE": "ge_muse_xml.GEMuseXMLParser", "Sierra": "sierra_xml.SierraXMLParser"}
PARSERS |= {"aECG": "hl7_aecg.HL7aECGParser", "SCP": "scp_ecg.SCPECGParser", "MFER": "mfer.MFERParser"}
PARSERS |= {"ISHNE": "ishne_holter.ISHNEHolterParser"}


class Timed(NamedTuple):
    """Median seconds of thread time of both readers."""

    format: str
    other: str
    size_bytes: int
    ours: float
    theirs: float


def main() -> None:
    """Print a row for each format."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 41
    with TemporaryDirectory() as folder:
        rows = [timed(name, files, Path(folder), repetitions) for name, files in files_of().items()]
    print(f"{'format':8}{'kB':>7}{'files/s':>9}  {'the other reader':16}{'files/s':>9}{'ratio':>8}")
    for row in rows:
        rates = f"{1 / row.ours:9.0f}  {row.other:16}{1 / row.theirs:9.0f}{row.theirs / row.ours:8.1f}"
        print(f"{row.format:8}{row.size_bytes / 1000:7.0f}{rates}")


def files_of() -> dict[str, Mapping[str, bytes]]:
    """Return the files of each format, the main file first."""
    found = {sample.format: sample.files for sample in samples() if sample.format not in ARCHIVES}
    found["DICOM"] = {"ecg.dcm": Path(str(get_testdata_file("waveform_ecg.dcm"))).read_bytes()}
    for name, place in REAL.items():
        if (path := SHARED / place).is_file():
            paths = [path, *([path.with_suffix(".dat")] if name == "WFDB" else [])]
            found[name] = {each.name: each.read_bytes() for each in paths}
    return found


def timed(name: str, files: Mapping[str, bytes], folder: Path, repetitions: int) -> Timed:
    """Time both readers in turns."""
    for file, content in files.items():
        (folder / file).write_bytes(content)
    main_file = next(iter(files))
    other, read = other_reader(name, folder / main_file, files[main_file])
    readers = (lambda: ecg.decode(main_file, files), read)
    taken: tuple[list[float], list[float]] = ([], [])
    for repetition in range(repetitions + 1):
        for reader, times in zip(readers, taken, strict=True):
            start = time.thread_time()
            reader()
            if repetition:  # the first compiles and imports
                times.append(time.thread_time() - start)
    medians = map(statistics.median, taken)
    return Timed(name, other, sum(map(len, files.values())), *medians)


def other_reader(name: str, path: Path, content: bytes) -> tuple[str, Callable[[], object]]:
    """Return the name of a public reader, and its reading of the file."""
    if name == "WFDB":
        return "wfdb", lambda: wfdb.rdrecord(str(path.with_suffix("")))
    if name == "DICOM":
        return "pydicom", lambda: pydicom.dcmread(io.BytesIO(content)).waveform_array(0)
    if name == "EDF":
        return "edfio", lambda: [signal.data for signal in edfio.read_edf(content).signals]
    module, _, parser = PARSERS[name].partition(".")
    reader = getattr(import_module(f"ecgdatakit.parsing.parsers.{module}"), parser)()
    return "ecgdatakit", lambda: reader.parse(path)


if __name__ == "__main__":
    main()
