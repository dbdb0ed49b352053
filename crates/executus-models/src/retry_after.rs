//! When a provider wants to be asked again.

use std::time::Duration;

use executus_core::Timestamp;

/// As good as never, for whoever waits seconds.
const MOST: f64 = 86_400.0;

/// What the fields `retry-after` and `retry-after-ms` of a head say. The one in milliseconds is the
/// finer one and goes first.
pub(crate) fn of_head(
    seconds: Option<&str>,
    millis: Option<&str>,
    now: Timestamp,
) -> Option<Duration> {
    let fine = millis.and_then(|text| number(text, 0.001));
    fine.or_else(|| number(seconds?, 1.0)).or_else(|| Some(date(seconds?)?.since(now)))
}

/// A number of seconds in an error body, such as `2.5s`.
pub(crate) fn of_body(seconds: &str) -> Option<Duration> {
    number(seconds.trim_end_matches('s'), 1.0)
}

/// A number of such units. One below zero means now.
fn number(text: &str, unit: f64) -> Option<Duration> {
    let number: f64 = text.trim().parse().ok()?;
    Duration::try_from_secs_f64((number * unit).clamp(0.0, MOST)).ok()
}

/// A date of HTTP, in the one form that is still written: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn date(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, date) = text.trim().strip_suffix(" GMT")?.split_once(", ")?;
    let mut parts = date.split(' ');
    let mut part = || parts.next();
    let day: i64 = part()?.parse().ok()?;
    let month = part()?;
    let month = MONTHS.iter().position(|name| *name == month)?;
    let year: i64 = part()?.parse().ok()?;
    let mut clock = part()?.split(':').map(str::parse::<i64>);
    let mut field = |most: i64| {
        let field = clock.next()?.ok()?;
        (0..=most).contains(&field).then_some(field)
    };
    let (hour, minute, second) = (field(23)?, field(59)?, field(60)?);
    if !(1..=31).contains(&day) || !(1970..=9999).contains(&year) {
        return None;
    }
    // Days since 1970, in years that begin with March, so that a leap day is the last.
    let month = i64::try_from(month).ok()?;
    let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day;
    let seconds = (days - 719_469) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(Timestamp::from_micros(seconds * 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT.
    const NOW: Timestamp = Timestamp::from_micros(784_111_777_000_000);

    #[test]
    fn seconds_milliseconds_and_dates_are_read() {
        for (seconds, millis, expected) in [
            (Some("2"), None, Some(2000)),
            (Some(" 1.5 "), None, Some(1500)),
            (Some("2"), Some("30"), Some(30)),
            (Some("2"), Some("soon"), Some(2000)),
            (None, Some("30"), Some(30)),
            (Some("0"), None, Some(0)),
            (Some("-7"), None, Some(0)),
            (Some("1e300"), None, Some(86_400_000)),
            (Some("inf"), None, Some(86_400_000)),
            (Some("NaN"), None, None),
            (Some(""), None, None),
            (None, None, None),
            (Some("Sun, 06 Nov 1994 08:49:40 GMT"), None, Some(3000)),
            (Some("Sun, 06 Nov 1994 08:49:30 GMT"), None, Some(0)),
            (Some("Sun, 06 Nov 1994 08:49:40 PST"), None, None),
            (Some("Sun, 06 Foo 1994 08:49:40 GMT"), None, None),
            (Some("Sun, 06 Nov 1994 25:49:40 GMT"), None, None),
            (Some("Sun, 06 Nov 99999999999 08:49:40 GMT"), None, None),
            (Some("Sun, é GMT"), None, None),
        ] {
            let read = of_head(seconds, millis, NOW);
            assert_eq!(read, expected.map(Duration::from_millis), "{seconds:?} {millis:?}");
        }
        assert_eq!(of_body("2.5s"), Some(Duration::from_millis(2500)));
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Tue, 29 Feb 2000 12:00:00 GMT", 951_825_600),
            ("Wed, 01 Mar 2000 00:00:00 GMT", 951_868_800),
            ("Sat, 31 Dec 2016 23:59:60 GMT", 1_483_228_800),
            ("Sun, 28 Feb 2100 00:00:00 GMT", 4_107_456_000),
            ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
        ] {
            assert_eq!(date(text), Some(Timestamp::from_micros(seconds * 1_000_000)), "{text}");
        }
    }
}
