#!/bin/bash
# Starts a member of the replica set: gives its key file the owner and mode that mongod asks for, then runs the image.
set -euo pipefail

secrets=/run/secrets
own=/tmp/mongodb
for secret in mongodb_keyfile mongodb_certificate authority; do
    [ -r "$secrets/$secret" ] || { echo "$secrets/$secret cannot be read: make it and mount it" >&2; exit 78; }
done
mkdir -p "$own"
for secret in mongodb_keyfile mongodb_certificate; do
    install -m 0400 "$secrets/$secret" "$own/$secret"
done
if [ "$(id -u)" = 0 ]; then
    chown -R mongodb:mongodb "$own"
fi
exec docker-entrypoint.sh mongod --replSet silver --bind_ip_all --auth --keyFile "$own/mongodb_keyfile" \
    --tlsMode requireTLS --tlsCertificateKeyFile "$own/mongodb_certificate" --tlsCAFile "$secrets/authority" \
    --tlsAllowConnectionsWithoutCertificates \
    --setParameter transactionLifetimeLimitSeconds=3600 # a backup is one transaction: docs/backup.md
