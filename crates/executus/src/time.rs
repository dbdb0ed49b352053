//! Times and durations for people.

use std::time::Duration;

use executus_core::Timestamp;

/// A timestamp in RFC 3339, in UTC.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.as_micros())
        .map_or_else(|_| at.to_string(), |at| format!("{at:.6}"))
}

/// Reads a time: a date (its beginning, in UTC), or a date with a time and an offset.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    let day = || {
        let day: jiff::civil::Date = text.parse().ok()?;
        Some(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    };
    let at = text.parse::<jiff::Timestamp>().ok().or_else(day);
    at.map(|at| Timestamp::from_micros(at.as_microsecond())).ok_or_else(|| {
        format!("`{text}` is no time: expected one such as 2026-01-31 or 2026-01-31T08:00:00Z")
    })
}

/// A duration as short as it can be read: `12 ms`, `3.4 s`, `2 min 5 s`.
pub(crate) fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match duration.as_millis() {
        ms @ 0..1_000 => format!("{ms} ms"),
        ms @ 1_000..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// As [`short`], from milliseconds.
pub(crate) fn milliseconds(ms: u64) -> String {
    short(Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        let micros = |text: &str| parse(text).unwrap().as_micros();
        assert_eq!(micros("1970-01-02"), 86_400_000_000);
        assert_eq!(micros("1970-01-01T01:00:00+01:00"), 0);
        assert_eq!(micros("1970-01-01T00:00:00.5Z"), 500_000);
        for text in ["", "now", "1970-13-01", "1970-01-01T25:00:00Z"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_read_well() {
        assert_eq!(rfc3339(Timestamp::from_micros(0)), "1970-01-01T00:00:00.000000Z");
        for (ms, expected) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1000, "1.0 s"),
            (59_999, "59.9 s"),
            (125_000, "2 min 5 s"),
        ] {
            assert_eq!(short(Duration::from_millis(ms)), expected);
        }
    }
}
