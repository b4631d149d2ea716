//! Reads the standard error of `pg_dump` and `pg_restore`, and extracts messages that are safe to show.

use tokio::io::{AsyncRead, AsyncReadExt};

/// Maximum number of bytes kept of the output. The last bytes contain the reason for a failure.
const TAIL_BYTES: usize = 8 * 1024;
const MAX_MESSAGE_CHARS: usize = 400;
/// Parts of messages about a connection to Postgres that was lost, or could not be opened at present. The first are
/// messages of libpq, the last are reasons for which Postgres refuses a login.
const DISCONNECTIONS: [&str; 12] = [
    "Connection refused",
    "Connection reset by peer",
    "timeout expired",
    "server closed the connection",
    "no connection to the server",
    "could not receive data from server",
    "could not send data to server",
    "SSL SYSCALL error",
    "SSL connection has been closed",
    "the database system is ",
    "too many clients",
    "remaining connection slots",
];

/// Reads to the end and returns the last 8 KiB.
pub(in crate::db) async fn read_tail(mut source: impl AsyncRead + Unpin) -> String {
    let mut tail = Vec::new();
    let mut chunk = [0_u8; 4096];
    // A read error ends the loop: the output read so far is still useful.
    while let Ok(count @ 1..) = source.read(&mut chunk).await {
        tail.extend_from_slice(&chunk[..count]);
        if tail.len() > TAIL_BYTES {
            tail.drain(..tail.len() - TAIL_BYTES);
        }
    }
    String::from_utf8_lossy(&tail).into_owned()
}

/// Returns the errors in `text` as one line, without the server's address and without the failed statements. If there
/// are none, the line says so.
pub(in crate::db) fn safe_message(program: &str, text: &str) -> String {
    let mut messages: Vec<&str> = Vec::new();
    for line in text.lines() {
        let own_line = line.strip_prefix(program).and_then(|line| line.strip_prefix(": "));
        let Some(message) =
            own_line.and_then(|line| line.strip_prefix("error: ").or_else(|| line.strip_prefix("detail: ")))
        else {
            continue;
        };
        // The server's address: `connection to server at "10.0.0.1", port 5432 failed: FATAL:  …`
        let message = match message.split_once(" failed: ") {
            Some((before, after)) if before.starts_with("connection to server") => after,
            _ => message,
        };
        // A statement: `Query was: LOCK TABLE …`
        let statement_labels = ["Query was:", "query was:", "Command was:", "The command was:"];
        if !statement_labels.iter().any(|label| message.starts_with(label)) {
            messages.push(message.trim());
        }
    }
    match shorten(&messages.join("; ")) {
        message if message.is_empty() => {
            "it exited without an error message; see the log of the Postgres server".to_owned()
        }
        message => message,
    }
}

/// Returns whether a line says that the connection to Postgres was lost, or could not be opened at present. A line with
/// the error of a statement does not, whatever its text is.
pub(in crate::db) fn is_disconnection(line: &str) -> bool {
    if line.contains("ERROR:") {
        return false;
    }
    // An error of severity FATAL ends a session. Postgres also uses this severity when it refuses a login, and such a
    // refusal can be permanent.
    let ends_session = line.contains("FATAL:") && !line.contains("connection to server");
    ends_session || DISCONNECTIONS.iter().any(|part| line.contains(part))
}

/// Returns a message as one line of limited length.
pub(in crate::db) fn shorten(message: &str) -> String {
    let message = message.replace(|character: char| character.is_control(), " ");
    match message.chars().count() {
        0..=MAX_MESSAGE_CHARS => message,
        _ => message.chars().take(MAX_MESSAGE_CHARS).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(safe_message("pg_dump", text), expected);
    }

    #[test]
    fn messages_contain_the_failure_without_addresses_and_statements() {
        check(
            "pg_dump: error: connection to server at \"10.1.2.3\", port 5432 failed: FATAL:  database \"x\" does not \
             exist\n",
            "FATAL:  database \"x\" does not exist",
        );
        check(
            "pg_dump: error: query failed: ERROR:  permission denied for table t\npg_dump: detail: Query was: LOCK \
             TABLE public.t IN ACCESS SHARE MODE\n",
            "query failed: ERROR:  permission denied for table t",
        );
        check(
            "pg_dump: warning: there are circular foreign-key constraints\npg_dump: error: server version: 16.1; \
             pg_dump version: 15.3\n\
             pg_dump: detail: aborting because of server version mismatch\n",
            "server version: 16.1; pg_dump version: 15.3; aborting because of server version mismatch",
        );
        let restoring = "pg_restore: error: could not execute query: ERROR:  permission denied to create \
            role\nCommand was: CREATE ROLE x;\n";
        let message = safe_message("pg_restore", restoring);
        assert_eq!(message, "could not execute query: ERROR:  permission denied to create role");
        check("", "it exited without an error message; see the log of the Postgres server");
    }

    #[test]
    fn lost_and_missing_connections_are_recognized() {
        for line in [
            "pg_dump: error: connection to server at \"10.1.2.3\", port 5432 failed: Connection refused",
            "pg_dump: error: connection to server on socket \"/s\" failed: FATAL:  the database system is starting up",
            "pg_restore: error: could not execute query: FATAL:  terminating connection due to administrator command",
            "pg_restore: error: error returned by PQputCopyData: server closed the connection unexpectedly",
        ] {
            assert!(is_disconnection(line), "{line}");
        }
        for line in [
            "pg_dump: error: connection to server at \"10.1.2.3\", port 5432 failed: FATAL:  no pg_hba.conf entry",
            "pg_restore: error: could not execute query: ERROR:  server closed the connection unexpectedly",
            "pg_restore: error: could not read from input file: end of file",
        ] {
            assert!(!is_disconnection(line), "{line}");
        }
    }

    #[tokio::test]
    async fn read_tail_keeps_only_the_last_bytes() {
        let text = format!("{}the end", "x".repeat(20_000));
        let tail = read_tail(text.as_bytes()).await;
        assert_eq!(tail.len(), TAIL_BYTES);
        assert!(tail.ends_with("the end"));
    }
}
