//! Postgres's log: read from its standard error into a file of bounded size.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// The file and its one predecessor, `postgres.log.1`, take at most twice this many bytes.
const MAX_BYTES: u64 = 8 << 20;
const TAIL_LINES: usize = 12;

/// The last lines, for the message of a start that failed.
#[derive(Debug, Clone, Default)]
pub(super) struct LogTail(Arc<Mutex<VecDeque<String>>>);

impl LogTail {
    fn push(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == TAIL_LINES {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }

    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What Postgres last complained about, in one line; empty where it did not.
    pub(super) fn complaint(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let severe = |line: &&String| ["FATAL:", "PANIC:", "ERROR:"].iter().any(|severity| line.contains(severity));
        lines.iter().rev().find(severe).or_else(|| lines.back()).cloned().unwrap_or_default()
    }
}

/// Copies lines until the other side closes, which it does when the server and all of its children are gone.
pub(super) fn follow(source: impl Read + Send + 'static, path: PathBuf, tail: LogTail) -> io::Result<()> {
    std::thread::Builder::new().name("postgres-log".to_owned()).spawn(move || {
        let mut file = open(&path).ok();
        let mut reader = BufReader::new(source);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(read) if read > 0) {
            tail.push(String::from_utf8_lossy(&line).trim_end());
            if let Some((open_file, size)) = &mut file {
                // A full disk must not stop Postgres, which waits for us to read.
                if open_file.write_all(&line).is_ok() {
                    *size += line.len() as u64;
                }
                if *size >= MAX_BYTES {
                    file = rotate(&path).ok();
                }
            }
            line.clear();
        }
    })?;
    Ok(())
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let size = file.metadata()?.len();
    if size >= MAX_BYTES { rotate(path) } else { Ok((file, size)) }
}

fn rotate(path: &Path) -> io::Result<(File, u64)> {
    let mut previous = path.as_os_str().to_owned();
    previous.push(".1");
    fs::rename(path, previous)?;
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    Ok((file, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_becomes_the_predecessor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("postgres.log");
        fs::write(&path, vec![b'x'; MAX_BYTES as usize]).unwrap();
        let (_, size) = open(&path).unwrap();
        assert_eq!(size, 0);
        assert_eq!(fs::metadata(folder.path().join("postgres.log.1")).unwrap().len(), MAX_BYTES);
    }

    #[test]
    fn the_complaint_is_the_last_severe_line() {
        let tail = LogTail::default();
        for line in ["LOG:  starting", "FATAL:  could not bind", "LOG:  shut down"] {
            tail.push(line);
        }
        assert_eq!(tail.complaint(), "FATAL:  could not bind");
    }
}
