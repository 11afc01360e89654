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
# srvtcpka (of an answer that is waited for) and tcp-ut (of what is being sent): a machine that is
# silent for 10 s is gone, though it has not ended its connections. Without them a request that went
# there would wait until its caller gives up.
#
# option httpclose: while the node is being drained, so that each answer ends its connection. Callers
# keep connections to a pod after Kubernetes has taken it out of the endpoints, and would lose the
# request that is under way when it ends.
previous=
for argument in "$@"; do
    if [ "$previous" = "-f" ] && ! grep -q "timeout http-request" "$argument"; then
        sed -i '/^defaults$/a\
    timeout http-request 10s\
    option http-ignore-probes\
    option srvtcpka\
    srvtcpka-idle 5s\
    srvtcpka-intvl 1s\
    srvtcpka-cnt 5\
    default-server tcp-ut 10s' "$argument"
    fi
    if [ "$previous" = "-f" ] && grep -q "This node is being drained" "$argument"; then
        grep -q "option httpclose" "$argument" ||
            sed -i '/^frontend http_frontend$/a\    option httpclose' "$argument"
    fi
    previous=$argument
done
exec "$HAPROXY_BINARY" -dS "$@"
