#!/bin/sh
# Ray Serve's HAProxy, with what no variable of Ray Serve sets.
#
# -dS: without splicing. Ray Serve's configuration splices request bodies, and HAProxy 2.8 then
# overlooks that a client has left: its request would be computed for nobody.
#
# timeout http-request: when the head of a request must be there; without it, a client that sends a
# byte now and then keeps its connection for as long as it likes. Browsers open connections ahead,
# and http-ignore-probes closes those without an answer that nobody asked for. The configuration is
# changed in its place, because Ray Serve knows its HAProxy by the path.
previous=
for argument in "$@"; do
    if [ "$previous" = "-f" ] && ! grep -q "timeout http-request" "$argument"; then
        sed -i '/^defaults$/a\    timeout http-request 10s\n    option http-ignore-probes' "$argument"
    fi
    previous=$argument
done
exec "$HAPROXY_BINARY" -dS "$@"
