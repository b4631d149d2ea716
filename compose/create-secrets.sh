#!/usr/bin/env bash
# Makes the random secrets that compose.yaml reads, in ./secrets. What is there is kept: it may be run again.
# Without bash on this machine:
#   docker run --rm -v "${PWD}:/compose" -w /compose debian:trixie-slim bash create-secrets.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# The folder keeps other users of this machine out; the files can be read inside the containers, whose users have
# other numbers than yours.
mkdir -p secrets
chmod 700 secrets

hex() { head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

keep_or_write() { # <name> <content>
    if [ -e "secrets/$1" ]; then
        echo "kept     secrets/$1"
    else
        printf '%s\n' "$2" >"secrets/$1"
        chmod 444 "secrets/$1"
        echo "created  secrets/$1"
    fi
}

keep_or_write postgres-password "$(hex 24)"
keep_or_write database-url "postgres://atlashub:$(cat secrets/postgres-password)@postgres:5432/platform"
keep_or_write master-key "$(head -c 32 /dev/urandom | base64)"
keep_or_write dev-admin-token "$(hex 24)"
keep_or_write s3-access-key-id "GK$(hex 12)"
keep_or_write s3-secret-access-key "$(hex 32)"
keep_or_write garage.env "GARAGE_RPC_SECRET=$(hex 32)
GARAGE_DEFAULT_ACCESS_KEY=$(cat secrets/s3-access-key-id)
GARAGE_DEFAULT_SECRET_KEY=$(cat secrets/s3-secret-access-key)"

echo
echo "Keep a copy of secrets/master-key somewhere else: without it no backup can be opened."
echo "For the tunnel, write its token into secrets/tunnel-token."
