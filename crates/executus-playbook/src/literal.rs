//! Where a character of a TOML string stands in the file.

/// The offset within `raw` (a TOML string with its quotes) of the character that begins at byte
/// `decoded` of the string's value. Anything that is no string answers 0.
pub(crate) fn source_offset(raw: &str, decoded: usize) -> usize {
    let Some(mut cursor) = Cursor::open(raw) else { return 0 };
    let mut value_len = 0;
    while value_len < decoded {
        match cursor.step() {
            Some(len) => value_len += len,
            None => break,
        }
    }
    // A line continuation stands before the character, not in it.
    cursor.skip_continuations();
    cursor.at
}

struct Cursor<'a> {
    raw: &'a str,
    at: usize,
    escapes: bool,
    multiline: bool,
}

impl<'a> Cursor<'a> {
    fn open(raw: &'a str) -> Option<Self> {
        let quotes = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| {
            // `""` is an empty string, not the start of a longer one.
            raw.starts_with(quote) && (raw.len() >= 2 * quote.len())
        })?;
        let multiline = quotes.len() == 3;
        let mut at = quotes.len();
        if multiline {
            let rest = raw.get(at..).unwrap_or_default();
            at += ["\r\n", "\n"]
                .iter()
                .find(|end| rest.starts_with(**end))
                .map_or(0, |end| end.len());
        }
        Some(Self { raw, at, escapes: quotes.starts_with('"'), multiline })
    }

    fn rest(&self) -> &'a str {
        self.raw.get(self.at..).unwrap_or_default()
    }

    /// Passes one character of the value; says how many bytes it has there.
    fn step(&mut self) -> Option<usize> {
        self.skip_continuations();
        let rest = self.rest();
        let c = rest.chars().next()?;
        if !(self.escapes && c == '\\') {
            self.at += c.len_utf8();
            return Some(c.len_utf8());
        }
        let digits = match rest.as_bytes().get(1)? {
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            _ => {
                self.at += 2;
                return Some(1);
            }
        };
        self.at += 2 + digits;
        let code = u32::from_str_radix(rest.get(2..2 + digits)?, 16).ok()?;
        Some(char::from_u32(code)?.len_utf8())
    }

    /// `\` at the end of a line of a multi-line string takes all white space after it away.
    fn skip_continuations(&mut self) {
        while self.escapes && self.multiline {
            let Some(after) = self.rest().strip_prefix('\\') else { return };
            let text = after.trim_start_matches([' ', '\t', '\r', '\n']);
            let skipped = &after[..after.len() - text.len()];
            if !skipped.contains('\n') {
                return;
            }
            self.at += 1 + skipped.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every character of the value is found where it stands in the file.
    #[test]
    fn offsets_follow_the_parser() {
        for raw in [
            r#""plain {x}""#,
            r#""a\t\u00e9{x}\U0001F600 end""#,
            r"'no \escapes {x}'",
            "\"\"\"\nline {x}\nnext\"\"\"",
            "\"\"\"\r\nline\r\n{x}\"\"\"",
            "\"\"\"one \\\n   two {x} \\\n\n  three\"\"\"",
            "'''\n{x} '' \\n'''",
            r#""""#,
            r#""\x41{x}\e""#,
        ] {
            let source = format!("k = {raw}");
            let table = toml::de::DeTable::parse(&source).unwrap();
            let value = table.get_ref().get("k").unwrap().get_ref().as_str().unwrap();
            for (decoded, c) in value.char_indices() {
                let at = source_offset(raw, decoded);
                let there = raw[at..].chars().next().unwrap();
                assert!(there == c || there == '\\', "{raw}: {c:?} at {at} is {there:?}");
            }
            if let Some(decoded) = value.find("{x}") {
                assert_eq!(Some(source_offset(raw, decoded)), raw.find("{x}"), "{raw}");
            }
        }
    }

    #[test]
    fn what_is_no_string_has_no_inside() {
        assert_eq!(source_offset("12", 1), 0);
        assert_eq!(source_offset("", 1), 0);
    }
}
