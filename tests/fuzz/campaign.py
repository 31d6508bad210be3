"""Coverage-guided fuzzing of one format with atheris (libFuzzer).

    python tests/fuzz/campaign.py --format muse --minutes 10

It starts from the samples of the format and from what earlier campaigns found (``--corpus``), so it can be
stopped and resumed. Each new failure is made smaller, and becomes a file in ``tests/fuzz/crashes/FORMAT``;
test_crashes.py replays all of them. The command ends with 1 where something was found. A crash of the process
itself and a hang are written there by libFuzzer, which then stops.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from tempfile import gettempdir
from typing import NoReturn

import atheris

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
COMPILED = ("xli", "aecg.sequences", "scp.huffman", "wfdb_samples", "dicom_index")
"""Modules with loops for numba, which cannot compile what atheris has instrumented."""
with atheris.instrument_imports(
    include=["stence.ecg.formats"], exclude=[f"stence.ecg.formats.{name}" for name in COMPILED]
):
    from stence.ecg.formats import _MODULES
    from support.decoding import FailureError, outcome

    for module in _MODULES:  # these are imported on first use, which would be too late
        import_module(f"stence.ecg.formats.{module}")
from support.checksums import repaired  # noqa: E402
from support.mutations import mutated  # noqa: E402
from support.samples import Sample, samples  # noqa: E402

CRASHES = Path(__file__).parent / "crashes"
MAX_BYTES = 2**18
HANG_SECONDS = 20
"""After this the process is stopped. Less than this but over the limit of ``outcome`` is a failure too."""
SMALLER_SECONDS = 20.0


class Campaign:
    """Failures of one sample's format. ``folder`` gets the files that cause them."""

    def __init__(self, sample: Sample, folder: Path, seconds: float) -> None:
        self._sample, self._folder = sample, folder
        self._until = time.monotonic() + seconds
        self.failures: dict[str, Path] = {}
        self.outcomes: Counter[str] = Counter()

    def __call__(self, content: bytes) -> None:
        """Decode the content in place of the sample's main file, and keep what fails for a new reason."""
        failure, ended = self._failure(content)
        self.outcomes[ended] += 1
        if failure is not None and failure not in self.failures:
            self.failures[failure] = self._kept(self._smaller(content, failure))
            print(f"found: {failure} in {self.failures[failure]}", flush=True)
        if time.monotonic() > self._until:
            self._end()

    def _end(self) -> NoReturn:
        """Print the outcomes and end the process: libFuzzer would end it without a word."""
        for ended, count in self.outcomes.most_common():
            print(f"{count:9} {ended}")
        print(f"{len(self.failures)} failures", flush=True)
        os._exit(1 if self.failures else 0)

    def mutate(self, content: bytes, max_bytes: int, seed: int) -> bytes:
        """Return libFuzzer's mutation, or one that knows the format; mostly with right checksums."""
        rng = random.Random(seed)
        changed = atheris.Mutate(content, max_bytes) if rng.random() < 0.5 else mutated(content, str(seed))
        return (repaired(changed) if rng.random() < 0.9 else changed)[:max_bytes]

    def _failure(self, content: bytes) -> tuple[str | None, str]:
        try:
            return None, outcome(self._sample.name, {**self._sample.files, self._sample.name: content})
        except FailureError as error:
            return str(error).partition(" s")[0].rstrip("0123456789."), "failure"

    def _smaller(self, content: bytes, failure: str) -> bytes:
        """Return the content without the stretches that the failure does not need."""
        until = time.monotonic() + SMALLER_SECONDS
        for stretch in _stretches(content):
            start = 0
            while start < len(content) and time.monotonic() < until:
                shorter = content[:start] + content[start + stretch :]
                if self._failure(shorter)[0] == failure:
                    content = shorter
                else:
                    start += stretch
        return content

    def _kept(self, content: bytes) -> Path:
        path = self._folder / f"{hashlib.sha256(content).hexdigest()[:12]}{Path(self._sample.name).suffix}"
        path.write_bytes(content)
        return path


def _stretches(content: bytes) -> Iterator[int]:
    stretch = len(content) // 2
    while stretch:
        yield stretch
        stretch //= 2


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--format", required=True, help="start of a format's name in support/samples.py")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--corpus", type=Path, default=Path(gettempdir(), "stence-fuzz"))
    return parser.parse_args()


def _sample(name: str) -> Sample:
    found = [sample for sample in samples() if sample.format.lower().startswith(name.lower())]
    if not found:
        raise SystemExit(f"no format {name}; there are {', '.join(sample.format for sample in samples())}")
    return found[0]


def main() -> None:
    """Run the campaign."""
    given = _arguments()
    sample = _sample(given.format)
    folder = sample.format.lower().replace(" ", "_")
    with suppress(FailureError):
        outcome(sample.name, sample.files)  # compiles, which takes longer than any file may
    campaign = Campaign(sample, CRASHES / folder, 60 * given.minutes)
    corpus = given.corpus / folder
    for each in (corpus, CRASHES / folder):
        each.mkdir(parents=True, exist_ok=True)
    (corpus / "sample").write_bytes(sample.files[sample.name])
    limits = [f"-max_len={MAX_BYTES}", "-rss_limit_mb=4096", "-verbosity=0"]
    kept = [f"-timeout={HANG_SECONDS}", f"-artifact_prefix={CRASHES / folder}/", str(corpus)]
    atheris.Setup([sys.argv[0], *limits, *kept], campaign, custom_mutator=campaign.mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
