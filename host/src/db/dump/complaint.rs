//! What `pg_dump` and `pg_restore` say on their standard error, and what of it a person may read.

use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes kept: the last ones say why it ended.
const KEPT: usize = 8 * 1024;
/// Characters of a message.
const LONGEST: usize = 400;

/// Reads to the end and keeps the last 8 KiB.
pub(in crate::db) async fn read_tail(mut source: impl AsyncRead + Unpin) -> String {
    let mut tail = Vec::new();
    let mut chunk = [0_u8; 4096];
    // What can't be read any more is no reason to lose what was.
    while let Ok(count @ 1..) = source.read(&mut chunk).await {
        tail.extend_from_slice(&chunk[..count]);
        if tail.len() > KEPT {
            tail.drain(..tail.len() - KEPT);
        }
    }
    String::from_utf8_lossy(&tail).into_owned()
}

/// The errors of the text on one line, without addresses and without the statements that met them.
pub(in crate::db) fn safe_message(program: &str, text: &str) -> String {
    let mut messages: Vec<&str> = Vec::new();
    for line in text.lines() {
        let said = line.strip_prefix(program).and_then(|line| line.strip_prefix(": "));
        let Some(message) =
            said.and_then(|said| said.strip_prefix("error: ").or_else(|| said.strip_prefix("detail: ")))
        else {
            continue;
        };
        // Addresses: `connection to server at "10.0.0.1", port 5432 failed: FATAL:  …`
        let message = match message.split_once(" failed: ") {
            Some((before, after)) if before.starts_with("connection to server") => after,
            _ => message,
        };
        // Statements: `Query was: LOCK TABLE …`, `query was: …`, `The command was: …`
        let says_statement = ["Query was:", "query was:", "Command was:", "The command was:"];
        if !says_statement.iter().any(|start| message.starts_with(start)) {
            messages.push(message.trim());
        }
    }
    let message = messages.join("; ").replace(|character: char| character.is_control(), " ");
    match message.chars().count() {
        0 => "it ended without a word; the server's log may say more".to_owned(),
        1..=LONGEST => message,
        _ => message.chars().take(LONGEST).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(safe_message("pg_dump", text), expected);
    }

    #[test]
    fn messages_say_what_failed_and_nothing_of_the_inside() {
        check(
            "pg_dump: error: connection to server at \"10.1.2.3\", port 5432 failed: FATAL:  database \"x\" does not exist\n",
            "FATAL:  database \"x\" does not exist",
        );
        check(
            "pg_dump: error: query failed: ERROR:  permission denied for table t\npg_dump: detail: Query was: LOCK TABLE public.t IN ACCESS SHARE MODE\n",
            "query failed: ERROR:  permission denied for table t",
        );
        check(
            "pg_dump: warning: there are circular foreign-key constraints\npg_dump: error: server version: 16.1; pg_dump version: 15.3\n\
             pg_dump: detail: aborting because of server version mismatch\n",
            "server version: 16.1; pg_dump version: 15.3; aborting because of server version mismatch",
        );
        let restoring = "pg_restore: error: could not execute query: ERROR:  permission denied to create role\nCommand was: CREATE ROLE x;\n";
        let said = safe_message("pg_restore", restoring);
        assert_eq!(said, "could not execute query: ERROR:  permission denied to create role");
        check("", "it ended without a word; the server's log may say more");
    }

    #[tokio::test]
    async fn only_the_end_is_kept() {
        let text = format!("{}the end", "x".repeat(20_000));
        let tail = read_tail(text.as_bytes()).await;
        assert_eq!(tail.len(), KEPT);
        assert!(tail.ends_with("the end"));
    }
}
