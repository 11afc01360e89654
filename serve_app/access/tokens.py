"""User tokens: JWTs (RFC 7519) of one OpenID Connect issuer.

They must say `iss`, `aud`, `exp` and `sub`, be signed with an asymmetric algorithm, and name their
key (`kid`). What they allow stands in `roles` (a list) and `scp` (words), as Microsoft Entra ID
writes them.
"""

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt

from serve_app.access.caller import Caller, Scope
from serve_app.access.issuer_keys import ALLOWED, IssuerKeys
from serve_app.access.remembered import Remembered
from serve_app.errors import CredentialsExpired, CredentialsInvalid
from serve_app.settings import AuthSettings

TOKEN_FORM = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
"""JWS compact serialisation: base64url without padding (RFC 7515, section 2)."""

_REASONS: Mapping[type[jwt.PyJWTError], str] = {
    jwt.ImmatureSignatureError: "the token is not valid yet",
    jwt.InvalidAudienceError: "the token is for another audience",
    jwt.InvalidIssuerError: "the token is of another issuer",
    jwt.MissingRequiredClaimError: "the token lacks iss, aud, exp or sub",
}


class Tokens:
    """Verifies tokens of `issuer` for `audience`."""

    def __init__(
        self,
        settings: AuthSettings,
        keys: IssuerKeys,
        *,
        now: Callable[[], float] = time.time,
    ):
        self._settings = settings
        self._keys = keys
        self._now = now
        self._scopes = _entries(settings.scopes)
        self._remembered = Remembered()
        self._verified_with = keys.current

    async def verify(self, token: bytes) -> Caller:
        """The user whose token it is.

        Raises:
            CredentialsInvalid: not a token that this issuer signed for this audience.
            CredentialsExpired: it was one.
            IssuerUnavailable: the issuer's keys cannot be fetched.
        """
        await self._keys.freshen()
        if self._keys.current is not self._verified_with:
            self._remembered.clear()
            self._verified_with = self._keys.current
        caller = self._remembered.find(token, self._now())
        return caller or await self._verify(token)

    async def _verify(self, token: bytes) -> Caller:
        key = await self._keys.find(_kid(token))
        try:
            claims = jwt.decode(
                token,
                key.public,
                algorithms=key.algorithms,
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                leeway=self._settings.leeway_s,
                options={
                    "require": ["iss", "aud", "exp", "sub"],
                    "enforce_minimum_key_length": True,
                },
            )
        except jwt.ExpiredSignatureError:
            raise CredentialsExpired("the token's time is over") from None
        except jwt.PyJWTError as error:
            raise CredentialsInvalid(_reason(error)) from None
        caller = self._caller(claims)
        self._remembered.add(token, caller, int(claims["exp"]) + self._settings.leeway_s)
        return caller

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        subject = str(claims["iss"]) + str(claims["sub"])
        digest = hashlib.sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()
        granted = _words(claims.get("roles")) | _words(claims.get("scp"))
        scopes = frozenset(scope for entry, scope in self._scopes if entry in granted)
        return Caller("user:" + digest[:12], scopes)


def _kid(token: bytes) -> str:
    """The id of the key that the token says it was signed with; only a hint until verified."""
    if TOKEN_FORM.fullmatch(token) is None:
        raise CredentialsInvalid("this is neither a key nor a token")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError:
        raise CredentialsInvalid("the token's header cannot be read") from None
    kid = header.get("kid")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALLOWED:
        raise CredentialsInvalid(
            "the token's algorithm is not one of " + ", ".join(sorted(ALLOWED))
        )
    if not isinstance(kid, str):
        raise CredentialsInvalid("the token does not name its key (kid)")
    return kid


def _reason(error: jwt.PyJWTError) -> str:
    """In our own words: the library's might repeat the token's."""
    return next(
        (reason for kind, reason in _REASONS.items() if isinstance(error, kind)),
        "the token's signature or form is not valid",
    )


def _entries(pairs: tuple[str, ...]) -> list[tuple[str, Scope]]:
    """`"faq=Faq.Read"` to `("Faq.Read", Scope.FAQ)`."""
    split = (pair.partition("=") for pair in pairs)
    return [(entry, Scope(scope)) for scope, _, entry in split]


def _words(claim: Any) -> set[str]:
    """The entries of `roles` (a list of words) or `scp` (one text of words, or a list)."""
    if isinstance(claim, str):
        return set(claim.split())
    if isinstance(claim, list):
        return {entry for entry in claim if isinstance(entry, str)}
    return set()
