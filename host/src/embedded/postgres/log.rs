//! The log of Postgres, copied from its standard error into a file of bounded size.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;

use crate::embedded::data_folder::DataFolder;

/// Size of the log in bytes at which the file is renamed to `postgres.log.1`.
const MAX_BYTES: u64 = 8 << 20;
const MAX_TAIL_LINES: usize = 12;

/// The last lines of the log, for the error message of a failed start.
#[derive(Debug, Clone, Default)]
pub(super) struct LogTail(Arc<Mutex<VecDeque<String>>>);

impl LogTail {
    fn push(&self, line: &str) {
        let mut lines = self.0.lock();
        if lines.len() == MAX_TAIL_LINES {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }

    pub(super) fn clear(&self) {
        self.0.lock().clear();
    }

    /// Returns the last error, or else the last line. Empty if Postgres logged nothing.
    pub(super) fn last_error(&self) -> String {
        let lines = self.0.lock();
        let is_error = |line: &&String| ["FATAL:", "PANIC:", "ERROR:"].iter().any(|severity| line.contains(severity));
        lines.iter().rev().find(is_error).or_else(|| lines.back()).cloned().unwrap_or_default()
    }
}

/// Returns the path of the server's log.
pub(super) fn log_file(data_folder: &DataFolder) -> PathBuf {
    data_folder.join("postgres.log")
}

/// Starts a thread that copies the log until `source` is closed, which happens when the server and all its child
/// processes have ended.
pub(super) fn copy_log(source: impl Read + Send + 'static, path: PathBuf, tail: LogTail) -> io::Result<()> {
    std::thread::Builder::new().name("postgres-log".to_owned()).spawn(move || {
        let mut file = open(&path).ok();
        let mut reader = BufReader::new(source);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(read) if read > 0) {
            tail.push(String::from_utf8_lossy(&line).trim_end());
            if let Some((open_file, size)) = &mut file {
                // Write errors are ignored: on a full disk, Postgres must not block because its output is not read.
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
    fn full_log_file_is_rotated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("postgres.log");
        fs::write(&path, vec![b'x'; MAX_BYTES as usize]).unwrap();
        let (_, size) = open(&path).unwrap();
        assert_eq!(size, 0);
        assert_eq!(fs::metadata(folder.path().join("postgres.log.1")).unwrap().len(), MAX_BYTES);
    }

    #[test]
    fn last_error_ignores_later_messages() {
        let tail = LogTail::default();
        for line in ["LOG:  starting", "FATAL:  could not bind", "LOG:  shut down"] {
            tail.push(line);
        }
        assert_eq!(tail.last_error(), "FATAL:  could not bind");
    }
}
