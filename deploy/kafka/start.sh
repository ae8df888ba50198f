#!/bin/sh
# Starts a broker: fills in server.properties, formats new storage with the administrator's password, runs Kafka.
set -eu

: "${NODE_ID:?the number of this broker, from 1}" "${HOST:?the name that clients reach this broker by}"
: "${QUORUM_VOTERS:?1@host:port,2@host:port,3@host:port}" "${CLUSTER_ID:?one for all brokers, for ever}"
: "${DATA_DIR:=/var/lib/kafka/data}" "${SECRETS_DIR:=/run/secrets}" "${CONFIG_DIR:=/etc/silver-kafka}"
: "${KAFKA_HOME:=/opt/kafka}" "${BIND:=}" "${REPLICAS:=3}" "${REPLICAS_IN_SYNC:=2}"
: "${CLIENTS_PORT:=9092}" "${INTERNAL_PORT:=9093}" "${CONTROLLER_PORT:=9094}"

for secret in kafka_certificate authority kafka_admin_password; do
    [ -r "$SECRETS_DIR/$secret" ] || { echo "$SECRETS_DIR/$secret cannot be read: make it and mount it" >&2; exit 78; }
done

properties="${TMPDIR:-/tmp}/server.properties"
sed -e "s|@NODE_ID@|$NODE_ID|g" -e "s|@QUORUM_VOTERS@|$QUORUM_VOTERS|g" -e "s|@DATA_DIR@|$DATA_DIR|g" \
    -e "s|@BIND@|$BIND|g" -e "s|@HOST@|$HOST|g" -e "s|@SECRETS_DIR@|$SECRETS_DIR|g" \
    -e "s|@CLIENTS_PORT@|$CLIENTS_PORT|g" -e "s|@INTERNAL_PORT@|$INTERNAL_PORT|g" \
    -e "s|@CONTROLLER_PORT@|$CONTROLLER_PORT|g" -e "s|@REPLICAS@|$REPLICAS|g" \
    -e "s|@REPLICAS_IN_SYNC@|$REPLICAS_IN_SYNC|g" "$CONFIG_DIR/server.properties" > "$properties"

# The administrator must be known before anybody can be let in to make users.
"$KAFKA_HOME/bin/kafka-storage.sh" format --ignore-formatted --cluster-id "$CLUSTER_ID" --config "$properties" \
    --add-scram "SCRAM-SHA-512=[name=admin,password=$(cat "$SECRETS_DIR/kafka_admin_password")]"
exec "$KAFKA_HOME/bin/kafka-server-start.sh" "$properties"
