//! The files of the guide are read as they stand there.

use executus_capability::policy::RulePolicy;
use executus_playbook::RunFile;

#[test]
fn the_files_of_the_guide_are_good() {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guides/capabilities.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let mut blocks = guide.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let file = RunFile::parse("support.toml", blocks.next().unwrap()).unwrap();
    let ids = file.capabilities.iter().flat_map(|def| &def.all).map(|capability| &*capability.id);
    assert_eq!(ids.collect::<Vec<_>>(), ["tickets.list", "tickets.close"]);
    RulePolicy::parse(blocks.next().unwrap()).unwrap();
    assert_eq!(blocks.next(), None);
}
