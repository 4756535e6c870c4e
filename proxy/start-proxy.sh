#!/bin/sh
# Serves the pages of a hub that is away, to Traefik alone, then becomes Traefik. If the pages cannot be served, users see
# Traefik's own words, and the health check says so.
busybox httpd -p 127.0.0.1:8083 -h /etc/traefik/pages
exec traefik --configFile=/etc/traefik/traefik.toml
