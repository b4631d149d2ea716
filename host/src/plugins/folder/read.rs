use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
};

use nix::fcntl::OFlag;

use super::{FileStamp, PluginFolder};
use crate::plugins::trust::{Origin, Refusal, SignedFile};

/// Largest component, in bytes.
pub const MAX_COMPONENT_BYTES: u64 = 16 << 20;
/// Four lines; the comments may be long.
const MAX_SIGNATURE_BYTES: u64 = 8 << 10;

/// Reads a component and its signature, each once. What comes back is all that any later check sees.
pub fn read_pair(folder: &PluginFolder, name: &str) -> Result<SignedFile, Refusal> {
    let (component, signature) = (folder.component(name), folder.signature(name));
    // The small one first: without it the large one need not be read.
    let signature = read_regular(&signature, MAX_SIGNATURE_BYTES)?;
    let signature = signature.ok_or_else(|| Refusal::NoSignature(format!("{name}.wasm.minisig")))?;
    let signature =
        String::from_utf8(signature).map_err(|_| Refusal::MalformedSignature(format!("{name}.wasm.minisig")))?;
    let bytes = read_regular(&component, MAX_COMPONENT_BYTES)?;
    let bytes = bytes.ok_or_else(|| Refusal::NoComponent(format!("{name}.wasm")))?;
    Ok(SignedFile { origin: Origin::Folder, name: name.to_owned(), bytes: Arc::from(bytes), signature })
}

/// The whole of a regular file of at most `most` bytes; None where there is none. Links are not followed, and what
/// is no file (a pipe, a device) is not waited for.
pub(super) fn read_regular(path: &Path, most: u64) -> Result<Option<Vec<u8>>, Refusal> {
    let shown = || path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let unreadable = |error: io::Error| Refusal::Unreadable(error.kind().to_string());
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let mut file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(nix::errno::Errno::ELOOP as i32) => {
            return Err(Refusal::Symlink(shown()));
        }
        // A socket can't be opened at all.
        Err(error) if error.raw_os_error() == Some(nix::errno::Errno::ENXIO as i32) => {
            return Err(Refusal::NotAFile(shown()));
        }
        Err(error) => return Err(unreadable(error)),
    };
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Refusal::NotAFile(shown()));
    }
    let bytes = metadata.len();
    if bytes > most {
        return Err(Refusal::TooLarge { file: shown(), bytes, most });
    }
    let content = read_whole(&mut file, bytes).map_err(unreadable)?;
    let after = file.metadata().map_err(unreadable)?;
    if content.len() as u64 != bytes || FileStamp::of(&after) != FileStamp::of(&metadata) {
        return Err(Refusal::Changing(shown()));
    }
    Ok(Some(content))
}

/// One byte more than there should be is enough to see that the file grows.
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
        let at = |name: &str| root.path().join(name);
        fs::write(at("file"), b"12345").unwrap();
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        std::os::unix::fs::symlink(at("nothing"), at("dangling")).unwrap();
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::create_dir(at("folder")).unwrap();
        File::create(at("sparse")).unwrap().set_len(100 << 30).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        assert_eq!(read_regular(&at("file"), 5), Ok(Some(b"12345".to_vec())));
        assert_eq!(read_regular(&at("missing"), 5), Ok(None));
        assert_eq!(read_regular(&at("file"), 4), Err(Refusal::TooLarge { file: "file".into(), bytes: 5, most: 4 }));
        assert!(matches!(read_regular(&at("sparse"), MAX_COMPONENT_BYTES), Err(Refusal::TooLarge { .. })));
        for link in ["link", "dangling"] {
            assert_eq!(read_regular(&at(link), 5), Err(Refusal::Symlink(link.into())));
        }
        for other in ["pipe", "folder", "socket"] {
            assert_eq!(read_regular(&at(other), 5), Err(Refusal::NotAFile(other.into())));
        }
    }

    #[test]
    fn half_a_pair_is_named_by_the_missing_half() {
        let root = tempfile::tempdir().unwrap();
        let folder = PluginFolder::new(root.path());
        fs::write(root.path().join("a.wasm"), b"x").unwrap();
        fs::write(root.path().join("b.wasm.minisig"), b"x").unwrap();
        assert_eq!(read_pair(&folder, "a").unwrap_err(), Refusal::NoSignature("a.wasm.minisig".into()));
        assert_eq!(read_pair(&folder, "b").unwrap_err(), Refusal::NoComponent("b.wasm".into()));
    }
}
