"""Temporary files: private, removed at the end, and after kill -9 by the next process."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from stence import temporary
from stence.inference import cache
from stence.objects.local import LocalStore

OWNER = """
import pathlib, subprocess, sys, tempfile
from stence import temporary

with temporary.in_data_folder(pathlib.Path(sys.argv[1])):
    pathlib.Path(tempfile.mkdtemp(), "OROURKE.dat").write_text("an ECG")
    child = "import tempfile; print(tempfile.mkdtemp(), flush=True)"
    subprocess.run([sys.executable, "-c", child], check=True)
    sys.stdin.read()
"""


def left(data_dir: Path) -> list[Path]:
    return [path for path in (data_dir / "tmp").iterdir() if path.name != temporary.GATE]


def start(data_dir: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process with temporary files; the folder that its child made."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, data_dir], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_files_of_a_killed_process_are_removed_and_those_of_a_living_one_stay(tmp_path: Path) -> None:
    killed, of_killed = start(tmp_path)
    living, of_living = start(tmp_path)
    assert of_killed.is_relative_to(tmp_path / "tmp")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert of_killed.is_dir()
    with temporary.in_data_folder(tmp_path):
        assert not of_killed.exists()
        assert of_living.is_dir()
    living.communicate("")
    assert left(tmp_path) == []


def test_temporary_files_are_private_and_the_usual_place_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", "/elsewhere")
    before = tempfile.tempdir
    with temporary.in_data_folder(tmp_path) as folder:
        assert tempfile.gettempdir() == os.environ["TMPDIR"] == str(folder)
        for path in (folder, folder.parent):
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert tempfile.tempdir == before
    assert os.environ["TMPDIR"] == "/elsewhere"
    assert not folder.exists()


def test_other_files_and_links_are_not_touched(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "link").symlink_to(elsewhere)
    (tmp_path / "tmp" / "a file").write_text("kept")
    with temporary.in_data_folder(tmp_path):
        pass
    assert elsewhere.is_dir()
    assert {path.name for path in left(tmp_path)} == {"link", "a file"}


def test_a_derived_folder_that_was_never_finished_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "forms" / "int8"

    def fail() -> None:
        with cache.writing(folder) as unfinished:
            (unfinished / "model.bin").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    with cache.writing(folder) as unfinished:
        (unfinished / "model.bin").write_text("whole")
    assert cache.is_unaltered(folder)
    assert [path.name for path in (folder.parent / cache.UNFINISHED).iterdir()] == [temporary.GATE]


def test_a_listing_removes_unfinished_writes_of_yesterday(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put("ecg/1.hea", b"x")
    old, new = (tmp_path / "ecg" / f".stence-{digit * 32}.tmp" for digit in "ab")
    for path in (old, new):
        path.write_text("OROURKE")
    day_ago = time.time() - 25 * 3600
    os.utime(old, (day_ago, day_ago))
    assert [found.key for found in store.list("ecg/")] == ["ecg/1.hea"]
    assert not old.exists()
    assert new.exists()
