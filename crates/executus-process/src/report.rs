//! What a child says of its work, in JSON.

use serde_json::{Map, Value};

use crate::error::{ProcessError, signal_of_code};
use crate::escape::strip_escapes;

/// How many lines from the end are tried, where the output as a whole is no report.
const LAST_LINES: usize = 16;
/// How much of an error's text is kept, in bytes.
const MESSAGE: usize = 2048;

/// The report of a child: a JSON object on its standard output, alone or as the last line that is
/// one. All fields are optional; what is not named here is kept in [`fields`](Self::fields).
///
/// ```json
/// {"status": 200, "result": {}, "cost": 0.12, "tokens": 4711, "transcript": []}
/// ```
///
/// A failed child that could still write it tells so what it had used until then.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// How it went, as HTTP would say it: 400 and more is a failure.
    pub status: Option<u16>,
    /// The exit code of what the child itself had started; of a signal, negative.
    pub exit_code: Option<i64>,
    /// What went wrong.
    pub error: Option<String>,
    /// What came of it.
    pub result: Option<Value>,
    /// What it cost, in the child's own terms.
    pub cost: Option<Value>,
    /// The tokens it used.
    pub tokens: Option<u64>,
    /// What was said.
    pub transcript: Option<Value>,
    /// All else.
    pub fields: Map<String, Value>,
}

impl Report {
    /// The report in an output.
    ///
    /// # Errors
    /// What is wrong: there is none, or a field of it is not what it must be.
    pub(crate) fn read(output: &[u8]) -> Result<Self, String> {
        let mut fields = find(output)?;
        let mut take = |name: &str| fields.remove(name).filter(|value| !value.is_null());
        let wrong = |name, expected, value: &Value| {
            let found = executus_core::text::bounded_to(value.to_string(), 80);
            format!("`{name}` of its report must be {expected}, found {found}")
        };
        let status = take("status").map(|value| {
            let status = value.as_u64().filter(|status| (100..600).contains(status));
            let status = status.and_then(|status| u16::try_from(status).ok());
            status.ok_or_else(|| wrong("status", "a whole number from 100 to 599", &value))
        });
        let exit_code = take("exit_code").map(|value| {
            value.as_i64().ok_or_else(|| wrong("exit_code", "a whole number", &value))
        });
        let tokens = take("tokens").map(|value| {
            value.as_u64().ok_or_else(|| wrong("tokens", "a whole number of at least 0", &value))
        });
        let cost = take("cost").map(|value| match value.as_f64() {
            Some(cost) if cost < 0.0 => Err(wrong("cost", "at least 0", &value)),
            _ => Ok(value),
        });
        let error = take("error").map(|value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        });
        Ok(Self {
            status: status.transpose()?,
            exit_code: exit_code.transpose()?,
            error: error.map(|text| {
                executus_core::text::bounded_to(strip_escapes(&text).into_owned(), MESSAGE)
            }),
            result: take("result"),
            cost: cost.transpose()?,
            tokens: tokens.transpose()?,
            transcript: take("transcript"),
            fields,
        })
    }

    /// The failure that it tells of, if it does.
    pub(crate) fn failure(&self, program: &str) -> Option<ProcessError> {
        let program = || program.to_owned();
        if let Some(signal) = self.exit_code.and_then(signal_of_code) {
            return Some(ProcessError::Ended { program: program(), signal });
        }
        let status = self.status.filter(|&status| status >= 400)?;
        let message = self.error.clone().unwrap_or_default();
        Some(ProcessError::Reported { program: program(), status, message })
    }
}

/// The object that an output is or ends with.
fn find(output: &[u8]) -> Result<Map<String, Value>, String> {
    let whole = match serde_json::from_slice(output) {
        Ok(Value::Object(fields)) => return Ok(fields),
        Ok(_) => "the report must be an object".to_owned(),
        Err(_) if output.trim_ascii().is_empty() => "it wrote nothing".to_owned(),
        Err(error) => format!("no report: {error}"),
    };
    let lines = output.rsplit(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let mut lines = lines.filter(|line| line.starts_with(b"{")).take(LAST_LINES);
    lines.find_map(|line| serde_json::from_slice(line).ok()).ok_or(whole)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_is_the_output_or_its_last_object() {
        for output in [
            "{\"status\": 200, \"tokens\": 7}",
            "{\n  \"status\": 200,\n  \"tokens\": 7\n}\n",
            "working …\n{\"tokens\": 1}\n{\"status\": 200, \"tokens\": 7}\nbye\n",
            "{\"a\": 1, \"status\": null, \"b\n{\"status\": 200, \"tokens\": 7}\n",
        ] {
            let report = Report::read(output.as_bytes()).unwrap();
            assert_eq!((report.status, report.tokens), (Some(200), Some(7)), "{output}");
        }
        let all = json!({"result": [1], "cost": {"usd": 1}, "transcript": ["hi"], "more": true});
        let report = Report::read(all.to_string().as_bytes()).unwrap();
        assert_eq!(report.transcript, Some(json!(["hi"])));
        assert_eq!(report.fields, *json!({"more": true}).as_object().unwrap());
    }

    #[test]
    fn what_is_no_report_says_why() {
        for (output, part) in [
            ("", "it wrote nothing"),
            ("[1]", "must be an object"),
            ("{\"a\": [1,", "EOF while parsing"),
            ("{\"status\": 42}", "`status` of its report must be a whole number from 100 to 599"),
            ("{\"status\": \"200\"}", "`status`"),
            ("{\"tokens\": -1}", "`tokens` of its report must be a whole number of at least 0"),
            ("{\"cost\": -0.5}", "`cost` of its report must be at least 0"),
            ("{\"exit_code\": 1.5}", "`exit_code`"),
        ] {
            let error = Report::read(output.as_bytes()).unwrap_err();
            assert!(error.contains(part), "{output}: {error}");
        }
        let deep = "[".repeat(10_000);
        assert!(Report::read(deep.as_bytes()).unwrap_err().contains("recursion"));
    }
}
