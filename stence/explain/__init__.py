"""Explanation: pages of ECGs for a cardiologist, with the drawing, the score, and where the model looked."""

from __future__ import annotations
