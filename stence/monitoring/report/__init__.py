"""The monitoring report: one HTML page with everything in it, written into the store beside the last ones."""

from __future__ import annotations

from stence.monitoring.report.writing import ReportFile, write_report

__all__ = ["ReportFile", "write_report"]
