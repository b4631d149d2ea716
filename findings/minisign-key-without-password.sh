#!/usr/bin/env bash
# The crate minisign 0.9.1 rejects secret keys that `minisign -G -W` 0.11 writes without a password.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

rust_program 'minisign = "=0.9.1"' '
use minisign::{KeyPair, SecretKeyBox};

fn main() {
    let key = std::fs::read_to_string(std::env::args().nth(1).unwrap()).unwrap();
    let read = |text: &str| match SecretKeyBox::from_string(text).unwrap().into_unencrypted_secret_key() {
        Ok(_) => "accepted".to_owned(),
        Err(error) => format!("rejected, {error}"),
    };
    println!("key of the crate: {}", read(&KeyPair::generate_unencrypted_keypair().unwrap().sk.to_box(None).unwrap().to_string()));
    println!("key of the program: {}", read(&key));
}'
(cd "$work" && apt-get download -qq minisign=0.11-1 libsodium23 && for package in *.deb; do dpkg -x "$package" debian; done)
export LD_LIBRARY_PATH=$(dirname "$(find "$work/debian" -name 'libsodium.so.*' | head -1)")
(cd "$work" && debian/usr/bin/minisign -G -W -p key.pub -s key >/dev/null)
(cd "$work" && echo text >file && debian/usr/bin/minisign -S -s key -m file >/dev/null && debian/usr/bin/minisign -V -p key.pub -m file)

echo 'Crate minisign 0.9.1, Debian package minisign 0.11:'
run_rust_program "$work/key" | expect 'key of the crate: accepted
key of the program: rejected, Corrupted key'
