"""How a refusal tells what the quota is and when there is more of it.

Fields: draft-ietf-httpapi-ratelimit-headers-11, `RateLimit-Policy` and `RateLimit`.
"""

import math

from serve_app.access.leases import Limit
from serve_app.access.share import Share
from serve_app.errors import QuotaExceeded


def quota_exceeded(unit: str, share: Share, tokens: int, now: float) -> QuotaExceeded:
    """The refusal of so many tokens."""
    # Whole seconds, rounded up: a client that comes back then finds what it asked for.
    wait_s = max(1, math.ceil(share.wait_s(tokens, now)))
    left = max(0, math.floor(share.level))
    return QuotaExceeded(
        f"more {unit} than {share.limit.rate:g} a second",
        retry_after_s=wait_s,
        policy=policy(unit, share.limit),
        limit=f'"{unit}";r={left};t={wait_s}',
    )


def policy(unit: str, limit: Limit) -> str:
    """`"requests";q=100;w=1`: so many in so many seconds, both whole numbers.

    The window is the burst's, at least as long as one request or picture needs.
    """
    window_s = max(1, math.ceil(round(limit.capacity / limit.rate, 6)))
    text = f'"{unit}";q={math.floor(round(limit.rate * window_s, 6))};w={window_s}'
    # The draft's own units are requests, bytes and concurrent requests; requests go unsaid.
    return text if unit == "requests" else f'{text};qu="{unit}"'
