//! Appends a manifest to a component.

/// Name of the custom section.
pub const SECTION: &str = "atlashub:manifest";

/// Appends the manifest's JSON to a component as a custom section.
///
/// The section consists of the id 0, its length, the length of its name, the name, and the content. See the WebAssembly
/// core specification, binary format, custom sections; components use the same format.
pub fn append_section(mut component: Vec<u8>, json: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(json.len() + SECTION.len() + 5);
    push_length(&mut content, SECTION.len());
    content.extend_from_slice(SECTION.as_bytes());
    content.extend_from_slice(json);
    component.push(0);
    push_length(&mut component, content.len());
    component.extend_from_slice(&content);
    component
}

/// Appends a length in unsigned LEB128.
fn push_length(bytes: &mut Vec<u8>, mut length: usize) {
    loop {
        let low = (length & 0x7f) as u8;
        length >>= 7;
        if length == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_encoded_as_leb128() {
        let check = |length: usize, expected: &[u8]| {
            let mut bytes = Vec::new();
            push_length(&mut bytes, length);
            assert_eq!(bytes, expected);
        };
        check(0, &[0]);
        check(127, &[127]);
        check(128, &[0x80, 1]);
        check(624_485, &[0xe5, 0x8e, 0x26]);
    }
}
