//! Converts the messages of `COPY … TO STDOUT` to the format of the file.
//!
//! For CSV, Postgres produces the text of the file, and each message is the header or a row. For JSON, the result has
//! one column of type `json` and is copied in the binary format, which does not change its text.
//!
//! Source: PostgreSQL documentation, "COPY", section "Binary Format".

use bytes::{Buf as _, BufMut as _, BytesMut};

/// Size of the header of a binary copy: signature, flags, and length of the header's extension.
const HEADER_BYTES: usize = 11 + 4 + 4;
/// Size of the header of a row: number of fields, and length of the only field.
const ROW_HEADER_BYTES: usize = 2 + 4;

/// The format of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowFormat {
    Csv,
    Json,
    Ndjson,
}

/// Writes rows.
pub(super) struct RowWriter {
    format: RowFormat,
    /// Bytes of a binary copy that were not parsed yet.
    unparsed: BytesMut,
    /// Whether the header was read: the line with the names of the columns, or the header of a binary copy.
    header_read: bool,
    pub(super) rows: u64,
}

/// The error for a result of Postgres that is not a complete copy of one column.
#[derive(Debug, thiserror::Error)]
#[error("Postgres sent a result that is not a copy of one column")]
pub(super) struct UnexpectedCopy;

impl RowWriter {
    pub(super) fn new(format: RowFormat) -> Self {
        Self { format, unparsed: BytesMut::new(), header_read: false, rows: 0 }
    }

    /// Writes the rows of a message to `file`.
    pub(super) fn write(&mut self, message: &[u8], file: &mut BytesMut) -> Result<(), UnexpectedCopy> {
        if self.format == RowFormat::Csv {
            self.rows += u64::from(self.header_read);
            self.header_read = true;
            file.put_slice(message);
            return Ok(());
        }
        self.unparsed.put_slice(message);
        if !self.header_read {
            let Some(header) = self.unparsed.get(..HEADER_BYTES) else { return Ok(()) };
            let extension = u32::from_be_bytes([header[15], header[16], header[17], header[18]]) as usize;
            if self.unparsed.len() < HEADER_BYTES + extension {
                return Ok(());
            }
            self.unparsed.advance(HEADER_BYTES + extension);
            self.header_read = true;
        }
        while let Some(count) = self.unparsed.first_chunk::<2>() {
            if i16::from_be_bytes(*count) == -1 {
                // A count of -1 marks the end of the copy.
                self.unparsed.clear();
                return Ok(());
            }
            let Some(header) = self.unparsed.first_chunk::<ROW_HEADER_BYTES>() else { return Ok(()) };
            let [first, second, length @ ..] = *header;
            let length = usize::try_from(i32::from_be_bytes(length)).map_err(|_| UnexpectedCopy)?;
            if [first, second] != [0, 1] {
                return Err(UnexpectedCopy);
            }
            if self.unparsed.len() < ROW_HEADER_BYTES + length {
                return Ok(());
            }
            self.unparsed.advance(ROW_HEADER_BYTES);
            let row = self.unparsed.split_to(length);
            self.write_json(&row, file);
        }
        Ok(())
    }

    fn write_json(&mut self, row: &[u8], file: &mut BytesMut) {
        match (self.format, self.rows) {
            (RowFormat::Ndjson, _) => {
                // Values of type `json` keep their line breaks. In JSON, line breaks occur only outside of strings, so
                // they can be replaced.
                file.extend(row.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
                file.put_u8(b'\n');
            }
            (_, 0) => {
                file.put_slice(b"[");
                file.put_slice(row);
            }
            _ => {
                file.put_slice(b",\n");
                file.put_slice(row);
            }
        }
        self.rows += 1;
    }

    /// Writes the end of the file. Returns the number of rows.
    pub(super) fn finish(self, file: &mut BytesMut) -> Result<u64, UnexpectedCopy> {
        if !self.unparsed.is_empty() || !self.header_read {
            return Err(UnexpectedCopy);
        }
        if self.format == RowFormat::Json {
            file.put_slice(if self.rows == 0 { b"[]\n" } else { b"]\n" });
        }
        Ok(self.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binary(rows: &[&str]) -> Vec<u8> {
        let mut bytes = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
        for row in rows {
            bytes.extend_from_slice(&[0, 1]);
            bytes.extend_from_slice(&(row.len() as u32).to_be_bytes());
            bytes.extend_from_slice(row.as_bytes());
        }
        bytes.extend_from_slice(&[0xff, 0xff]);
        bytes
    }

    fn check(format: RowFormat, rows: &[&str], expected: &str) {
        let bytes = binary(rows);
        for size in [1, 3, 7, bytes.len()] {
            let (mut writer, mut file) = (RowWriter::new(format), BytesMut::new());
            for message in bytes.chunks(size) {
                writer.write(message, &mut file).unwrap();
            }
            assert_eq!(writer.finish(&mut file).unwrap(), rows.len() as u64);
            assert_eq!(file, expected.as_bytes(), "{size}");
        }
    }

    #[test]
    fn json_rows_keep_their_text() {
        check(RowFormat::Json, &[], "[]\n");
        check(RowFormat::Json, &["{\"a\":1e2}", "{\"a\":\"\\n\"}"], "[{\"a\":1e2},\n{\"a\":\"\\n\"}]\n");
        check(RowFormat::Ndjson, &["{\"a\":{\n\"b\":\"\\n\"}}", "{}"], "{\"a\":{ \"b\":\"\\n\"}}\n{}\n");
        check(RowFormat::Ndjson, &[], "");
    }

    #[test]
    fn rows_of_csv_are_counted_without_the_header() {
        let (mut writer, mut file) = (RowWriter::new(RowFormat::Csv), BytesMut::new());
        for message in ["id,text\n", "1,\"a\nb\"\n", "2,\n"] {
            writer.write(message.as_bytes(), &mut file).unwrap();
        }
        assert_eq!(writer.finish(&mut file).unwrap(), 2);
        assert_eq!(file, "id,text\n1,\"a\nb\"\n2,\n".as_bytes());
    }

    #[test]
    fn truncated_copy_is_an_error() {
        let bytes = binary(&["{}"]);
        let (mut writer, mut file) = (RowWriter::new(RowFormat::Json), BytesMut::new());
        writer.write(&bytes[..bytes.len() - 4], &mut file).unwrap();
        assert!(writer.finish(&mut file).is_err());
    }
}
