#!/usr/bin/env bash
# Creates the random secrets for compose.yaml in ./secrets. Existing files are kept, so the script can be run again.
# If bash is not installed on this machine, run the script in a container:
#   docker run --rm -v "${PWD}:/compose" -w /compose debian:trixie-slim bash create-secrets.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# Other users of this machine cannot enter the folder. The files themselves are readable, because the users in the
# containers have other user IDs.
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
echo "Keep a copy of secrets/master-key in another place: without it, the encrypted values in a backup are lost."
echo "For the tunnel, write its token to secrets/tunnel-token."
