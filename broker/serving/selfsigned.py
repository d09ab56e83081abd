"""Self-signed certificates, by the library `cryptography`, which is an extra."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from ipaddress import ip_address

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

_SUBJECT = "Replika Broker, for development only"


class SelfSigned(msgspec.Struct, frozen=True):
    """A certificate that vouches for itself, and its key, as PEM."""

    certificate: bytes
    key: bytes

    def validity(self) -> tuple[datetime, datetime] | None:
        """Return from when to when it holds; None if these are no certificate and its key."""
        try:
            certificate = x509.load_pem_x509_certificate(self.certificate)
            key = load_pem_private_key(self.key, password=None)
        except (ValueError, TypeError):
            return None
        if certificate.public_key() != key.public_key():
            return None
        return certificate.not_valid_before_utc, certificate.not_valid_after_utc


def sign(names: Sequence[str], *, since: datetime, until: datetime) -> SelfSigned:
    """Make a key, and a certificate that says it belongs to hosts and addresses of these names.

    It is no authority: who trusts it trusts nothing else that the key could sign. It has the
    extensions that OpenSSL, when it is strict, demands of whatever is trusted (RFC 5280, 4.2).
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, _SUBJECT)])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.SubjectAlternativeName([*map(_general, names)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_signatures_only(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.OID_SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(authority, critical=False)
    )
    return SelfSigned(
        certificate=builder.sign(key, SHA256()).public_bytes(Encoding.PEM),
        key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _signatures_only() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
