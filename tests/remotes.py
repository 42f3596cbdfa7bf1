"""Places behind URLs for tests: a folder, memory, and an S3 server on loopback."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

BUCKET = "results"


@contextmanager
def s3_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty prefix on a moto server; where it is and its credentials are in the usual variables."""
    import boto3
    from moto.server import ThreadedMotoServer

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        usual = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": "hidden",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        for name, value in usual.items():
            monkeypatch.setenv(name, value)
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        client.close()
        yield f"s3://{BUCKET}/{uuid.uuid4().hex}"
    finally:
        server.stop()
        forget_connections()


def forget_connections() -> None:
    """The next store opens its URL anew."""
    from s3fs import S3FileSystem

    from optimizers import remote

    remote._opened.cache_clear()
    S3FileSystem.clear_instance_cache()
