//! One figure, and its bar if it has one.

use serde_json::json;

/// Whether more or less is better.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Lower,
    Higher,
}

/// A measured value against its bar.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) value: f64,
    /// None for a figure that depends on the machine, or that nothing was promised of.
    pub(crate) bar: Option<f64>,
    pub(crate) better: Better,
}

impl Figure {
    pub(crate) const fn at_most(name: &'static str, value: f64, bar: f64) -> Self {
        Self { name, value, bar: Some(bar), better: Better::Lower }
    }

    pub(crate) const fn at_least(name: &'static str, value: f64, bar: f64) -> Self {
        Self { name, value, bar: Some(bar), better: Better::Higher }
    }

    /// A figure without a bar, of which more is better.
    pub(crate) const fn told(name: &'static str, value: f64) -> Self {
        Self { name, value, bar: None, better: Better::Higher }
    }

    fn holds(&self) -> bool {
        self.bar.is_none_or(|bar| match self.better {
            Better::Lower => self.value <= bar,
            Better::Higher => self.value >= bar,
        })
    }
}

/// Prints figures as they come.
pub(crate) struct Report<'a> {
    json: bool,
    names: &'a [&'a str],
    failed: usize,
}

impl<'a> Report<'a> {
    pub(crate) const fn new(json: bool, names: &'a [&'a str]) -> Self {
        Self { json, names, failed: 0 }
    }

    /// Whether a figure, or a group of them, was asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.names.is_empty()
            || self.names.iter().any(|asked| name.starts_with(asked) || asked.starts_with(name))
    }

    #[expect(clippy::print_stdout, reason = "the report is the output")]
    pub(crate) fn add(&mut self, figure: &Figure) {
        let Figure { name, value, bar, better } = figure;
        let holds = figure.holds();
        self.failed += usize::from(!holds);
        let value = (value * 1000.0).round() / 1000.0;
        if self.json {
            let better = if *better == Better::Lower { "lower" } else { "higher" };
            let line =
                json!({"name": name, "value": value, "bar": bar, "better": better, "holds": holds});
            println!("{line}");
        } else if let Some(bar) = bar {
            let sign = if *better == Better::Lower { "≤" } else { "≥" };
            let verdict = if holds { "holds" } else { "FALLS SHORT" };
            println!("{name:<44} {value:>12} {sign} {bar:<10} {verdict}");
        } else {
            println!("{name:<44} {value:>12}");
        }
    }

    pub(crate) const fn holds(&self) -> bool {
        self.failed == 0
    }
}

/// Says what kept a group from being measured.
#[expect(clippy::print_stderr, reason = "a message for whoever runs the bench")]
pub(crate) fn complain(error: &str) {
    eprintln!("bench: {error}");
}

/// The middle value.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
