"""Weights that others published: brought into the store once, by a person, and read from there.

Nothing is ever downloaded, and no file's code is ever run.
"""

from __future__ import annotations

from stence.weights.imported import Manifest, import_weights, list_imported, read, read_manifest
from stence.weights.published import ECG_ENCODER, IMPORTABLES, Importable

__all__ = [
    "ECG_ENCODER",
    "IMPORTABLES",
    "Importable",
    "Manifest",
    "import_weights",
    "list_imported",
    "read",
    "read_manifest",
]
