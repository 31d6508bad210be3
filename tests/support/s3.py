"""A real S3 server, and stores in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest


class S3Server:
    """A real S3 server on loopback, with its state in ``folder``, that a test may kill and start again."""

    def __init__(self, scripts: Path, folder: Path) -> None:
        self.folder = folder
        for name in ("start_rgw.py", "start_s3.py"):  # Ceph where it can be installed, else Swift
            self.script = scripts / name
            if self.start():
                return
        raise RuntimeError(f"no S3 server starts; see {folder}/server.log")

    def start(self) -> bool:
        """Start it and wait until it answers; whether it does."""
        command = [sys.executable, str(self.script), "run", "--with-parent", "--dir", str(self.folder)]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        ready = self.folder / "s3.json"
        while self.process.poll() is None:
            if ready.is_file() and (found := json.loads(ready.read_text()))["pid"] == self.process.pid:
                self.settings = {
                    "s3_endpoint_url": found["endpoint_url"],
                    "s3_access_key": found["access_key"],
                    "s3_secret_key": found["secret_key"],
                    "s3_region": found["region"],
                }
                return True
            time.sleep(0.05)
        return False

    def kill(self) -> None:
        """As a power cut would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """In good order."""
        self.process.terminate()
        self.process.wait(60)

    def make_bucket(self) -> str:
        """A new, empty bucket's name."""
        client = boto3.session.Session().client(
            "s3",
            endpoint_url=self.settings["s3_endpoint_url"],
            aws_access_key_id=self.settings["s3_access_key"],
            aws_secret_access_key=self.settings["s3_secret_key"],
            region_name=self.settings["s3_region"],
        )
        client.create_bucket(Bucket=(name := f"test-{uuid.uuid4().hex[:12]}"))
        return name


@pytest.fixture(scope="session")
def s3_server(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server, started once; only CI must have one."""
    try:
        server = S3Server(shared / "s3", tmp_path_factory.mktemp("s3"))
    except RuntimeError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def s3_bucket(s3_server: S3Server) -> str:
    """A bucket of the S3 server."""
    return s3_server.make_bucket()


@pytest.fixture
def s3_settings(s3_server: S3Server, s3_bucket: str) -> dict[str, Any]:
    """Arguments of Settings for an S3 store that is this test's own."""
    return {**s3_server.settings, "store_url": f"s3://{s3_bucket}/{uuid.uuid4().hex}"}
