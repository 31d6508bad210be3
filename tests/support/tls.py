"""Certificates of an authority of the test's own, and a TLS proxy in front of a server without TLS."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ADDRESS = "127.0.0.1"
SSL_REQUEST = bytes([0, 0, 0, 8, 4, 210, 22, 47])


class Authority:
    """A certificate authority in ``folder``: ``ca`` is its certificate."""

    def __init__(self, folder: Path) -> None:
        self.ca = folder / "ca.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority of a test")])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        certificate = (
            _builder(self._name, self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.ca.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, folder: Path) -> tuple[Path, Path]:
        """Certificate and key of a server on ADDRESS."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server of a test")])
        certificate = (
            _builder(name, self._name, key)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(ADDRESS))]), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        files = folder / "server.crt", folder / "server.key"
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        files[1].chmod(0o600)
        return files


def _builder(name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


@contextmanager
def behind_tls(
    connect: Callable[[], socket.socket], certificate: Path, key: Path, *, postgres: bool = False
) -> Iterator[int]:
    """The port of a proxy to a server, on ADDRESS and through TLS alone.

    ``postgres``: the client asks for TLS by an SSLRequest (PostgreSQL, Frontend/Backend Protocol, 54.2.10).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def relay(client: socket.socket) -> None:
        with suppress(OSError), connect() as server:
            if postgres:
                assert client.recv(8) == SSL_REQUEST
                client.sendall(b"S")
            secured = context.wrap_socket(client, server_side=True)
            Thread(target=_copy, args=(server, secured), daemon=True).start()
            _copy(secured, server)

    with socket.create_server((ADDRESS, 0)) as listening:
        Thread(target=_accept, args=(listening, relay), daemon=True).start()
        yield listening.getsockname()[1]


def _accept(listening: socket.socket, relay: Callable[[socket.socket], None]) -> None:
    with suppress(OSError):
        while True:
            Thread(target=relay, args=listening.accept()[:1], daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while content := source.recv(65536):
            target.sendall(content)
        target.shutdown(socket.SHUT_WR)
