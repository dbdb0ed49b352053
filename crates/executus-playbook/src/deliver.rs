//! Where a run's result goes, as a run file says it.

use crate::reader::{Item, Reader, Section};

/// One target of a run's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliverDef {
    /// The target's name in the configuration of the host.
    pub to: String,
    /// Which results go there; what the configuration says, where the file says nothing.
    pub on: Option<DeliverOn>,
}

/// Which results a target gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliverOn {
    /// Every one.
    Always,
    /// Those of runs that end well.
    Ok,
    /// Those of all others.
    Error,
}

const KEYS: [&str; 2] = ["to", "on"];
const ON: [(&str, DeliverOn); 3] =
    [("always", DeliverOn::Always), ("ok", DeliverOn::Ok), ("error", DeliverOn::Error)];

/// Reads all `[[deliver]]` tables, in file order.
pub(crate) fn read_deliver<'a>(reader: &mut Reader<'a>, item: &Item<'a>) -> Vec<DeliverDef> {
    let mut all: Vec<DeliverDef> = Vec::new();
    for element in item.array(reader, "`[[deliver]]` tables").unwrap_or_default() {
        let Some(table) = element.table(reader, "a table with `to`") else { continue };
        let section = Section::strict(reader, "[[deliver]]", element.at, table, &KEYS);
        let expected = "the name of a target of the configuration";
        let to = section.require(reader, "to", expected).copied();
        let on = section.get("on").copied().and_then(|item| item.word(reader, &ON));
        let Some(to) = to.and_then(|item| item.filled(reader, expected)) else { continue };
        if all.iter().any(|def| def.to == to.value) {
            let message = format!("`{}` is named twice", to.value);
            reader.problem(to.at, message, "each target once");
        }
        all.push(DeliverDef { to: to.value.to_owned(), on });
    }
    all
}
