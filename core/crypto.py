"""Field encryption: AES-256-GCM under a data key per tenant, which a key provider wraps.

A sealed value is bound to its place: the additional data is `version|tenant|table|column|pk`, so a
value copied to another row, column or tenant does not open. Text form:
`v1.<data key version>.<base64url of nonce and ciphertext>`.

Data keys lie wrapped in PostgreSQL (`core_datakey`) and are useless without the provider's key.
Opened ones are kept in this process for five minutes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction

from core.db import fetch_all, fetch_one

FORMAT: Final = "v1"
PLATFORM_TENANT: Final = UUID(int=0)
CACHE_S: Final = 300.0
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32
_PURPOSE_DATA: Final = "data"
_PURPOSE_INDEX: Final = "index"


class CannotOpen(Exception):
    """A sealed value does not open: wrong place, changed content, or a key that is gone."""


class KeyProvider(Protocol):
    """Wraps data keys with a key that never leaves it (a file's, a KMS's, an HSM's)."""

    def wrap(self, key: bytes, *, context: bytes) -> str:
        """Encrypt a data key under the newest master key; the text names that key's version."""

    def unwrap(self, wrapped: str, *, context: bytes) -> bytes:
        """Open a wrapped data key. Raises CannotOpen."""

    def is_current(self, wrapped: str) -> bool:
        """Say whether a wrapped key is under the newest master key."""

    def derive(self, purpose: bytes, *, version: str = "") -> tuple[str, bytes]:
        """A key of 32 bytes for one purpose, and the version of the master key it comes from.

        Args:
            version: of the master key; by default the newest.

        Raises:
            CannotOpen: no such master key is configured.
        """


class LocalKeyProvider:
    """Master keys from the setting FIELD_KEYS: `version:base64 of 32 bytes`, newest first."""

    def __init__(self, keys: list[str]) -> None:
        self._keys: dict[str, AESGCM] = {}
        self._raw: dict[str, bytes] = {}
        self._derived: dict[tuple[bytes, str], bytes] = {}
        for entry in keys:
            version, _, text = entry.partition(":")
            try:
                raw = base64.b64decode(text, validate=True)
            except binascii.Error:
                raw = b""
            if not version.isalnum() or len(raw) != _KEY_BYTES:
                raise ImproperlyConfigured(
                    "FIELD_KEYS must hold entries like 1:<base64 of 32 random bytes>."
                )
            self._keys[version], self._raw[version] = AESGCM(raw), raw
        if not self._keys:
            raise ImproperlyConfigured(
                "FIELD_KEYS is empty: fields cannot be encrypted. Make a key with "
                "python -c 'import base64, secrets; "
                'print("1:" + base64.b64encode(secrets.token_bytes(32)).decode())\''
            )
        self._newest = next(iter(self._keys))

    def wrap(self, key: bytes, *, context: bytes) -> str:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._keys[self._newest].encrypt(nonce, key, context)
        return f"local.{self._newest}.{_b64(sealed)}"

    def unwrap(self, wrapped: str, *, context: bytes) -> bytes:
        kind, version, text = _three_parts(wrapped)
        master = self._keys.get(version)
        if kind != "local" or master is None:
            raise CannotOpen(f"No master key {kind}.{version} is configured in FIELD_KEYS.")
        sealed = _unb64(text)
        try:
            return master.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)
        except InvalidTag:
            raise CannotOpen("The wrapped key was changed or belongs to another tenant.") from None

    def is_current(self, wrapped: str) -> bool:
        return wrapped.startswith(f"local.{self._newest}.")

    def derive(self, purpose: bytes, *, version: str = "") -> tuple[str, bytes]:
        version = version or self._newest
        key = self._derived.get((purpose, version))
        if key is None:
            raw = self._raw.get(version)
            if raw is None:
                raise CannotOpen(f"No master key local.{version} is configured in FIELD_KEYS.")
            # HKDF (RFC 5869); the master key is random, so it needs no salt.
            key = HKDF(hashes.SHA256(), _KEY_BYTES, salt=None, info=purpose).derive(raw)
            self._derived[purpose, version] = key
        return version, key


