//! What a tool does, as far as a guard has to know.

use serde_json::Value;

/// Where in a call and its result a guard finds what it checks. Places are JSON pointers; `*` as a
/// part stands for every element.
///
/// ```
/// use executus_guard::Role;
///
/// let goto = Role::navigate("/url");
/// let click = Role::click("/text").leads_to("/page/url");
/// let steps = Role::default().address("/steps/*/url").wording("/steps/*/label");
/// # drop((goto, click, steps));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Role {
    addresses: Vec<String>,
    wordings: Vec<String>,
    leads_to: Vec<String>,
}

impl Role {
    /// Goes to the address at this place of the arguments.
    #[must_use]
    pub fn navigate(pointer: &str) -> Self {
        Self::default().address(pointer)
    }

    /// Does what the text at this place of the arguments says: the label of a button, a command.
    #[must_use]
    pub fn click(pointer: &str) -> Self {
        Self::default().wording(pointer)
    }

    /// An address at this place of the arguments too.
    #[must_use]
    pub fn address(mut self, pointer: &str) -> Self {
        self.addresses.push(pointer.to_owned());
        self
    }

    /// A wording at this place of the arguments too.
    #[must_use]
    pub fn wording(mut self, pointer: &str) -> Self {
        self.wordings.push(pointer.to_owned());
        self
    }

    /// Where it led is at this place of the result's data.
    #[must_use]
    pub fn leads_to(mut self, pointer: &str) -> Self {
        self.leads_to.push(pointer.to_owned());
        self
    }

    pub(crate) fn addresses<'v>(&self, args: &'v Value) -> Vec<&'v str> {
        texts(&self.addresses, args)
    }

    pub(crate) fn wordings<'v>(&self, args: &'v Value) -> Vec<&'v str> {
        texts(&self.wordings, args)
    }

    pub(crate) fn led_to<'v>(&self, data: &'v Value) -> Vec<&'v str> {
        texts(&self.leads_to, data)
    }
}

fn texts<'v>(pointers: &[String], value: &'v Value) -> Vec<&'v str> {
    let mut found = Vec::new();
    for pointer in pointers {
        let parts: Vec<_> = pointer.split('/').skip(1).collect();
        collect(&parts, value, &mut found);
    }
    found
}

fn collect<'v>(parts: &[&str], value: &'v Value, found: &mut Vec<&'v str>) {
    let Some((part, rest)) = parts.split_first() else {
        found.extend(value.as_str());
        return;
    };
    match (value, *part) {
        (Value::Array(items), "*") => items.iter().for_each(|item| collect(rest, item, found)),
        (Value::Object(fields), "*") => fields.values().for_each(|item| collect(rest, item, found)),
        _ => {
            if let Some(inner) = value.pointer(&format!("/{part}")) {
                collect(rest, inner, found);
            }
        }
    }
}
