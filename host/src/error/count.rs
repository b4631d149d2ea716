//! Writes numbers with their nouns in messages.

use std::fmt::Display;

/// Returns the number followed by `singular` or `plural`, for messages: `1 row`, `2 rows`.
pub fn count<N: Display + PartialEq + From<u8> + Copy>(number: N, singular: &str, plural: &str) -> String {
    let noun = if number == N::from(1) { singular } else { plural };
    format!("{number} {noun}")
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn only_one_has_the_singular() {
        for (number, expected) in [(0, "0 rows"), (1, "1 row"), (2, "2 rows")] {
            assert_eq!(count(number, "row", "rows"), expected);
        }
    }
}
