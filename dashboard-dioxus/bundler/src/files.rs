//! The output folder. The names of assets contain a hash of their content, so browsers may cache them forever.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use sha2::{Digest as _, Sha256};

use crate::Profile;

/// Files that are being written. [`Files::publish`] replaces the previous files with them.
pub(crate) struct Files {
    output: PathBuf,
    next: PathBuf,
    profile: Profile,
    /// Bytes that a browser receives, by URL.
    sizes: BTreeMap<String, u64>,
}

impl Files {
    /// Creates an empty folder for the new files.
    pub(crate) fn new(output: &Path, profile: Profile) -> Result<Self> {
        let next = output.join("next");
        if next.exists() {
            fs::remove_dir_all(&next).with_context(|| format!("could not remove {}", next.display()))?;
        }
        fs::create_dir_all(next.join("assets")).with_context(|| format!("could not create {}", next.display()))?;
        Ok(Self { output: output.to_path_buf(), next, profile, sizes: BTreeMap::new() })
    }

    /// Adds a file under a name with a hash of its content. Returns its URL.
    pub(crate) fn add_asset(&mut self, name: &str, content: &[u8]) -> Result<String> {
        let hash = hex::encode(Sha256::digest(content));
        let (stem, extension) = name.rsplit_once('.').context("an asset has no extension")?;
        let name = format!("assets/{stem}-{}.{extension}", hash.get(..16).unwrap_or(&hash));
        self.write(&name, content)?;
        Ok(format!("/{name}"))
    }

    /// Adds a file without a hash in its name.
    pub(crate) fn add_page(&mut self, name: &str, content: &[u8]) -> Result<()> {
        self.write(name, content)
    }

    /// Returns the number of bytes that a browser receives for each of these URLs.
    pub(crate) fn sizes(&self, urls: &[&str]) -> Vec<(String, u64)> {
        urls.iter().map(|url| ((*url).to_owned(), self.sizes.get(*url).copied().unwrap_or_default())).collect()
    }

    /// Replaces the previous files with the new ones.
    pub(crate) fn publish(self) -> Result<()> {
        let files = self.output.join("files");
        if files.exists() {
            fs::remove_dir_all(&files).with_context(|| format!("could not remove {}", files.display()))?;
        }
        fs::rename(&self.next, &files).with_context(|| format!("could not create {}", files.display()))
    }

    /// Writes a file, and its compressed forms unless its format is already compressed.
    fn write(&mut self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.next.join(name);
        fs::write(&path, content).with_context(|| format!("could not write {}", path.display()))?;
        let url = format!("/{name}");
        if name.ends_with(".woff2") {
            self.sizes.insert(url, content.len() as u64);
            return Ok(());
        }
        let (brotli_quality, gzip_level) = match self.profile {
            Profile::Dev => (4, flate2::Compression::fast()),
            Profile::Release => (11, flate2::Compression::best()),
        };
        let mut compressed = Vec::new();
        let parameters = brotli::enc::BrotliEncoderParams { quality: brotli_quality, ..Default::default() };
        brotli::BrotliCompress(&mut &*content, &mut compressed, &parameters)?;
        fs::write(format!("{}.br", path.display()), &compressed)?;
        self.sizes.insert(url, compressed.len() as u64);
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), gzip_level);
        encoder.write_all(content)?;
        fs::write(format!("{}.gz", path.display()), encoder.finish()?)?;
        Ok(())
    }
}
