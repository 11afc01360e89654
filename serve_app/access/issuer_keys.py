"""The public keys of an OpenID Connect issuer: its discovery and JWKS documents, kept fresh.

OpenID Connect Discovery 1.0, section 4; JSON Web Key (RFC 7517).
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt

from serve_app.access.loopback import is_loopback, is_trustworthy
from serve_app.errors import CredentialsInvalid, IssuerUnavailable

logger = logging.getLogger(__name__)

REFRESH_S = 300.0
"""Age at which the keys are fetched again: how long one that was withdrawn may still be used."""

COOLDOWN_S = 10.0
"""Between the starts of two fetches: tokens with invented key ids must not flood the issuer."""

TIMEOUT_S = 5.0

ALGORITHMS: Mapping[str, tuple[str, ...]] = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
    "OKP": ("EdDSA",),
}
"""By key type. Asymmetric ones alone: with `none` or HS*, whoever knows the public key could
sign (RFC 8725, section 2.1)."""

ALLOWED = frozenset(name for names in ALGORITHMS.values() for name in names)


class DocumentRefused(ValueError):
    """A document of the issuer that cannot be used."""


@dataclass(frozen=True)
class IssuerKey:
    """A public key, and the algorithms that it may be used with."""

    public: Any
    algorithms: tuple[str, ...]


class IssuerKeys:
    """Finds keys by id. Concurrent requests share one fetch; while the issuer is down, known keys
    go on working.
    """

    def __init__(
        self,
        issuer: str,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ):
        self._issuer = issuer
        self._monotonic = monotonic
        # No connection is kept: between two fetches lie minutes.
        self._client = httpx.AsyncClient(
            timeout=TIMEOUT_S,
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=not is_loopback(urlsplit(issuer).hostname),
            transport=transport,
        )
        self._document: Any = None
        self._failed = False
        self._fresh_until = -math.inf
        self._next_fetch = -math.inf
        self._fetching: asyncio.Task[None] | None = None
        self.current: Mapping[str, IssuerKey] = {}
        """By id; another object after each change."""

    async def freshen(self) -> None:
        """Fetches the keys where they are old; waits for it unless the issuer failed last time."""
        if self._monotonic() < self._fresh_until:
            return
        fetching = self._fetch_when_allowed()
        if fetching is not None and not self._failed:
            await asyncio.shield(fetching)

    async def find(self, kid: str) -> IssuerKey:
        """The key with the id `kid`.

        Raises:
            CredentialsInvalid: the issuer has no such key.
            IssuerUnavailable: the issuer does not answer, and this key is not known.
        """
        await self.freshen()
        if kid not in self.current:
            fetching = self._fetch_when_allowed()
            if fetching is not None:
                await asyncio.shield(fetching)
        key = self.current.get(kid)
        if key is not None:
            return key
        if self._failed:
            wait_s = max(1, math.ceil(self._next_fetch - self._monotonic()))
            raise IssuerUnavailable("the tokens' issuer does not answer", retry_after_s=wait_s)
        raise CredentialsInvalid("the token is not signed by a key of the issuer")

    def _fetch_when_allowed(self) -> asyncio.Task[None] | None:
        """The fetch that runs, or a new one; None where the last began too short a time ago."""
        if self._fetching is not None and not self._fetching.done():
            return self._fetching
        if self._monotonic() < self._next_fetch:
            return None
        self._next_fetch = self._monotonic() + COOLDOWN_S
        self._fetching = asyncio.get_running_loop().create_task(self._fetch())
        return self._fetching

    async def _fetch(self) -> None:
        try:
            document = await self._download()
            if document != self._document:
                self.current, self._document = _keys_of(document), document
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            self._failed = True
            logger.warning("the keys of %s cannot be fetched: %r", self._issuer, error)
            return
        self._failed = False
        self._fresh_until = self._monotonic() + REFRESH_S

    async def _download(self) -> Any:
        # "Any terminating / MUST be removed" (Discovery 1.0, section 4).
        discovery = self._issuer.rstrip("/") + "/.well-known/openid-configuration"
        metadata = await self._get(discovery)
        if not isinstance(metadata, dict) or metadata.get("issuer") != self._issuer:
            raise DocumentRefused(f"{discovery} is not of this issuer")
        uri = metadata.get("jwks_uri")
        if not isinstance(uri, str) or not is_trustworthy(uri):
            raise DocumentRefused(f"{discovery} has no jwks_uri with https")
        return await self._get(uri)

    async def _get(self, url: str) -> Any:
        return (await self._client.get(url)).raise_for_status().json()


def _keys_of(document: Any) -> Mapping[str, IssuerKey]:
    """The keys of a JWKS document that can verify; others are left out (RFC 7517, section 5)."""
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise DocumentRefused("the JWKS document has no keys")
    keys = {}
    for entry in entries:
        key = _key_of(entry)
        if key is not None:
            keys[entry["kid"]] = key
    return keys


def _key_of(entry: Any) -> IssuerKey | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("kid"), str):
        return None
    algorithms = ALGORITHMS.get(str(entry.get("kty")), ())
    if "alg" in entry:
        algorithms = tuple(name for name in algorithms if name == entry["alg"])
    if not algorithms or entry.get("use", "sig") != "sig":
        return None
    try:
        public = jwt.PyJWK(entry).key
    except jwt.PyJWTError:
        return None
    return IssuerKey(public, algorithms)
