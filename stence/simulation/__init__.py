"""The practice hospital: simulated patients, coronary disease, ECGs and cath reports with known relations."""

from __future__ import annotations

from stence.simulation.feed import FeedConfig, simulate_days
from stence.simulation.feed_faults import FEED_FAULTS
from stence.simulation.feed_reports import write_reports
from stence.simulation.hospital import HospitalConfig, simulate
from stence.simulation.summary import SimulationSummary

__all__ = [
    "FEED_FAULTS",
    "FeedConfig",
    "HospitalConfig",
    "SimulationSummary",
    "simulate",
    "simulate_days",
    "write_reports",
]