@lru_cache(maxsize=1)
def key_provider() -> KeyProvider:
    """The provider that the settings name."""
    return LocalKeyProvider(list(settings.FIELD_KEYS))


def seal(plaintext: str, *, tenant_id: UUID, table: str, column: str, pk: UUID | str) -> str:
    """Encrypt a field's text for its place; `pk` is the row's id, known before the insert."""
    version, key = _current_key(tenant_id, _PURPOSE_DATA)
    nonce = secrets.token_bytes(_NONCE_BYTES)
    aad = _aad(version, tenant_id, table, column, pk)
    return f"{FORMAT}.{version}.{_b64(nonce + AESGCM(key).encrypt(nonce, plaintext.encode(), aad))}"


def open_sealed(sealed: str, *, tenant_id: UUID, table: str, column: str, pk: UUID | str) -> str:
    """Decrypt a field's text. Raises CannotOpen when it was sealed for another place."""
    form, version_text, text = _three_parts(sealed)
    if form != FORMAT or not version_text.isdigit():
        raise CannotOpen("This is not a sealed value.")
    version = int(version_text)
    key = _key_of_version(tenant_id, _PURPOSE_DATA, version)
    raw = _unb64(text)
    aad = _aad(version, tenant_id, table, column, pk)
    try:
        return AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], aad).decode()
    except InvalidTag:
        raise CannotOpen(f"The value of {table}.{column} was not sealed for this row.") from None


def blind_index(value: str, *, tenant_id: UUID, table: str, column: str) -> str:
    """A keyed digest for equality search; the key is apart from the data key and is not rotated.

    Normalise the value first (lower case, no spaces): equal bytes give equal digests.
    """
    _, key = _current_key(tenant_id, _PURPOSE_INDEX)
    message = f"{table}|{column}|{value}".encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()


def reseal_if_old(
    sealed: str, *, tenant_id: UUID, table: str, column: str, pk: UUID | str
) -> str | None:
    """Seal a value again under the tenant's newest data key; None when it is under it already."""
    newest, _ = _current_key(tenant_id, _PURPOSE_DATA)
    if sealed.startswith(f"{FORMAT}.{newest}."):
        return None
    text = open_sealed(sealed, tenant_id=tenant_id, table=table, column=column, pk=pk)
    return seal(text, tenant_id=tenant_id, table=table, column=column, pk=pk)


def new_data_key(tenant_id: UUID) -> int:
    """Begin a new version of a tenant's data key; older ones stay to open what they sealed."""
    row = fetch_one("SELECT * FROM core_datakey_newest(%s, %s)", [tenant_id, _PURPOSE_DATA])
    version = (row[0] if row and row[0] is not None else 0) + 1
    _create(tenant_id, _PURPOSE_DATA, version)
    _cache.forget(tenant_id)
    return int(version)


def rewrap_data_keys() -> int:
    """Wrap every data key with the newest master key; return how many changed.

    Runs in the caller's transaction, which must be the worker's. After it, and once no process has
    the old master key first in FIELD_KEYS, no field needs the old one. `audit_verify` does, for the
    records that were sealed under it: it stays at the end of the list.
    """
    provider = key_provider()
    changed = 0
    rows = fetch_all(
        "SELECT id, tenant_id, purpose, version, wrapped FROM core_datakey ORDER BY id FOR UPDATE"
    )
    for row_id, tenant_id, purpose, version, wrapped in rows:
        if provider.is_current(wrapped):
            continue
        context = _context(tenant_id, purpose, version)
        again = provider.wrap(provider.unwrap(wrapped, context=context), context=context)
        with connection.cursor() as cursor:
            cursor.execute("UPDATE core_datakey SET wrapped = %s WHERE id = %s", [again, row_id])
        changed += 1
    return changed


