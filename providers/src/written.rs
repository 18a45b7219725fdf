//! What is wrong with a file that people write, in one line: where, and why.

/// Where a text is not the TOML that it should be, and why. The text itself is not repeated: a secret may stand there.
pub fn mistake(text: &str, error: &toml::de::Error) -> String {
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else { return error.message().to_owned() };
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}: {}", error.message())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_told_by_its_place_and_without_what_stands_there() {
        let text = "[\"été\"]\nkey = oops secret";
        let told = mistake(text, &text.parse::<toml::Table>().unwrap_err());
        assert!(told.starts_with("line 2, column ") && !told.contains("secret") && !told.contains('\n'), "{told}");
    }
}
