//! Texts in other forms: percent-encoded, escaped, base64.

use std::ops::Range;

/// A form in which a text may stand in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `%40`.
    Percent,
    /// `%40`, and `+` for a space.
    Query,
    /// `\n`, `\"`, `\u0040`, `\u{40}`, `\x40`, as in JSON and in debug output.
    Escaped,
}

impl Form {
    /// The text without this form, never longer; `None` when nothing of it has it.
    pub(super) fn decode(self, text: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(text.len());
        let mut at = 0;
        let mut buffer = [0; 4];
        let mut changed = false;
        while at < text.len() {
            let (taken, made) = self.step(&text[at..], &mut buffer);
            changed |= taken > 1;
            changed |= self == Self::Query && text[at] == b'+';
            out.extend_from_slice(made);
            at += taken;
        }
        changed.then_some(out)
    }

    /// Where spans of the decoded text stand in the encoded one. They are in order.
    pub(super) fn origins(self, text: &[u8], spans: &[Range<usize>], out: &mut Vec<Range<usize>>) {
        let (mut at, mut made) = (0, 0);
        let mut buffer = [0; 4];
        for span in spans {
            while at < text.len() && made < span.start {
                let step = self.step(&text[at..], &mut buffer);
                // A span that begins within a character begins with it.
                if made + step.1.len() > span.start {
                    break;
                }
                (at, made) = (at + step.0, made + step.1.len());
            }
            let start = at;
            while at < text.len() && made < span.end {
                let step = self.step(&text[at..], &mut buffer);
                (at, made) = (at + step.0, made + step.1.len());
            }
            out.push(start..at);
        }
    }

    /// How many bytes the first character takes, and what it stands for.
    fn step<'b>(self, text: &'b [u8], buffer: &'b mut [u8; 4]) -> (usize, &'b [u8]) {
        let made = match (self, text[0]) {
            (Self::Percent | Self::Query, b'%') => text.get(1..3).and_then(|digits| {
                buffer[0] = u8::try_from(number(digits)?).ok()?;
                Some((3, 1))
            }),
            (Self::Query, b'+') => {
                buffer[0] = b' ';
                Some((1, 1))
            }
            (Self::Escaped, b'\\') => escape(text, buffer),
            _ => None,
        };
        match made {
            Some((taken, len)) => (taken, &buffer[..len]),
            None => (1, &text[..1]),
        }
    }
}

/// What an escape takes, and how many bytes it puts into the buffer.
fn escape(text: &[u8], buffer: &mut [u8; 4]) -> Option<(usize, usize)> {
    let plain = match text.get(1)? {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'0' => 0,
        b'b' => 8,
        b'f' => 12,
        &byte @ (b'"' | b'\'' | b'\\' | b'/') => byte,
        b'x' => u8::try_from(number(text.get(2..4)?)?).ok()?,
        b'u' => return unicode(text, buffer),
        _ => return None,
    };
    buffer[0] = plain;
    Some((if text[1] == b'x' { 4 } else { 2 }, 1))
}

fn unicode(text: &[u8], buffer: &mut [u8; 4]) -> Option<(usize, usize)> {
    let (taken, code) = if text.get(2) == Some(&b'{') {
        let len = text[3..].iter().take(7).position(|&byte| byte == b'}')?;
        (len + 4, number(&text[3..3 + len])?)
    } else {
        let code = number(text.get(2..6)?)?;
        match low_half(text, code) {
            Some(low) => (12, 0x1_0000 + ((code - 0xD800) << 10) + (low - 0xDC00)),
            None => (6, code),
        }
    };
    Some((taken, char::from_u32(code)?.encode_utf8(buffer).len()))
}

/// The second half of a character that takes two.
fn low_half(text: &[u8], high: u32) -> Option<u32> {
    let next = text.get(6..12).filter(|next| next.starts_with(b"\\u"))?;
    let low = number(&next[2..])?;
    ((0xD800..0xDC00).contains(&high) && (0xDC00..0xE000).contains(&low)).then_some(low)
}

