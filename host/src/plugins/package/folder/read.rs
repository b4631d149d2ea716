//! Reads a plugin's component and signature from the plugin folder.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
};

use nix::fcntl::OFlag;

use super::{FileStamp, PluginFolder};
use crate::plugins::package::{Origin, Refusal, SignedFile};

/// Maximum size of a signature file. It contains four lines, of which two are comments of any length.
const MAX_SIGNATURE_BYTES: u64 = 8 << 10;

/// Reads a component and its signature, each exactly once. All later checks work on the returned bytes.
///
/// # Errors
/// Returns the reason why a file can't be read, for example [`Refusal::NoSignature`] or [`Refusal::Symlink`].
pub fn read_signed_file(folder: &PluginFolder, name: &str) -> Result<SignedFile, Refusal> {
    // The signature is read first, because the much larger component is not needed without it.
    let signature = read_regular(&folder.signature_path(name), MAX_SIGNATURE_BYTES)?;
    let signature = signature.ok_or_else(|| Refusal::NoSignature(format!("{name}.wasm.minisig")))?;
    let signature =
        String::from_utf8(signature).map_err(|_| Refusal::MalformedSignature(format!("{name}.wasm.minisig")))?;
    let bytes = read_regular(&folder.component_path(name), folder.max_file_bytes())?;
    let bytes = bytes.ok_or_else(|| Refusal::NoComponent(format!("{name}.wasm")))?;
    Ok(SignedFile { origin: Origin::Folder, name: name.to_owned(), bytes: Arc::from(bytes), signature })
}

/// Reads a regular file of at most `max` bytes, or returns `None` if there is no such file. Doesn't follow symbolic
/// links and doesn't block on pipes or devices.
pub(super) fn read_regular(path: &Path, max: u64) -> Result<Option<Vec<u8>>, Refusal> {
    let file_name = || path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let unreadable = |error: io::Error| Refusal::Unreadable(error.kind().to_string());
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let mut file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(nix::errno::Errno::ELOOP as i32) => {
            return Err(Refusal::Symlink(file_name()));
        }
        // Opening a socket fails with this error.
        Err(error) if error.raw_os_error() == Some(nix::errno::Errno::ENXIO as i32) => {
            return Err(Refusal::NotAFile(file_name()));
        }
        Err(error) => return Err(unreadable(error)),
    };
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Refusal::NotAFile(file_name()));
    }
    let bytes = metadata.len();
    if bytes > max {
        return Err(Refusal::TooLarge { file: file_name(), bytes, max });
    }
    let content = read_whole(&mut file, bytes).map_err(unreadable)?;
    let after = file.metadata().map_err(unreadable)?;
    if content.len() as u64 != bytes || FileStamp::of(&after) != FileStamp::of(&metadata) {
        return Err(Refusal::Changing(file_name()));
    }
    Ok(Some(content))
}

/// Reads up to one byte more than expected, to detect that the file has grown.
fn read_whole(file: &mut File, bytes: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::with_capacity(usize::try_from(bytes).unwrap_or_default() + 1);
    file.take(bytes + 1).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_regular_files_within_the_limit_are_read() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::write(path("file"), b"12345").unwrap();
        std::os::unix::fs::symlink(path("file"), path("link")).unwrap();
        std::os::unix::fs::symlink(path("nothing"), path("dangling")).unwrap();
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::create_dir(path("folder")).unwrap();
        File::create(path("sparse")).unwrap().set_len(100 << 30).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        assert_eq!(read_regular(&path("file"), 5), Ok(Some(b"12345".to_vec())));
        assert_eq!(read_regular(&path("missing"), 5), Ok(None));
        assert_eq!(read_regular(&path("file"), 4), Err(Refusal::TooLarge { file: "file".into(), bytes: 5, max: 4 }));
        assert!(matches!(read_regular(&path("sparse"), 64 << 20), Err(Refusal::TooLarge { .. })));
        for link in ["link", "dangling"] {
            assert_eq!(read_regular(&path(link), 5), Err(Refusal::Symlink(link.into())));
        }
        for other in ["pipe", "folder", "socket"] {
            assert_eq!(read_regular(&path(other), 5), Err(Refusal::NotAFile(other.into())));
        }
    }

    #[test]
    fn missing_file_of_a_pair_is_named() {
        let root = tempfile::tempdir().unwrap();
        let folder = PluginFolder::new(root.path(), 1 << 20);
        fs::write(root.path().join("a.wasm"), b"x").unwrap();
        fs::write(root.path().join("b.wasm.minisig"), b"x").unwrap();
        assert_eq!(read_signed_file(&folder, "a").unwrap_err(), Refusal::NoSignature("a.wasm.minisig".into()));
        assert_eq!(read_signed_file(&folder, "b").unwrap_err(), Refusal::NoComponent("b.wasm".into()));
    }
}
