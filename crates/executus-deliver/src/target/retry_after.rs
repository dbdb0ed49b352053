//! When a receiver wants to be asked again.

use std::time::Duration;

use executus_core::Timestamp;

/// As good as never, for whoever waits seconds.
const MOST: f64 = 86_400.0;

/// What the field `retry-after` says: seconds, or a date.
pub(super) fn read(text: &str, now: Timestamp) -> Option<Duration> {
    match text.trim().parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds.clamp(0.0, MOST)).ok(),
        Err(_) => Some(date(text)?.since(now)),
    }
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
    fn seconds_and_dates_are_read() {
        for (text, expected) in [
            ("2", Some(2000)),
            (" 1.5 ", Some(1500)),
            ("-7", Some(0)),
            ("inf", Some(86_400_000)),
            ("NaN", None),
            ("", None),
            ("soon", None),
            ("Sun, 06 Nov 1994 08:49:40 GMT", Some(3000)),
            ("Sun, 06 Nov 1994 08:49:30 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:40 PST", None),
            ("Sun, é GMT", None),
        ] {
            assert_eq!(read(text, NOW), expected.map(Duration::from_millis), "{text}");
        }
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
