#!/usr/bin/env bash
# jsonschema 0.49.9: the regular expressions of JSON Schema are those of JavaScript. But in a class such as `[a&&b]`,
# the crate takes `[`, `&&`, `--` and `~~` for operators, as Rust's crates do. It refuses `[[]`, and `[a&&b]` doesn't
# match `a`.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

# Each line has a pattern and a text.
cat >"$work/cases" <<'CASES'
^[[]$ [
^[^[]$ x
^[a&&b]$ a
^[a&&b]$ &
^[a&b]$ a
^[+--]$ ,
^[+-.]$ ,
^[a-c~~b-d]$ b
CASES

rust_program 'jsonschema = { version = "=0.49.9", default-features = false }
serde_json = "=1.0.154"' '
use jsonschema::PatternOptions;

fn main() {
    let path = std::env::args().nth(1).unwrap();
    for case in std::fs::read_to_string(path).unwrap().lines() {
        let (pattern, text) = case.split_once(" ").unwrap();
        let schema = serde_json::json!({ "pattern": pattern });
        let outcome = |options: jsonschema::ValidationOptions| match options.build(&schema) {
            Ok(validator) => if validator.is_valid(&text.into()) { "matches" } else { "does not match" },
            Err(_) => "is refused",
        };
        let default = outcome(jsonschema::options());
        let linear = outcome(jsonschema::options().with_pattern_options(PatternOptions::regex()));
        println!("{case}: {default}; with the engine `regex`: {linear}");
    }
}'

echo 'JavaScript, with the flag u:'
node -e '
for (const line of require("fs").readFileSync(process.argv[1], "utf8").trim().split("\n")) {
  const [pattern, text] = line.split(" ");
  console.log(`${line}: ${new RegExp(pattern, "u").test(text) ? "matches" : "does not match"}`);
}' "$work/cases" | expect '^[[]$ [: matches
^[^[]$ x: matches
^[a&&b]$ a: matches
^[a&&b]$ &: matches
^[a&b]$ a: matches
^[+--]$ ,: matches
^[+-.]$ ,: matches
^[a-c~~b-d]$ b: matches'
echo 'jsonschema 0.49.9:'
run_rust_program "$work/cases" | expect '^[[]$ [: is refused; with the engine `regex`: is refused
^[^[]$ x: is refused; with the engine `regex`: is refused
^[a&&b]$ a: does not match; with the engine `regex`: does not match
^[a&&b]$ &: does not match; with the engine `regex`: does not match
^[a&b]$ a: matches; with the engine `regex`: matches
^[+--]$ ,: does not match; with the engine `regex`: does not match
^[+-.]$ ,: matches; with the engine `regex`: matches
^[a-c~~b-d]$ b: does not match; with the engine `regex`: does not match'
