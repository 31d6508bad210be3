"""Mutated files of every format go through a whole run: each has one outcome, and no process ends."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from stence.settings import Settings
from support.campaigns import LIMIT_SECONDS, score_mutated
from support.preparing import own_processes
from support.samples import samples

__all__ = ["own_processes"]

FILES = 10_000
MAX_MIB = 1000
"""Memory of a process that prepares ECGs, with all formats loaded. Without any file it takes about 90."""


@pytest.mark.slow
@pytest.mark.usefixtures("own_processes")
def test_ten_thousand_mutated_files_have_one_outcome_each(engine: Engine, settings: Settings) -> None:
    limited = settings.model_copy(update={"decode_seconds": LIMIT_SECONDS})
    outcomes = score_mutated(engine, limited, FILES)
    print(outcomes.table())
    assert outcomes.unaccounted == 0
    assert sum(outcomes.counted.values()) >= FILES
    assert {form for form, _ in outcomes.counted} == {sample.format for sample in samples()}
    assert not [form for form, outcome in outcomes.counted if outcome in ("decoder_died", "unwritable")]
    assert outcomes.largest_mib < MAX_MIB
