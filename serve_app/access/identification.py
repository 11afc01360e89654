"""Who sent a request, by its credentials: an API key or a user token.

`Authorization: Bearer` carries either, `X-API-Key` a key. Credentials that are given must be right,
also where none are needed.
"""

import re

from serve_app.access.admission import Headers
from serve_app.access.caller import ANONYMOUS, LOCAL, Caller
from serve_app.access.exposure import keys_of
from serve_app.access.issuer_keys import IssuerKeys
from serve_app.access.key import PREFIX
from serve_app.access.keys import Keys
from serve_app.access.loopback import is_loopback
from serve_app.access.tokens import Tokens
from serve_app.errors import CredentialsInvalid, CredentialsMissing
from serve_app.settings import Settings

BEARER_FORM = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*)")
"""RFC 6750, section 2.1; the scheme in any case (RFC 9110, section 11.1)."""


def identification(settings: Settings, host: str | None) -> "ByCredentials":
    """The check of a service that listens on `host`.

    Raises:
        Exposed, KeysUnreadable: the service must not start.
    """
    keys = keys_of(settings, host)
    auth = settings.auth
    tokens = None if auth.issuer is None else Tokens(auth, IssuerKeys(auth.issuer))
    return ByCredentials(keys, tokens, is_local=is_loopback(host), allows_anonymous=auth.anonymous)


class ByCredentials:
    """Implements `Identification`."""

    def __init__(
        self, keys: Keys, tokens: Tokens | None, *, is_local: bool, allows_anonymous: bool
    ):
        self._keys = keys
        self._tokens = tokens
        self._is_local = is_local
        self._allows_anonymous = allows_anonymous

    async def identify(self, headers: Headers) -> Caller:
        """As `Identification.identify` promises."""
        key = authorization = None
        for name, value in headers:
            if name == b"x-api-key":
                if key is not None:
                    raise CredentialsInvalid("X-API-Key is given twice")
                key = value
            elif name == b"authorization":
                if authorization is not None:
                    raise CredentialsInvalid("Authorization is given twice")
                authorization = value
        if authorization is not None:
            if key is not None:
                raise CredentialsInvalid("Authorization and X-API-Key exclude each other")
            return await self._bearer(authorization)
        return self._stranger() if key is None else self._keys.find(key)

    async def _bearer(self, authorization: bytes) -> Caller:
        form = BEARER_FORM.fullmatch(authorization)
        if form is None:
            raise CredentialsInvalid("Authorization is not Bearer and a key or a token")
        if form[1].startswith(PREFIX):
            return self._keys.find(form[1])
        if self._tokens is None:
            raise CredentialsInvalid("this is no key, and user tokens are not accepted here")
        return await self._tokens.verify(form[1])

    def _stranger(self) -> Caller:
        """Who gives no credentials."""
        if self._is_open:
            return LOCAL
        if self._allows_anonymous:
            return ANONYMOUS
        raise CredentialsMissing("send Authorization: Bearer, or X-API-Key with a key")

    @property
    def _is_open(self) -> bool:
        # A file of keys that was there keeps the door shut, though it be empty or gone.
        return self._is_local and self._tokens is None and not self._keys.was_seen
