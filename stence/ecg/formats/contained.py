"""The one ECG in an archive."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from stence.ecg.formats import archives, wfdb
from stence.ecg.formats.archives import Member
from stence.ecg.formats.kinds import FileKind, file_kind, is_header, is_hidden
from stence.ecg.formats.limits import Limits
from stence.ecg.formats.tables import Layout
from stence.ecg.reasons import Reason, UnusableEcgError, refuse

Files = Mapping[str, bytes]
"""Contents of the files of one folder, by name."""


def only_ecg(name: str, content: bytes, limits: Limits, layout: Layout | None) -> tuple[str, Files]:
    """Return the name of the main file of the only ECG in an archive, and the files of its folder.

    Tables are ECGs if there is a ``layout``. Raises UnusableEcgError if there is no ECG or more than one.
    """
    folders = _by_folder(archives.members(name, content, limits))
    found = [(main, files) for files in folders.values() for main in _main_files(files, limits, layout)]
    if not found:
        raise refuse(Reason.UNSUPPORTED_FORMAT, "the archive holds no ECG", value=0)
    if len(found) > 1:
        detail = f"the archive holds {len(found)} ECGs; `stence unpack` writes them into the store"
        raise refuse(Reason.SEVERAL_ECGS, detail, value=len(found))
    return found[0]


def _by_folder(members: Iterable[Member]) -> dict[str, dict[str, bytes]]:
    """Group members that are not hidden by folder, and name them within it."""
    folders: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
    for path, content in members:
        if not is_hidden(path):
            folder, _, name = path.rpartition("/")
            folders[folder][name] = content
    return folders


def _main_files(files: Files, limits: Limits, layout: Layout | None) -> list[str]:
    """Return the names of the main files, without those that belong to another one."""
    mains = [name for name in files if _is_main(name, layout)]
    parts = {part for header in filter(is_header, mains) for part in _parts(header, files, limits)}
    return [name for name in mains if name not in parts]


def _is_main(name: str, layout: Layout | None) -> bool:
    return file_kind(name) is FileKind.MAIN or (layout is not None and name.lower().endswith(layout.suffix))


def _parts(header: str, files: Files, limits: Limits) -> tuple[str, ...]:
    try:
        return wfdb.parts(files[header], files, limits)
    except UnusableEcgError:  # decoding the record says why
        return ()
