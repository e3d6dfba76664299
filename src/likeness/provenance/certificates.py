"""Who signs: the operator's certificate and key, or a pair that is made here once.

The self-made signer is certified by an authority whose key is thrown away as soon as it has signed, so nothing else can
ever be issued in its name. Whoever is given the authority's certificate (`ca.pem`) can tell these pictures from others.
"""

from __future__ import annotations

import datetime
import os
import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import MissingExtra, UsageError
from ..files import state_folder

FOLDER, AUTHORITY, CHAIN, KEY = "certificates", "ca.pem", "signer.pem", "signer.key"
YEARS = 10
NEEDED = "signing pictures needs c2pa-python and cryptography: pip install 'likeness[service]'"


@dataclass(frozen=True)
class Credentials:
    """What signs. chain: PEM, the signer's certificate first; key: PEM (PKCS 8); algorithm: C2PA's name for it."""

    chain: str
    key: str = field(repr=False)
    algorithm: str
    authority: Path | None = None  # of a self-made pair: what to hand to those who verify


def credentials(certificate: str | None = None, key: str | None = None, state: Path | None = None) -> Credentials:
    """The operator's PEM files, or without them the self-made pair in the state folder (made if it is not there).

    Raises `UsageError` when only one is given, when a file cannot be used, or when the two do not belong together.
    """
    if (certificate is None) != (key is None):
        raise UsageError("a certificate and its key go together: give both, or neither for a self-made pair")
    if certificate is not None and key is not None:
        return _load(Path(certificate), Path(key))
    folder = (state or state_folder()) / FOLDER
    if not folder.is_dir():
        _make(folder)
    return _load(folder / CHAIN, folder / KEY, folder / AUTHORITY)


def _load(chain: Path, key: Path, authority: Path | None = None) -> Credentials:
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
    except ImportError:
        raise MissingExtra(NEEDED) from None

    try:
        text, secret = chain.read_bytes(), key.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {error.filename}: {error.strerror}. Give PEM files to sign with.") from None
    try:
        first = x509.load_pem_x509_certificates(text)[0]
    except ValueError:
        raise UsageError(f"{chain} holds no certificate in PEM: the signer's first, then those who vouch") from None
    try:
        private: Any = serialization.load_pem_private_key(secret, None)
    except (ValueError, TypeError):
        raise UsageError(f"{key} holds no private key in PEM without a password") from None
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if private.public_key().public_bytes(*form) != first.public_key().public_bytes(*form):
        raise UsageError(f"{key} is not the key of {chain}: give the two that belong together")
    now = datetime.datetime.now(datetime.UTC)
    if not first.not_valid_before_utc <= now <= first.not_valid_after_utc:
        mend = f"remove {chain.parent}, and a new pair will be made" if authority else "give another"
        raise UsageError(f"{chain} is valid from {first.not_valid_before_utc} to {first.not_valid_after_utc}: {mend}")
    plain = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Credentials(text.decode("ascii", "ignore"), plain.decode(), _algorithm(private, key), authority)


def _algorithm(private: Any, path: Path) -> str:
    """C2PA's algorithm for a key (C2PA 2.1, 13.2.1). Raises `UsageError` for a kind that it does not allow."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(private, ec.EllipticCurvePrivateKey):
        name = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}.get(private.curve.name)
    elif isinstance(private, rsa.RSAPrivateKey):
        name = "ps256" if private.key_size >= 2048 else None
    else:
        name = "ed25519" if isinstance(private, ed25519.Ed25519PrivateKey) else None
    if name is None:
        raise UsageError(f"{path} is a key that C2PA does not allow: take P-256, P-384, P-521, Ed25519, or RSA >= 2048")
    return name


def _make(folder: Path) -> None:
    """An authority and a signer, all at once or not at all; of two processes the first wins."""
    temporary = folder.parent / f".{folder.name}.{secrets.token_hex(4)}"
    try:
        temporary.mkdir(mode=0o700, parents=True)
        for name, content in _issue().items():
            mode = 0o600 if name == KEY else 0o644
            with open(os.open(temporary / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as file:
                file.write(content)
                os.fsync(file.fileno())
        try:
            os.rename(temporary, folder)
        except OSError:
            if not folder.is_dir():  # another process was first: its pair is as good
                raise
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror}. Choose another state folder.") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _issue() -> dict[str, bytes]:
    """File name -> PEM. Extensions as the certificate profile of C2PA 2.1, 14.5 asks for."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
    except ImportError:
        raise MissingExtra(NEEDED) from None

    authority, signer = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    number = secrets.token_hex(4)  # two installations are two authorities

    def name(role: str) -> x509.Name:
        told = {NameOID.ORGANIZATION_NAME: "likeness (self-made)", NameOID.COMMON_NAME: f"likeness {role} {number}"}
        return x509.Name([x509.NameAttribute(kind, text) for kind, text in told.items()])

    def certificate(role: str, key: Any, usage: x509.KeyUsage, is_authority: bool) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder(name("authority"), name(role), key, x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=365 * YEARS))
            .add_extension(x509.BasicConstraints(is_authority, 0 if is_authority else None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )

    above, below = authority.public_key(), signer.public_key()
    root = certificate("authority", above, _usage("key_cert_sign", "crl_sign"), True).sign(authority, hashes.SHA256())
    leaf = (
        certificate("signer", below, _usage("digital_signature"), False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above), critical=False)
        .sign(authority, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = signer.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        AUTHORITY: root.public_bytes(pem),
        CHAIN: leaf.public_bytes(pem) + root.public_bytes(pem),
        KEY: secret,
    }


def _usage(*granted: str) -> Any:
    from cryptography.x509 import KeyUsage

    kinds = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return KeyUsage(**{kind: kind in granted for kind in kinds})
