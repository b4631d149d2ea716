//! Reads parts of a file, and detects its format and encoding.

use api_types::ImportFormat;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, File};

/// Number of bytes that are read to detect the format.
const HEAD_BYTES: u32 = 65_536;
/// Maximum size of a file in bytes. The server has the same limit.
const MAX_BYTES: f64 = 20.0 * 1024.0 * 1024.0 * 1024.0;

/// The format and the encoding of a file that can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Inspected {
    pub(super) format: ImportFormat,
    pub(super) is_utf8: bool,
}

/// Detects the format and the encoding of a file from its beginning.
///
/// # Errors
/// Returns a message that says why the file can't be imported, and what the owner can do.
pub(super) async fn inspect(file: &File) -> Result<Inspected, String> {
    check_size(file)?;
    kind_of(&part_of(file, 0, HEAD_BYTES).await?, &file.name())
}

/// Returns the first `length` bytes of a CSV file.
///
/// # Errors
/// Returns a message that says why the file can't be read as CSV, and what the owner can do.
pub(in crate::pages) async fn first_part_of_csv(file: &File, length: u32) -> Result<Vec<u8>, String> {
    check_size(file)?;
    let part = part_of(file, 0, length).await?;
    let inspected = kind_of(&part, &file.name())?;
    if inspected.format != ImportFormat::Csv {
        return Err("Only CSV files can be read here. Fill in the columns, then import the file.".to_owned());
    }
    if !inspected.is_utf8 {
        return Err("The file is not UTF-8. Save it as UTF-8 first.".to_owned());
    }
    Ok(part)
}

fn check_size(file: &File) -> Result<(), String> {
    if file.size() == 0.0 {
        return Err("The file is empty. Choose another file.".to_owned());
    }
    if file.size() > MAX_BYTES {
        return Err("The file is larger than 20 GiB. Split it into several files.".to_owned());
    }
    Ok(())
}

/// Returns `length` bytes of a file from `start`, or fewer at its end.
///
/// # Errors
/// Returns a message for the owner if the browser can't read the file.
pub(in crate::pages) async fn part_of(file: &File, start: u32, length: u32) -> Result<Vec<u8>, String> {
    let unreadable = || "The browser could not read the file. Choose it again.".to_owned();
    let blob: &Blob = file;
    let (start, end) = (f64::from(start), f64::from(start) + f64::from(length));
    let part = blob.slice_with_f64_and_f64(start, end).map_err(|_| unreadable())?;
    let buffer = JsFuture::from(part.array_buffer()).await.map_err(|_| unreadable())?;
    Ok(js_sys::Uint8Array::new(&buffer).to_vec())
}

fn kind_of(bytes: &[u8], name: &str) -> Result<Inspected, String> {
    let refused = |text: &str| Err(text.to_owned());
    match bytes {
        [0x1f, 0x8b, ..] => return refused("The file is compressed with gzip. Decompress it first."),
        [b'P', b'K', 3 | 5, ..] | [0xd0, 0xcf, 0x11, 0xe0, ..] => {
            return refused("This is a spreadsheet or an archive. Save the sheet as CSV (UTF-8) first.");
        }
        [b'P', b'G', b'D', b'M', b'P', ..] => {
            return refused("This is an archive of pg_dump. Restore it on the tab Restore.");
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return refused("The file is UTF-16. Save it as UTF-8 first."),
        _ => {}
    }
    let text = bytes.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(bytes);
    if text.contains(&0) {
        return refused("This is not a text file. CSV, JSON and NDJSON can be imported.");
    }
    let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
    let name = name.to_ascii_lowercase();
    let is_named = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    let format = match first {
        None => return refused("The file contains no text. Choose another file."),
        Some(b'{') if !is_named(&[".csv", ".tsv"]) => ImportFormat::Ndjson,
        Some(b'[') if !is_named(&[".csv", ".tsv"]) => ImportFormat::Json,
        _ if is_named(&[".json"]) => ImportFormat::Json,
        _ if is_named(&[".ndjson", ".jsonl"]) => ImportFormat::Ndjson,
        _ => ImportFormat::Csv,
    };
    // The last character may be incomplete, because only the beginning of the file is read.
    let is_utf8 = match std::str::from_utf8(text) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    Ok(Inspected { format, is_utf8 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_is_detected_from_content_and_name() {
        let format = |bytes: &[u8], name| kind_of(bytes, name).map(|inspected| inspected.format);
        assert_eq!(format(b"id,name\n1,a\n", "a.txt"), Ok(ImportFormat::Csv));
        assert_eq!(format(b"\xef\xbb\xbf  [{\"id\": 1}]", "a.json"), Ok(ImportFormat::Json));
        assert_eq!(format(b"{\"id\": 1}\n{\"id\": 2}", "a.json"), Ok(ImportFormat::Ndjson));
        assert_eq!(format(b"[x]\n1\n", "a.csv"), Ok(ImportFormat::Csv));
    }

    #[test]
    fn binary_files_and_blank_files_are_refused() {
        for bytes in [&b"PK\x03\x04"[..], b"\x1f\x8b\x08", b"PGDMP\x01", b"\xff\xfea\0", b"a\0b", b" \n"] {
            assert!(kind_of(bytes, "a.csv").is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn encoding_is_utf8_unless_a_byte_is_invalid() {
        assert_eq!(kind_of("ä".as_bytes(), "a.csv").map(|inspected| inspected.is_utf8), Ok(true));
        assert_eq!(kind_of(b"\xc3", "a.csv").map(|inspected| inspected.is_utf8), Ok(true));
        assert_eq!(kind_of(b"\xe4 \xe4", "a.csv").map(|inspected| inspected.is_utf8), Ok(false));
    }
}
