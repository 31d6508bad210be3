"""The practice hospital: patients, coronary disease, routine ECGs and cath reports with a known link."""

from __future__ import annotations

from stence.simulation.hospital import HospitalConfig, simulate
from stence.simulation.summary import SimulationSummary

__all__ = ["HospitalConfig", "SimulationSummary", "simulate"]
