#!/usr/bin/env bash
# lettre 0.11.23: if the mail server refuses one of several recipients, no recipient gets the message, and the error
# doesn't say which one was refused. Python's smtplib sends the message to the others and returns the refused ones.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

python3 -m pip install --quiet --target "$work/python" aiosmtpd==1.4.6 2>/dev/null
rust_program 'lettre = { version = "=0.11.23", default-features = false, features = ["builder", "smtp-transport"] }' '
use lettre::{Message, SmtpTransport, Transport as _};

fn main() {
    let port = std::env::args().nth(1).unwrap().parse().unwrap();
    let transport = SmtpTransport::builder_dangerous("127.0.0.1").port(port).build();
    let to = |address: &str| address.parse().unwrap();
    let message = Message::builder().from(to("hub@example.org")).to(to("one@example.org"))
        .to(to("gone@example.org")).to(to("two@example.org")).body(String::from("text")).unwrap();
    match transport.send(&message) {
        Ok(_) => println!("  returns Ok"),
        Err(error) => println!("  returns Err: {error}"),
    }
}'
cat >"$work/server.py" <<'PYTHON'
"""Runs a mail server that refuses one recipient, and sends it a message with both libraries."""
import smtplib
import socket
import subprocess
import sys

from aiosmtpd.controller import Controller


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address == "gone@example.org":
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        delivered.append(envelope.rcpt_tos)
        return "250 OK"


def report(name, send):
    delivered.clear()
    print(name, flush=True)
    send()
    print("  delivered to", delivered or "nobody", flush=True)


delivered = []
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
controller = Controller(Handler(), hostname="127.0.0.1", port=port)
controller.start()
report("lettre:", lambda: subprocess.run([sys.argv[1], str(port)], check=True))


def smtplib_sends():
    with smtplib.SMTP("127.0.0.1", port) as client:
        recipients = ["one@example.org", "gone@example.org", "two@example.org"]
        print("  returns", client.sendmail("hub@example.org", recipients, "Subject: text\r\n\r\ntext"))


report("smtplib:", smtplib_sends)
controller.stop()
PYTHON

echo 'lettre 0.11.23:'
PYTHONPATH=$work/python python3 "$work/server.py" "$program" | expect "lettre:
  returns Err: permanent error (550): no such user
  delivered to nobody
smtplib:
  returns {'gone@example.org': (550, b'no such user')}
  delivered to [['one@example.org', 'two@example.org']]"