/// A number in hexadecimal digits, at least one.
fn number(digits: &[u8]) -> Option<u32> {
    let mut number = None;
    for &digit in digits {
        let digit = char::from(digit).to_digit(16)?;
        number = Some(number.unwrap_or(0) << 4 | digit);
    }
    number
}

/// The value of each byte as a digit of base64, of either alphabet; [`NONE`] for none.
const DIGITS: [u8; 256] = {
    let mut digits = [NONE; 256];
    let mut at = 0;
    while at < 26 {
        digits[b'A' as usize + at] = at as u8;
        digits[b'a' as usize + at] = at as u8 + 26;
        at += 1;
    }
    at = 0;
    while at < 10 {
        digits[b'0' as usize + at] = at as u8 + 52;
        at += 1;
    }
    digits[b'+' as usize] = 62;
    digits[b'-' as usize] = 62;
    digits[b'/' as usize] = 63;
    digits[b'_' as usize] = 63;
    digits
};
const NONE: u8 = 0xFF;

/// Whether a byte is a digit of base64, of either alphabet.
pub(super) const fn is_base64(byte: u8) -> bool {
    DIGITS[byte as usize] != NONE
}

/// The values of digits of base64.
pub(super) fn base64_values(digits: &[u8]) -> impl Iterator<Item = u8> {
    digits.iter().map(|&digit| DIGITS[digit as usize])
}

/// What digits of base64 stand for; what does not fill a byte is left out.
#[expect(clippy::cast_possible_truncation, reason = "the low bytes are what is meant")]
pub(super) fn base64(digits: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.reserve(digits.len() / 4 * 3 + 3);
    let group = |group: &[u8]| {
        group.iter().fold(0, |bits, &digit| bits << 6 | u32::from(DIGITS[digit as usize] & 0x3F))
    };
    let mut groups = digits.chunks_exact(4);
    for four in &mut groups {
        let bits = group(four);
        out.extend_from_slice(&[(bits >> 16) as u8, (bits >> 8) as u8, bits as u8]);
    }
    let bits = group(groups.remainder());
    match groups.remainder().len() {
        2 => out.push((bits >> 4) as u8),
        3 => out.extend_from_slice(&[(bits >> 10) as u8, (bits >> 2) as u8]),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_undone_and_places_are_found_again() {
        for (form, text, plain) in [
            (Form::Percent, "a%40b%c3%A9+%", "a@bé+%"),
            (Form::Query, "a+%40b", "a @b"),
            (Form::Escaped, r#"a\"b\\\n\u0040\u{e9}\x41\ud83d\ude00\q\u{"#, "a\"b\\\n@éA😀\\q\\u{"),
        ] {
            let decoded = form.decode(text.as_bytes()).unwrap();
            assert_eq!(String::from_utf8_lossy(&decoded), plain);
            let mut origins = Vec::new();
            form.origins(text.as_bytes(), &[1..2, 3..decoded.len()], &mut origins);
            assert_eq!(origins.last().unwrap().end, text.len());
            let second = form.decode(&text.as_bytes()[origins[0].clone()]);
            let second = second.unwrap_or(text.as_bytes()[origins[0].clone()].to_vec());
            assert_eq!(second, decoded[1..2]);
        }
        assert_eq!(Form::Percent.decode(b"50% + 7"), None);
        assert_eq!(Form::Escaped.decode(br"C:\q\w"), None);
    }

    #[test]
    fn base64_of_both_alphabets_is_undone() {
        let mut out = Vec::new();
        for (digits, plain) in
            [("aHVudGVyMg", "hunter2"), ("Pz8_", "???"), ("Pz8/", "???"), ("YWI", "ab"), ("", "")]
        {
            base64(digits.as_bytes(), &mut out);
            assert_eq!(out, plain.as_bytes());
        }
    }
}
