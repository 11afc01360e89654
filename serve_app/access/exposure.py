"""Refuses to start where everybody could come in and nobody has said that they may."""

from serve_app.access.key_file import KeysUnreadable
from serve_app.access.keys import Keys
from serve_app.access.loopback import is_loopback
from serve_app.settings import Settings


class Exposed(RuntimeError):
    """The service would be open to other machines."""


def keys_of(settings: Settings, host: str | None) -> Keys:
    """The keys of a service that listens on `host`, once it is sure that it may start there.

    Raises:
        Exposed: other machines reach `host`, and there are neither keys nor an issuer, nor does
            `auth.anonymous` let everybody in.
        KeysUnreadable: the file of keys cannot be used, or is named and not there.
    """
    keys = Keys(settings.keys_file)
    if settings.auth.keys is not None and not keys.was_seen:
        raise KeysUnreadable(
            f"auth.keys: {settings.keys_file} is not there; `scoring keys create` makes it"
        )
    if not is_loopback(host) and not (len(keys) or settings.auth.issuer or settings.auth.anonymous):
        raise Exposed(
            f"refusing to start: other machines reach {host or 'this service'}, and everybody "
            "could come in. Create a key (`scoring keys create --scope faq --scope image`, in "
            f"{settings.keys_file}), or set auth.issuer and auth.audience, or listen on 127.0.0.1 "
            "alone, or say auth.anonymous=true"
        )
    return keys
