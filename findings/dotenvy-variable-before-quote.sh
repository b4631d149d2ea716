#!/usr/bin/env bash
# dotenvy 0.15.7: a value in double quotes may contain variables, but it is refused if it ends with one, such as in
# `URL="https://$HOST"`. With a character after it, in braces or without quotes, the variable is replaced, as in a shell.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

cat >"$work/lines" <<'LINES'
URL="https://$HOST"
URL="https://$HOST/"
URL="https://${HOST}"
URL=https://$HOST
LINES

rust_program 'dotenvy = "=0.15.7"' '
fn main() {
    let path = std::env::args().nth(1).unwrap();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let file = format!("HOST=example.org\n{line}\n");
        match dotenvy::from_read_iter(file.as_bytes()).last().unwrap() {
            Ok((_, value)) => println!("{line} -> {value}"),
            Err(error) => println!("{line} -> {error}"),
        }
    }
}'

echo 'Bash:'
while read -r line; do
    (HOST=example.org && eval "$line" && printf '%s -> %s\n' "$line" "$URL")
done <"$work/lines" | expect 'URL="https://$HOST" -> https://example.org
URL="https://$HOST/" -> https://example.org/
URL="https://${HOST}" -> https://example.org
URL=https://$HOST -> https://example.org'
echo 'dotenvy 0.15.7:'
run_rust_program "$work/lines" | expect \
    'URL="https://$HOST" -> Error parsing line: '"'"'"https://$HOST"'"'"', error at line index: 14
URL="https://$HOST/" -> https://example.org/
URL="https://${HOST}" -> https://example.org
URL=https://$HOST -> https://example.org'
