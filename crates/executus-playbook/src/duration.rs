//! Durations as run files write them.

use std::time::Duration;

/// What a duration looks like, for diagnostics.
pub(crate) const DURATION: &str =
    "a duration above zero such as \"500ms\", \"90s\", \"10m\" or \"1h30m\"";

/// Units by size, largest first, in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads `"90s"`, `"10m"`, `"1h30m"`: whole numbers with the units `d`, `h`, `m`, `s` and `ms`,
/// the largest first, each at most once. `None` for anything else, for zero, and for more than a
/// century.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut total: u64 = 0;
    let mut units = UNITS.iter();
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let unit_len = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_len);
        // The iterator goes on where the last unit was found: that keeps the order.
        let (_, millis) = units.find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*millis)?)?;
        rest = after;
    }
    (1..=100 * 365 * 86_400_000).contains(&total).then(|| Duration::from_millis(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in [
            ("90s", 90_000),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("1s500ms", 1500),
            ("2d", 172_800_000),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "0s",
            "-1s",
            "+1s",
            "90",
            "s",
            "1.5s",
            "1 s",
            "1m1h",
            "1s1s",
            "1x",
            "１s",
            "99999999999999999999s",
            "18446744073709551615d",
            "101000d",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
