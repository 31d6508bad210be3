"""Explanation: pages of ECGs for a cardiologist, with the drawing, the score, and where the model looked."""

from __future__ import annotations

from stence.explain.inspecting import Inspection, inspect_file, inspect_object
from stence.explain.pages import EcgPage, PageCounts, explain_ecg, write_pages
from stence.explain.ward import WardList, ward_list, write_ward_list

__all__ = [
    "EcgPage",
    "Inspection",
    "PageCounts",
    "WardList",
    "explain_ecg",
    "inspect_file",
    "inspect_object",
    "ward_list",
    "write_pages",
    "write_ward_list",
]
