"""A real S3 server on this machine (moto's), with a bucket; and who reads what from it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock
from urllib.request import urlopen

import pytest

from patience import wait_until
from server_programs import free_port

_ACCOUNT = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def s3_server(log: Path) -> Iterator[str]:
    """Its address, to which every process started meanwhile goes for `s3://`."""
    for package in ("moto", "s3fs"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("w") as said, subprocess.Popen(command, stdout=said, stderr=said) as server:
        try:
            wait_until(lambda: _answers(address), "the S3 server", 60)
            with mock.patch.dict(os.environ, {**_ACCOUNT, "AWS_ENDPOINT_URL": address}):
                yield address
        finally:
            server.kill()


def _answers(address: str) -> bool:
    try:
        with urlopen(f"{address}/moto-api/", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
