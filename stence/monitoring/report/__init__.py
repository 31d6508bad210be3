"""The monitoring report: one self-contained HTML page in the store, one for each day."""

from __future__ import annotations

from stence.monitoring.report.writing import ReportFile, write_report

__all__ = ["ReportFile", "write_report"]