@dataclass(frozen=True, slots=True)
class _Cached:
    version: int
    key: bytes
    until: float


class _KeyCache:
    """Opened data keys of this process, for five minutes each."""

    def __init__(self) -> None:
        self._entries: dict[tuple[UUID, str, int], _Cached] = {}
        self._lock = threading.Lock()

    def get(self, tenant_id: UUID, purpose: str, version: int) -> _Cached | None:
        entry = self._entries.get((tenant_id, purpose, version))
        return entry if entry is not None and entry.until > time.monotonic() else None

    def put(self, tenant_id: UUID, purpose: str, version: int, entry: _Cached) -> None:
        with self._lock:
            if len(self._entries) > 10_000:
                self._entries.clear()
            self._entries[(tenant_id, purpose, version)] = entry

    def forget(self, tenant_id: UUID) -> None:
        with self._lock:
            for known in [key for key in self._entries if key[0] == tenant_id]:
                del self._entries[known]

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()


_cache = _KeyCache()
_NEWEST: Final = 0


def forget_keys() -> None:
    """Empty this process's key cache (rotation, tests)."""
    _cache.clear()
    key_provider.cache_clear()


def _current_key(tenant_id: UUID, purpose: str) -> tuple[int, bytes]:
    cached = _cache.get(tenant_id, purpose, _NEWEST)
    if cached is None:
        row = fetch_one("SELECT * FROM core_datakey_newest(%s, %s)", [tenant_id, purpose])
        if row is None or row[0] is None:
            _create(tenant_id, purpose, 1)
            row = fetch_one("SELECT * FROM core_datakey_newest(%s, %s)", [tenant_id, purpose])
        if row is None or row[0] is None:
            raise CannotOpen("The tenant's data key could not be stored.")
        cached = _opened(tenant_id, purpose, int(row[0]), row[1], slot=_NEWEST)
    return cached.version, cached.key


def _key_of_version(tenant_id: UUID, purpose: str, version: int) -> bytes:
    cached = _cache.get(tenant_id, purpose, version)
    if cached is None:
        row = fetch_one("SELECT core_datakey_wrapped(%s, %s, %s)", [tenant_id, purpose, version])
        if row is None or row[0] is None:
            raise CannotOpen(f"The tenant has no data key of version {version}.")
        cached = _opened(tenant_id, purpose, version, row[0], slot=version)
    return cached.key


def _opened(tenant_id: UUID, purpose: str, version: int, wrapped: str, *, slot: int) -> _Cached:
    key = key_provider().unwrap(wrapped, context=_context(tenant_id, purpose, version))
    entry = _Cached(version, key, time.monotonic() + CACHE_S)
    # A key made in a transaction that is rolled back must not be remembered: nothing could be
    # opened with what it sealed afterwards.
    transaction.on_commit(lambda: _cache.put(tenant_id, purpose, slot, entry))
    return entry


def _create(tenant_id: UUID, purpose: str, version: int) -> None:
    wrapped = key_provider().wrap(
        secrets.token_bytes(_KEY_BYTES), context=_context(tenant_id, purpose, version)
    )
    # When two processes make the first key at once, one insert wins and both read the winner's.
    fetch_one("SELECT core_datakey_add(%s, %s, %s, %s)", [tenant_id, purpose, version, wrapped])


def _context(tenant_id: UUID, purpose: str, version: int) -> bytes:
    return f"datakey|{tenant_id}|{purpose}|{version}".encode()


def _aad(version: int, tenant_id: UUID, table: str, column: str, pk: UUID | str) -> bytes:
    return f"{FORMAT}.{version}|{tenant_id}|{table}|{column}|{pk}".encode()


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _unb64(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise CannotOpen("This is not a sealed value.") from None


def _three_parts(text: str) -> tuple[str, str, str]:
    parts = text.split(".")
    if len(parts) != 3:
        raise CannotOpen("This is not a sealed value.")
    return parts[0], parts[1], parts[2]
