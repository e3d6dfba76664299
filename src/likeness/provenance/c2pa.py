"""C2PA manifests: a signed statement in the file that a trained model made this picture, and with what."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from ..errors import LikenessError, MissingExtra, UsageError
from .certificates import NEEDED, Credentials
from .software import version
from .texts import GENERATED, SOURCE_TYPE

ASSERTION = "org.likeness.model"
SIGNATURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}
# no thumbnail (twenty times the size), and nothing is ever fetched for the sake of a file that is only looked at
SETTINGS: dict[str, Any] = {
    "version": 1,
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"verify_after_sign": False, "remote_manifest_fetch": False, "ocsp_fetch": False},
}


@dataclass(frozen=True)
class Manifest:
    """What a signed statement says and whether it holds.

    valid: the signature and the picture belong together. trusted: and one of the given anchors vouches for the signer.
    signer: organisation and name in the certificate. generator: the software and its version. generated: it says that
    a trained model made the picture. model: our own assertion, if the picture is ours. problems: what does not hold.
    """

    valid: bool
    trusted: bool
    signer: str = ""
    generator: str = ""
    generated: bool = False
    model: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def sign(data: bytes, credentials: Credentials, model: Mapping[str, Any], prompt: str | None = None) -> bytes:
    """The same PNG, JPEG or WebP file with a signed manifest. Any later change of the file breaks it: sign last.

    model: what to say of the model (name, fingerprint, ...). prompt: the words, only if they are meant to be public.
    The signature is random, so two signings of the same bytes differ.
    Raises `UsageError` when the certificate does not fit C2PA's profile, `MissingExtra` without c2pa-python.
    """
    c2pa = _library()
    program = {"name": "likeness", "version": version()}
    created = {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPE, "softwareAgent": program}
    told = {**model} if prompt is None else {**model, "prompt": prompt}
    manifest = {
        "claim_generator_info": [program],
        "title": "picture by likeness",
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [created]}},
            {"label": ASSERTION, "data": told},
        ],
    }
    signed = BytesIO()
    try:
        info = c2pa.C2paSignerInfo(credentials.algorithm, credentials.chain.encode(), credentials.key.encode(), None)
        with c2pa.Context(c2pa.Settings.from_dict(SETTINGS)) as context, c2pa.Signer.from_info(info) as signer:
            c2pa.Builder(manifest, context).sign(signer, _kind(data), BytesIO(data), signed)
    except c2pa.C2paError as error:
        raise UsageError(f"this certificate cannot sign pictures: {_line(error)}") from None
    return signed.getvalue()


def has_manifest(data: bytes) -> bool:
    """Whether a file looks as if it had a manifest; needs no library."""
    return b"jumb" in data and b"c2pa" in data


def read_manifest(data: bytes, anchors: Iterable[str] = ()) -> Manifest | None:
    """The manifest of a picture file, or None when there is none.

    anchors: PEM texts of the authorities that are trusted; without them a manifest is valid at best. Nothing is
    fetched. Raises `UsageError` when an anchor is no certificate, `MissingExtra` without c2pa-python.
    """
    c2pa = _library()
    trusted = "\n".join(_checked(anchor) for anchor in anchors)
    settings = SETTINGS | ({"trust": {"user_anchors": trusted}} if trusted else {})
    try:
        with c2pa.Context(c2pa.Settings.from_dict(settings)) as context:
            reader = c2pa.Reader.try_create(_kind(data), BytesIO(data), context=context)
            if reader is None:
                return None
            with reader:
                return _told(json.loads(reader.json()))
    except (c2pa.C2paError, LikenessError) as error:
        return Manifest(False, False, problems=(_line(error),)) if has_manifest(data) else None


def _told(report: Mapping[str, Any]) -> Manifest:
    state = report.get("validation_state")
    active = (report.get("manifests") or {}).get(report.get("active_manifest")) or {}
    signature, programs = active.get("signature_info") or {}, active.get("claim_generator_info") or [{}]
    data = {a.get("label", "").split("__")[0]: a.get("data") for a in active.get("assertions") or []}
    actions = [a for label in ("c2pa.actions.v2", "c2pa.actions") for a in (data.get(label) or {}).get("actions", ())]
    results = (report.get("validation_results") or {}).get("activeManifest") or {}
    unknown = "signingCredential.untrusted"  # said by `trusted`
    said = [str(fault.get("explanation") or fault.get("code")) for fault in results.get("failure") or ()
            if fault.get("code") != unknown]  # fmt: skip
    return Manifest(
        valid=state in ("Valid", "Trusted"),
        trusted=state == "Trusted",
        signer=", ".join(str(signature[k]) for k in ("issuer", "common_name") if signature.get(k)),
        generator=" ".join(str(programs[0][k]) for k in ("name", "version") if programs[0].get(k)),
        generated=any(str(a.get("digitalSourceType", "")).endswith(f"/{GENERATED}") for a in actions),
        model=data.get(ASSERTION) or {},
        problems=tuple(said),
    )


def _checked(anchor: str) -> str:
    from cryptography import x509

    try:
        x509.load_pem_x509_certificates(anchor.encode())
    except ValueError:
        raise UsageError("a trust anchor is no certificate in PEM: give the ca.pem of whom you trust") from None
    return anchor


def _kind(data: bytes) -> str:
    if (found := next((kind for head, kind in SIGNATURES.items() if data.startswith(head)), None)) is None:
        raise UsageError("manifests are kept in PNG, JPEG and WebP files only")
    return found


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def _library() -> Any:
    try:
        import c2pa
        import cryptography  # noqa: F401
    except ImportError:
        raise MissingExtra(NEEDED) from None
    return c2pa
