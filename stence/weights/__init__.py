"""Published weights: a person imports them into the object store once, and stence reads them from there.

Nothing is ever downloaded, and code in a file is never run.
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
