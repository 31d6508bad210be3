"""Zip, tar and gzip files, also such as no program writes."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip file, as Python writes it."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def tarred(
    files: Mapping[str, bytes], tar_format: int = tarfile.PAX_FORMAT, *others: tarfile.TarInfo
) -> bytes:
    """A tar file, as Python writes it; ``others`` are members without content."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tar_format) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for other in others:
            archive.addfile(other)
    return content.getvalue()


def link(kind: bytes, target: str = "/etc/passwd") -> tarfile.TarInfo:
    """A link or device for a tar file."""
    member = tarfile.TarInfo("link.xml")
    member.type, member.linkname = kind, target
    return member
