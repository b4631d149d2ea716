//! Writes values as JSON from the text that Postgres sends ([`CutForm`]), and cuts long values.

use std::borrow::Cow;

use super::{
    json_values::{InvalidValue, ValueWriter, write_string},
    plan::CutForm,
};

/// Writes a value. Postgres sends a short value as `=` and the whole value, and a long one as its size in bytes, `:`
/// and its beginning. Writes such a beginning as a string of at most `max_bytes`, and returns the size. Returns `None`
/// for a whole value. `push` receives the JSON in pieces.
pub(super) fn write<E: From<InvalidValue>>(
    form: CutForm,
    value: &[u8],
    max_bytes: usize,
    push: &mut impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<Option<u64>, E> {
    let text = std::str::from_utf8(value).map_err(|_| InvalidValue)?;
    if let Some(whole) = text.strip_prefix('=') {
        let writer = match form {
            CutForm::Text | CutForm::Bytes => ValueWriter::Text,
            CutForm::Number => ValueWriter::Number,
            CutForm::Document | CutForm::Json => ValueWriter::Json,
        };
        writer.write(whole.as_bytes(), push)?;
        return Ok(None);
    }
    let (bytes, beginning) = text.split_once(':').ok_or(InvalidValue)?;
    let bytes = bytes.parse().map_err(|_| InvalidValue)?;
    let beginning = match form {
        CutForm::Bytes => Cow::Owned(format!("\\x{beginning}")),
        CutForm::Json => unescaped(beginning),
        CutForm::Text | CutForm::Number | CutForm::Document => Cow::Borrowed(beginning),
    };
    let end = beginning.floor_char_boundary(max_bytes);
    write_string(beginning[..end].as_bytes(), push)?;
    Ok(Some(bytes))
}

/// Returns the beginning of a JSON value as text. A beginning of a JSON string is unescaped.
fn unescaped(json: &str) -> Cow<'_, str> {
    let Some(inner) = json.strip_prefix('"') else { return Cow::Borrowed(json) };
    // The end may be a part of an escape. The longest is a surrogate pair of two escapes with six characters each.
    let ends = (0..=12).filter_map(|cut| inner.len().checked_sub(cut)).filter(|end| inner.is_char_boundary(*end));
    ends.into_iter()
        .find_map(|end| serde_json::from_str::<String>(&format!("\"{}\"", &inner[..end])).ok())
        .map_or(Cow::Borrowed(inner), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(form: CutForm, value: &str, max_bytes: usize) -> (String, Option<u64>) {
        let mut json = Vec::new();
        let bytes = write(form, value.as_bytes(), max_bytes, &mut |piece: &[u8]| {
            json.extend_from_slice(piece);
            Ok::<_, InvalidValue>(())
        });
        (String::from_utf8(json).unwrap(), bytes.unwrap())
    }

    #[test]
    fn whole_values_are_written_in_their_form() {
        let check = |form, value: &str, json: &str| assert_eq!(written(form, value, 4), (json.to_owned(), None));
        check(CutForm::Text, "=a:\"b", "\"a:\\\"b\"");
        check(CutForm::Text, "=", "\"\"");
        check(CutForm::Number, "=1.10", "1.10");
        check(CutForm::Number, "=NaN", "\"NaN\"");
        check(CutForm::Document, "={\"a\": 1.10}", "{\"a\": 1.10}");
        check(CutForm::Bytes, "=\\x00", "\"\\\\x00\"");
    }

    #[test]
    fn cut_values_are_strings_of_whole_characters() {
        let check = |form, value: &str, max_bytes, json: &str, bytes| {
            assert_eq!(written(form, value, max_bytes), (json.to_owned(), Some(bytes)), "{value}");
        };
        check(CutForm::Text, "10:ab:cd", 4, "\"ab:c\"", 10);
        check(CutForm::Text, "9:aé😀", 4, "\"aé\"", 9);
        check(CutForm::Document, "99:{\"a\": [", 7, "\"{\\\"a\\\": [\"", 99);
        check(CutForm::Bytes, "12:0001", 6, "\"\\\\x0001\"", 12);
        check(CutForm::Json, "20:\"a\\nb\\u00", 20, "\"a\\nb\"", 20);
        check(CutForm::Json, "20:\"a\\ud83d\\ude", 20, "\"a\"", 20);
        check(CutForm::Json, "20:[1,2", 20, "\"[1,2\"", 20);
    }
}
