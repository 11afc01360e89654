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
#
# tcp-ut: a machine that is gone for so long, without having ended its connections, is gone. Without
# it, what was sent there would wait for a quarter of an hour.
#
# option httpclose: while the node is being drained, so that each answer ends its connection. Callers
# keep connections to a pod after Kubernetes has taken it out of the endpoints, and would lose the
# request that is under way when it ends.
previous=
for argument in "$@"; do
    if [ "$previous" = "-f" ] && ! grep -q "timeout http-request" "$argument"; then
        sed -i '/^defaults$/a\    timeout http-request 10s\n    option http-ignore-probes\n    default-server tcp-ut 10s' "$argument"
    fi
    if [ "$previous" = "-f" ] && grep -q "This node is being drained" "$argument"; then
        grep -q "option httpclose" "$argument" ||
            sed -i '/^frontend http_frontend$/a\    option httpclose' "$argument"
    fi
    previous=$argument
done
exec "$HAPROXY_BINARY" -dS "$@"
