"""Forget patients, and rows that are older than the settings keep them; the opt-out list.

The hospital's own files stay in the store. ECGs, reports and angiograms of a patient on the opt-out list are
not taken up again: files end in quarantine as ``opted_out``, and nothing of them is kept.
"""

from __future__ import annotations

from stence.forgetting.opting_out import opt_in, opt_out
from stence.forgetting.patients import Forgotten, forget, try_forgetting

__all__ = ["Forgotten", "forget", "opt_in", "opt_out", "try_forgetting"]
