#!/bin/sh
# Serves the pages of a hub that is away, to Traefik alone, then becomes Traefik. If the pages cannot be served, users see
# Traefik's own words, and the health check says so.
#
# Behind another proxy Traefik takes requests from the gateway of the users' network alone, which is the engine's host. DOOR is
# the address and port of the host that other machines reach: there Traefik waits until the guard lets only proxies in front pass.
set -u
configuration=/etc/traefik/traefik.toml

if [ -n "${DOOR-}" ]; then
    wanted="$(cat /proc/sys/kernel/random/boot_id) $DOOR"
    left=60
    until [ "$(cat /run/guard/door 2>/dev/null)" = "$wanted" ]; do
        left=$((left - 1))
        if [ $left -eq 0 ]; then
            echo "the guard does not keep the door at $DOOR: the proxy does not start without it" >&2
            exit 1
        fi
        sleep 1
    done
fi
if grep -q '"{gateway}"' "$configuration"; then
    GATEWAY="$(busybox ip route | busybox awk '$1 == "default" { print $3 }')"
    if [ -z "$GATEWAY" ]; then
        echo "the users' network has no gateway: the proxy cannot tell who is the engine's host" >&2
        exit 1
    fi
    export GATEWAY
    sed "s/{gateway}/$GATEWAY/" "$configuration" >/tmp/traefik.toml
    configuration=/tmp/traefik.toml
fi
# What the clock's job shows to an authority's staging server.
ln -sfn ../dynamic/rehearsal /etc/traefik/pages/rehearsal
busybox httpd -p 127.0.0.1:8083 -h /etc/traefik/pages
exec traefik "--configFile=$configuration"
