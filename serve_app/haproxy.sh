#!/bin/sh
# Ray Serve's HAProxy without splicing (-dS). Ray Serve's configuration splices request bodies, and
# HAProxy 2.8 then overlooks that a client has left: its request would be computed for nobody.
exec "$HAPROXY_BINARY" -dS "$@"
