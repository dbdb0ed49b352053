//! Amounts and windows as people write and read them.

use std::time::Duration;

use executus_core::port::Amounts;
use executus_core::port::budget::{Limit, Window};
use executus_playbook::parse_duration;

/// Units by size, the largest first, in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// The dimensions that somebody named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Named {
    pub(crate) tokens: Option<u64>,
    pub(crate) runtime: Option<Duration>,
    pub(crate) cost_micros: Option<u64>,
    pub(crate) runs: Option<u64>,
}

impl Named {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The same, and those of `base` where none was named.
    pub(crate) fn over(self, base: Amounts) -> Amounts {
        Amounts {
            tokens: self.tokens.unwrap_or(base.tokens),
            runtime_ms: self.runtime.map_or(base.runtime_ms, millis),
            cost_micros: self.cost_micros.unwrap_or(base.cost_micros),
            runs: self.runs.unwrap_or(base.runs),
        }
    }

    /// A limit on these dimensions alone.
    pub(crate) fn limit(self, window: Window) -> Limit {
        Limit::new(window, self.over(Amounts::UNLIMITED))
    }
}

/// A duration in milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Reads `total`, `fixed:1h` or `rolling:30m`.
pub(crate) fn window(text: &str) -> Result<Window, String> {
    let length = |text: &str| parse_duration(text);
    let window = match text.split_once(':') {
        None if text == "total" => Some(Window::Total),
        Some(("fixed", text)) => length(text).map(Window::fixed),
        Some(("rolling", text)) => length(text).map(Window::rolling),
        _ => None,
    };
    window.ok_or_else(|| {
        format!(
            "`{text}` is no window: expected \"total\", \"fixed:1h\" or \"rolling:1h\", with a \
             length such as 30m, 1h or 7d"
        )
    })
}

/// Reads a duration.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text)
        .ok_or_else(|| format!("`{text}` is no duration: expected one such as 90s, 10m or 1h30m"))
}

/// Reads dollars, to the millionth.
pub(crate) fn dollars(value: f64) -> Result<u64, String> {
    let text = format!("{value:.6}").replace('.', "");
    match text.parse() {
        Ok(micros) if micros <= Amounts::MAX => Ok(micros),
        _ => Err(format!("`{value}` is no cost: expected US dollars, 0 or above, such as 0.50")),
    }
}

/// Reads dollars from the command line.
pub(crate) fn dollars_text(text: &str) -> Result<u64, String> {
    let value = text.parse().map_err(|_| format!("`{text}` is no cost: expected one like 0.50"))?;
    dollars(value)
}

/// Reads `NAME=tokens:N,runtime:D,cost:X`.
pub(crate) fn spent(text: &str) -> Result<(String, Amounts), String> {
    let expected = || format!("`{text}`: expected CALLER=tokens:N,runtime:DURATION,cost:DOLLARS");
    let (caller, list) = text.rsplit_once('=').ok_or_else(expected)?;
    let mut named = Named::default();
    for part in list.split(',') {
        let (dimension, amount) = part.split_once(':').ok_or_else(expected)?;
        match dimension {
            "tokens" => named.tokens = Some(amount.parse().map_err(|_| expected())?),
            "runtime" => named.runtime = Some(duration(amount)?),
            "cost" => named.cost_micros = Some(dollars_text(amount)?),
            _ => return Err(expected()),
        }
    }
    Ok((caller.to_owned(), named.over(Amounts::default())))
}

/// A window as [`window`] reads it.
pub(crate) fn window_text(window: Window) -> String {
    match window {
        Window::Total => "total".to_owned(),
        Window::Fixed { length } => format!("fixed:{}", duration_text(millis(length))),
        Window::Rolling { length } => format!("rolling:{}", duration_text(millis(length))),
    }
}

/// Milliseconds as [`duration`] reads them; `0s` for none.
pub(crate) fn duration_text(mut ms: u64) -> String {
    let mut text = String::new();
    for (unit, length) in UNITS {
        if ms >= length {
            text.push_str(&format!("{}{unit}", ms / length));
            ms %= length;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// An amount of a dimension, by the dimension's name in core: what people call it, and how much.
pub(crate) fn shown(dimension: &'static str, amount: u64) -> (&'static str, String) {
    match dimension {
        "runtime_ms" => ("runtime", duration_text(amount)),
        "cost_micros" => {
            let text = format!("{}.{:06}", amount / 1_000_000, amount % 1_000_000);
            let cents = text.len() - 4;
            let (whole, rest) = text.split_at(cents);
            ("cost", format!("${whole}{}", rest.trim_end_matches('0')))
        }
        _ => (dimension, amount.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_as_they_are_shown() {
        for text in ["total", "fixed:1h", "rolling:1h30m", "fixed:7d", "rolling:1s500ms"] {
            assert_eq!(window_text(window(text).unwrap()), text);
        }
        for text in ["", "hour", "fixed", "fixed:", "fixed:0s", "rolling:60000", "total:1h"] {
            assert!(window(text).unwrap_err().contains("expected"), "{text}");
        }
    }

    #[test]
    fn costs_are_millionths() {
        for (text, micros, told) in [
            ("0.5", 500_000, "$0.50"),
            ("0.07", 70_000, "$0.07"),
            ("12", 12_000_000, "$12.00"),
            ("0.000001", 1, "$0.000001"),
            ("0", 0, "$0.00"),
        ] {
            assert_eq!(dollars_text(text), Ok(micros));
            assert_eq!(shown("cost_micros", micros), ("cost", told.to_owned()));
        }
        for text in ["-1", "nan", "inf", "1e30", "x", ""] {
            assert!(dollars_text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_was_spent_is_read() {
        let amounts = Amounts { tokens: 3, runtime_ms: 90_000, cost_micros: 250_000, runs: 0 };
        let read = spent("team=a=tokens:3,runtime:90s,cost:0.25");
        assert_eq!(read, Ok(("team=a".to_owned(), amounts)));
        for text in ["anna", "anna=", "anna=3", "anna=runs:1", "anna=tokens:x"] {
            assert!(spent(text).is_err(), "{text}");
        }
    }
}
