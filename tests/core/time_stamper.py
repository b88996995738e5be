"""A time-stamping authority for tests: `openssl ts -reply` behind a small HTTP server."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.listening import listening

OPENSSL = shutil.which("openssl")
_CONFIG = """
[tsa]
default_tsa = authority
[authority]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
default_policy = 1.2.3.4.1
digests = sha256, sha512
signer_digest = sha256
ess_cert_id_chain = no
"""


@dataclass
class Authority:
    """A certificate authority, its time-stamping certificate, and what became of its requests.

    Attributes:
        behaviour: `stamp`, `replay` (always the first answer), `refuse` (503), `hang` or `drip`.
        queries: how many requests have come.
    """

    folder: Path
    behaviour: str = "stamp"
    url: str = ""
    queries: int = 0
    ends: threading.Event = field(default_factory=threading.Event)
    first: bytes = b""

    @property
    def roots(self) -> Path:
        return self.folder / "root.pem"

    def reply(self, query: bytes) -> bytes:
        if self.behaviour == "replay" and self.first:
            return self.first
        (self.folder / "query").write_bytes(query)
        done = subprocess.run(
            [
                str(OPENSSL), "ts", "-reply", "-config", str(self.folder / "tsa.cnf"),
                "-section", "authority", "-queryfile", str(self.folder / "query"),
            ],
            capture_output=True,
            check=True,
        )  # fmt: skip
        self.first = self.first or done.stdout
        return done.stdout


@contextmanager
def serving(folder: Path) -> Iterator[Authority]:
    """A new authority with keys of its own, listening on loopback."""
    authority = Authority(folder)
    _make_certificates(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            authority.queries += 1
            query = self.rfile.read(int(self.headers["Content-Length"]))
            if authority.behaviour == "refuse":
                self.send_error(503)
                return
            if authority.behaviour == "hang":
                authority.ends.wait()
                return
            answer = authority.reply(query)
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            if authority.behaviour == "drip":
                self._drip(answer)
            else:
                self.wfile.write(answer)

        def _drip(self, answer: bytes) -> None:
            with contextlib.suppress(ConnectionError):
                for at in range(len(answer)):
                    self.wfile.write(answer[at : at + 1])
                    if authority.ends.wait(0.05):
                        return

        def log_message(self, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with listening(server) as address:
        authority.url = f"{address}/tsr"
        try:
            yield authority
        finally:
            authority.ends.set()


def _make_certificates(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = _certificate("Test root", root_key, "Test root", root_key)
    leaf = _certificate("Test TSA", key, "Test root", root_key)
    (folder / "root.pem").write_bytes(root.public_bytes(serialization.Encoding.PEM))
    (folder / "tsa.pem").write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    (folder / "tsa.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (folder / "tsa.cnf").write_text(_CONFIG.format(folder=folder))
    (folder / "serial").write_text("01\n")


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    now = datetime.now(UTC)
    is_root = name == issuer
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=not is_root, key_cert_sign=is_root, crl_sign=is_root,
                content_commitment=False, key_encipherment=False, data_encipherment=False,
                key_agreement=False, encipher_only=False, decipher_only=False,
            ),
            critical=True,
        )
    )  # fmt: skip
    if not is_root:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        builder = builder.add_extension(usage, critical=True)
    return builder.sign(issuer_key, hashes.SHA256())
