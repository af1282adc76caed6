//! What is wrong with a profile's text, where, and what to write instead. Knows no file: whoever has read the text
//! looks the place up in it.

/// A profile's text that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("profile {name}: {message}")]
pub struct ProfileError {
    /// The profile.
    pub name: String,
    /// What is wrong, and what to write.
    pub message: String,
    /// Where in the text the parser found it, in bytes.
    pub at: Option<usize>,
    /// At which key, dotted, where that is known.
    pub key: Option<String>,
}

impl ProfileError {
    /// What the text's form does not allow.
    pub(super) fn parsed(name: &str, error: &toml::de::Error) -> Self {
        let message = error.message().trim_end().replace('\n', ", ");
        Self {
            name: name.to_owned(),
            message: remedied(&message),
            at: error.span().map(|span| span.start),
            key: missing(&message).map(str::to_owned),
        }
    }

    /// What is no TOML at all.
    pub(super) fn syntax(name: &str, error: &toml::de::Error) -> Self {
        let plain = Self::parsed(name, error);
        Self { message: format!("{}; mend the TOML at this place", plain.message), ..plain }
    }
}

/// A mistake at a key.
pub(super) struct Wrong {
    pub(super) key: String,
    pub(super) message: String,
}

impl Wrong {
    /// The message goes on from the key's name.
    pub(super) fn at(key: impl Into<String>, message: impl std::fmt::Display) -> Self {
        let key = key.into();
        Self { message: format!("{key} {message}"), key }
    }
}

/// The key that a parser's message misses.
fn missing(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.strip_suffix('`')
}

/// A parser's message with what to write instead.
fn remedied(message: &str) -> String {
    if let Some(key) = missing(message) {
        return format!("`{key}` is missing: write it, or `extends` a profile that has it");
    }
    if let Some((wrong, known)) = split(message, "unknown field `", "`, ") {
        let mut known = words(known);
        // A profile's own keys; what it extends is taken away before the rest is read.
        if known.contains(&"read_only") {
            known.push("extends");
        }
        return format!("unknown key `{wrong}`; known here are {}", known.join(", "));
    }
    if let Some((wrong, known)) = split(message, "unknown variant `", "`, ") {
        return format!("`{wrong}` is not known here; allowed are {}", words(known).join(", "));
    }
    let kind = split(message, "invalid type: ", ", expected ")
        .or_else(|| split(message, "invalid value: ", ", expected "));
    match kind {
        Some((found, wanted)) => format!("found {found}, but it must be {}", plain(wanted)),
        None => message.to_owned(),
    }
}

fn split<'a>(message: &'a str, before: &str, between: &str) -> Option<(&'a str, &'a str)> {
    message.strip_prefix(before)?.split_once(between)
}

/// What stands between backticks.
fn words(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// What a parser calls a type, in an installer's words.
fn plain(wanted: &str) -> &str {
    match wanted {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number from 0",
        "i64" => "a whole number",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a string" | "a borrowed string" => "a text in quotes",
        "a sequence" => "a list in brackets",
        "a map" => "a table",
        other => match other.strip_prefix("struct ") {
            Some(_) => "a table, like { register = 1, type = \"u16\" }",
            None => other,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_parser_says_becomes_what_to_write() {
        for (said, told) in [
            ("missing field `models`", "`models` is missing: write it, or `extends` a profile that has it"),
            (
                "unknown field `typ`, expected one of `register`, `type`",
                "unknown key `typ`; known here are register, type",
            ),
            (
                "unknown field `extend`, expected `sources` or `read_only`",
                "unknown key `extend`; known here are sources, read_only, extends",
            ),
            (
                "unknown variant `i15`, expected `u16` or `i16`",
                "`i15` is not known here; allowed are u16, i16",
            ),
            (
                "invalid type: string \"1\", expected u16",
                "found string \"1\", but it must be a whole number from 0 to 65535",
            ),
            ("needs `type`, or `text`", "needs `type`, or `text`"),
        ] {
            assert_eq!(remedied(said), told);
        }
    }
}
