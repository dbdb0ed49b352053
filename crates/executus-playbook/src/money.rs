//! US dollars in run files, counted in millionths.

use toml::de::DeValue;

use crate::reader::{Item, Reader};

/// What becomes of less than a millionth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    Up,
    Nearest,
}

/// Reads an integer or a fraction of at least 0 as millionths.
pub(crate) fn read_millionths<'a>(
    reader: &mut Reader<'a>,
    item: &Item<'a>,
    round: Round,
    expected: &str,
) -> Option<u64> {
    let (shown, millionths) = match item.value {
        DeValue::Integer(integer) => {
            let value = i64::from_str_radix(integer.as_str(), integer.radix());
            let is_negative = integer.as_str().starts_with('-');
            let value = value.ok().and_then(|value| u64::try_from(value).ok());
            let millionths = value.and_then(|value| value.checked_mul(MILLION));
            (integer.to_string(), if is_negative { None } else { Some(millionths) })
        }
        DeValue::Float(float) => {
            let value: Option<f64> = float.as_str().parse().ok();
            let value = value.filter(|value| value.is_finite() && *value >= 0.0);
            // -0.0 is a zero.
            (float.as_str().to_owned(), value.map(|value| millionths(value.abs(), round)))
        }
        _ => {
            item.mistyped(reader, expected);
            return None;
        }
    };
    let expected = if millionths.is_some() { "a smaller number" } else { expected };
    let millionths = millionths.flatten();
    if millionths.is_none() {
        reader.problem(item.at, format!("`{}` is {shown}", item.key), expected);
    }
    millionths
}

const MILLION: u64 = 1_000_000;

/// The millionths of a number of at least 0; `None` when they are too many.
///
/// Counted in its decimal digits: in binary 0.07 dollars are a little more than 70,000 millionths.
fn millionths(value: f64, round: Round) -> Option<u64> {
    // The shortest decimal that reads as this number, without an exponent.
    let decimal = value.to_string();
    let (whole, fraction) = decimal.split_once('.').unwrap_or((&decimal, ""));
    let (counted, rest) = fraction.split_at(fraction.len().min(6));
    let above = match round {
        Round::Up => rest.bytes().any(|digit| digit != b'0'),
        Round::Nearest => rest.starts_with(|digit| digit >= '5'),
    };
    let whole = whole.parse::<u64>().ok()?.checked_mul(MILLION)?;
    whole.checked_add(format!("{counted:0<6}").parse().ok()?)?.checked_add(u64::from(above))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_counted_in_decimal() {
        for (value, up, nearest) in [
            (0.0, 0, 0),
            (0.07, 70_000, 70_000),
            (0.5, 500_000, 500_000),
            (1.1, 1_100_000, 1_100_000),
            (2.0, 2_000_000, 2_000_000),
            (1e-9, 1, 0),
            (0.000_000_5, 1, 1),
            (0.123_456_4, 123_457, 123_456),
            (0.999_999_9, 1_000_000, 1_000_000),
        ] {
            assert_eq!(millionths(value, Round::Up), Some(up), "{value}");
            assert_eq!(millionths(value, Round::Nearest), Some(nearest), "{value}");
        }
        assert_eq!(millionths(1e300, Round::Up), None);
        assert_eq!(millionths(1.9e13, Round::Up), None);
    }
}
