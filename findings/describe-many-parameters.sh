#!/usr/bin/env bash
# Postgres 18.6, libpq 17.5: describing a prepared statement fails long before the limit of 65535 parameters.
# libpq closes the connection from 7499 parameters on. Postgres accepts 70000, and then reports a wrong number.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

start_postgres
python3 -m pip install --quiet --target "$work/psycopg" 'psycopg[binary]==3.2.9' 2>/dev/null
cat >"$work/describe.py" <<'PYTHON'
"""Prepares, describes and runs a statement with many parameters, with libpq and with the plain protocol."""
import socket, struct, sys
import psycopg
from urllib.parse import urlparse

url = sys.argv[1]


def statement(count):
    return "SELECT count(*) FROM (VALUES %s) AS v" % ",".join(f"(${number}::int)" for number in range(1, count + 1))


def outcome(count):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.pgconn.prepare(b"s", statement(count).encode(), None)
        value = connection.pgconn.exec_prepared(b"s", [b"1"] * count).get_value(0, 0)
        described = connection.pgconn.describe_prepared(b"s")
        state = "the connection is closed" if connection.broken else f"{described.nparams} parameters"
        return f"libpq, {count} parameters: executing counts {value.decode()}; describing: {state}"


def message(kind, content):
    return kind + struct.pack("!i", len(content) + 4) + content


def plain(count):
    address = urlparse(url)
    with socket.create_connection((address.hostname, address.port)) as connection, connection.makefile("rb") as stream:
        startup = struct.pack("!i", 196608) + b"user\0postgres\0database\0postgres\0\0"
        connection.sendall(struct.pack("!i", len(startup) + 4) + startup)
        connection.sendall(message(b"P", b"s\0" + statement(count).encode() + b"\0\0\0"))
        connection.sendall(message(b"D", b"Ss\0") + message(b"S", b""))
        while True:
            kind, length = stream.read(1), struct.unpack("!i", stream.read(4))[0]
            content = stream.read(length - 4)
            if kind == b"t":
                types = (length - 6) // 4
                number = struct.unpack("!H", content[:2])[0]
                return f"plain protocol, {count} parameters: the description says {number} and lists {types} types"
            assert kind != b"E", content


print(outcome(7498))
print(outcome(7499))
print(plain(65535))
print(plain(70000))
PYTHON

PYTHONPATH=$work/psycopg python3 "$work/describe.py" "$postgres_url" | expect \
'libpq, 7498 parameters: executing counts 7498; describing: 7498 parameters
libpq, 7499 parameters: executing counts 7499; describing: the connection is closed
plain protocol, 65535 parameters: the description says 65535 and lists 65535 types
plain protocol, 70000 parameters: the description says 4464 and lists 70000 types'
