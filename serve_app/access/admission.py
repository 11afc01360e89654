"""Lets a request in, or says why not: the one check in front of every door."""

from collections.abc import Sequence
from typing import Protocol

from serve_app.access.caller import LOCAL, Caller, Scope
from serve_app.errors import ScopeMissing

Headers = Sequence[tuple[bytes, bytes]]
"""As ASGI gives them: lower-case names."""


class Identification(Protocol):
    """Finds out who asks."""

    async def identify(self, headers: Headers) -> Caller:
        """The caller whose credentials the headers carry.

        Raises:
            CredentialsMissing, CredentialsInvalid, CredentialsExpired: nobody who may come in.
            IssuerUnavailable: a user token cannot be checked now.
        """


class Quotas(Protocol):
    """Counts what callers use, over all replicas."""

    def take(self, caller: Caller, *, requests: int = 0, images: int = 0) -> None:
        """Counts requests and pictures before they are queued.

        Raises:
            QuotaExceeded: the caller has none left.
        """


class Everyone:
    """Identification where nobody is asked who they are."""

    async def identify(self, headers: Headers) -> Caller:  # noqa: ARG002 - nobody is asked
        """Always the local caller, who may do everything."""
        return LOCAL


class Unlimited:
    """Quotas that nobody meets."""

    def take(self, caller: Caller, *, requests: int = 0, images: int = 0) -> None:
        """Counts nothing."""


class Admission:
    """Identity, scope and quota, in that order, before a body is read."""

    def __init__(self, identification: Identification, quotas: Quotas):
        self._identification = identification
        self._quotas = quotas

    async def admit(self, headers: Headers, needed: Scope) -> Caller:
        """The caller of a request that may go on; one request of its quota is used.

        Raises:
            CredentialsMissing, CredentialsInvalid, CredentialsExpired, IssuerUnavailable,
            ScopeMissing, QuotaExceeded
        """
        caller = await self._identification.identify(headers)
        if needed not in caller.scopes:
            raise ScopeMissing(f"the scope {needed} is needed")
        self._quotas.take(caller, requests=1)
        return caller

    def count_images(self, caller: Caller, images: int) -> None:
        """Uses the caller's quota of pictures, once their number is known, before they are queued.

        Raises:
            QuotaExceeded: it has not that many left.
        """
        self._quotas.take(caller, images=images)
