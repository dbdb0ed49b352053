//! The end of a playbook: its output, and the recovery that may take its place.

use crate::fields::read_fields;
use crate::param::ParamDef;
use crate::reader::{Item, Reader, Section};
use crate::scope::Scope;
use crate::template::Template;

/// What a playbook answers.
#[derive(Debug, Clone, Default)]
pub struct OutputDef {
    /// The final text; without it the last step's text.
    pub template: Option<Template>,
    /// The fields into which a model reads that text, in file order; none for the text itself.
    pub fields: Vec<ParamDef>,
}

/// How far a model may go that takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoveryDef {
    /// Its replies, the final one included: 10.
    pub max_steps: u32,
}

impl Default for RecoveryDef {
    fn default() -> Self {
        Self { max_steps: 10 }
    }
}

impl OutputDef {
    /// Reads `[output]`; `scope` has every name that a step stores.
    pub(crate) fn read<'a>(
        reader: &mut Reader<'a>,
        item: &Item<'a>,
        scope: &Scope,
        has_model: bool,
    ) -> Option<Self> {
        let table = item.table(reader, "a table with `template` or `fields`")?;
        let section = Section::strict(reader, "[output]", item.at, table, &["template", "fields"]);
        let fields = section.get("fields");
        if let Some(fields) = fields.filter(|_| !has_model) {
            let message = "`fields` needs a model, and the file names none";
            reader.problem(fields.key_at, message, "a `model` in the file, or `template` alone");
        }
        let template = match section.means("fields") {
            true => section.get("template"),
            false => section.require(reader, "template", "a text"),
        };
        let template = template.and_then(|item| item.text(reader, "a text"));
        Some(Self {
            template: template.map(|text| scope.template(reader, text)),
            fields: fields
                .map(|item| read_fields(reader, "[output.fields]", item))
                .unwrap_or_default(),
        })
    }
}

impl RecoveryDef {
    /// Reads `[recovery]`.
    pub(crate) fn read<'a>(reader: &mut Reader<'a>, item: &Item<'a>, has_model: bool) -> Self {
        let mut recovery = Self::default();
        if !has_model {
            let message = "`recovery` needs a model, and the file names none";
            reader.problem(item.key_at, message, "a `model` in the file, or no `[recovery]`");
        }
        let Some(table) = item.table(reader, "a table with `max_steps`") else { return recovery };
        let section = Section::strict(reader, "[recovery]", item.at, table, &["max_steps"]);
        if let Some(steps) = section.get("max_steps").and_then(|item| item.positive(reader)) {
            recovery.max_steps = steps;
        }
        recovery
    }
}
