"""What becomes of mutated files of every format in a run of the scorer, by outcome and format.

python tests/benchmarks/mutated_files.py [FILES]

Each number gives the same file again. tests/fuzz/test_mutated_files.py does the same with a tenth of them.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS)]
os.environ["PYTHONPATH"] = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])

from stence import database  # noqa: E402
from stence.settings import Settings  # noqa: E402
from support.campaigns import LIMIT_SECONDS, score_mutated  # noqa: E402


def main() -> None:
    """Print the table, and what no file may do."""
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with TemporaryDirectory(prefix="stence-bench-") as folder:
        settings = Settings(data_dir=Path(folder), decode_seconds=LIMIT_SECONDS)
        start = time.perf_counter()
        with database.connect(settings) as engine:
            outcomes = score_mutated(engine, settings, files)
    seconds, ended = time.perf_counter() - start, sum(outcomes.counted.values())
    print(outcomes.table())
    print(f"{ended} outcomes of {files} records in {seconds:.0f} s; {outcomes.unaccounted} without just one;")
    print(f"the largest process took {outcomes.largest_mib:.0f} MiB")


if __name__ == "__main__":
    main()
