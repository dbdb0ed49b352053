//! Skills that load and run.

use executus_core::port::EntryKind;
use executus_core::{RunStatus, ToolError};
use executus_palette::{LocalPalette, Skill};
use serde_json::json;

use crate::support::{calling, examples, folder, good};

fn palette() -> LocalPalette {
    LocalPalette::builder().skills(Skill::load_all(examples()).unwrap()).build().unwrap()
}

#[test]
fn the_examples_load() {
    let skills = Skill::load_all(examples()).unwrap();
    let names: Vec<_> = skills.iter().map(|skill| &**skill.name()).collect();
    assert_eq!(names, ["changelog-writing", "commit-messages", "sql-review"]);
    let [changelog, commit, sql] = &skills[..] else { panic!() };
    assert!(changelog.description().starts_with("Turns the commits since the last release into a"));
    assert!(!changelog.description().contains('\n'), "folded: {}", changelog.description());
    assert_eq!(changelog.allowed_tools(), ["git_log", "read_file"]);
    assert_eq!(changelog.compatibility(), Some("Needs a git repository whose releases are tagged"));
    assert_eq!(changelog.files(), ["assets/section.md"]);
    assert_eq!(commit.allowed_tools(), ["git_diff", "git_log"]);
    assert_eq!(commit.license(), Some("MIT OR Apache-2.0"));
    assert_eq!(commit.metadata()["version"], "1.0");
    assert_eq!(commit.files(), [""; 0]);
    assert_eq!(sql.files(), ["references/checklist.md", "references/postgres-locks.md"]);
    assert_ne!(sql.digest(), commit.digest());
    assert!(commit.instructions().starts_with("# Commit messages\n"));
    assert!(commit.instructions().ends_with("Written for these tools: git_diff, git_log"));
}

/// PL-01: a skill is the tool `skill__NAME`; its description, its instructions and its files are
/// given one after the other, as they are asked for.
#[tokio::test]
async fn a_skill_is_disclosed_step_by_step() {
    let calls = [
        ("skill__sql-review", json!({})),
        ("skill__sql-review", json!({"file": "references/checklist.md"})),
        ("skill__sql-review", json!({"file": "./references//postgres-locks.md"})),
        ("skill__commit-messages", json!({"file": ""})),
    ];
    let skills = ["sql-review", "commit-messages", "changelog-writing"];
    let names = skills.map(|name| (EntryKind::Skill, name));
    let watched = calling(&palette(), &names, &calls).await;
    assert_eq!(watched.outcome.status, RunStatus::Ok);
    let text = |at: usize| match &watched.results[at] {
        executus_core::transcript::CallOutcome::Output(output) => output.text.clone(),
        other => panic!("{other:?}"),
    };
    assert!(text(0).starts_with("# Reviewing SQL"));
    assert!(!text(0).contains("NOT IN (SELECT"), "a file before it is asked for");
    assert!(text(0).ends_with("- references/checklist.md\n- references/postgres-locks.md"));
    assert!(text(1).contains("NOT IN (SELECT"));
    assert!(text(2).contains("CREATE INDEX CONCURRENTLY"));
    assert!(text(3).starts_with("# Commit messages"));
}

/// What a model asks for wrongly is the call's error, and says what there is.
#[tokio::test]
async fn files_that_are_not_there_are_arguments() {
    let calls = [
        ("../commit-messages/SKILL.md", "leads out of the skill"),
        ("/etc/passwd", "leads out of the skill"),
        ("references/../../x", "leads out of the skill"),
        ("references\\checklist.md", "leads out of the skill"),
        ("checklist.md", "has no file `checklist.md`; there are: references/checklist.md, "),
        ("references", "has no file"),
        (".git/config", "has no file"),
    ];
    for (file, told) in calls {
        let names = [(EntryKind::Skill, "sql-review")];
        let call = [("skill__sql-review", json!({"file": file}))];
        let watched = calling(&palette(), &names, &call).await;
        assert_eq!(watched.outcome.status, RunStatus::Ok);
        let error = watched.error();
        assert!(matches!(error, ToolError::Arguments { .. }), "{error:?}");
        assert!(error.to_string().contains(told), "{error}");
    }
    for (args, told) in [
        (json!({"path": "x"}), "no argument `path`; there is: file"),
        (json!({"file": 1}), "`file` must be a text"),
    ] {
        let names = [(EntryKind::Skill, "sql-review")];
        let watched = calling(&palette(), &names, &[("skill__sql-review", args)]).await;
        assert!(watched.error().to_string().contains(told), "{}", watched.error());
    }
}

/// A file that changed after its skill was loaded is checked again when it is read.
#[cfg(unix)]
#[tokio::test]
async fn what_changed_later_is_checked_again() {
    let root = tempfile::tempdir().unwrap();
    let path = folder(root.path(), "notes", good("notes"));
    for name in ["a.md", "b.md", "c.bin", "d.md"] {
        std::fs::write(path.join(name), "good").unwrap();
    }
    let skill = Skill::load(&path).unwrap();
    std::fs::write(root.path().join("outside"), "secret").unwrap();
    std::fs::remove_file(path.join("a.md")).unwrap();
    std::os::unix::fs::symlink("../outside", path.join("a.md")).unwrap();
    std::fs::write(path.join("b.md"), vec![b'x'; 10 << 20]).unwrap();
    std::fs::write(path.join("c.bin"), b"\nab\xffc").unwrap();
    std::fs::remove_file(path.join("d.md")).unwrap();
    let palette = LocalPalette::builder().skill(skill).build().unwrap();
    for (file, told) in [
        ("a.md", "a.md:1: the link leads out of the skill's folder, to "),
        ("b.md", "b.md:1: the file has 10485760 bytes; at most 1048576 are allowed"),
        ("c.bin", "c.bin:2: byte 0xff is not UTF-8"),
        ("d.md", "d.md:1: cannot be read: No such file"),
    ] {
        let call = [("skill__notes", json!({"file": file}))];
        let watched = calling(&palette, &[(EntryKind::Skill, "notes")], &call).await;
        assert!(watched.error().to_string().contains(told), "{}", watched.error());
        assert!(!format!("{:?}", watched.results).contains("secret"));
    }
}

/// A link to another file of the same skill is a file, and a byte order mark is no text.
#[cfg(unix)]
#[test]
fn links_within_are_files() {
    let root = tempfile::tempdir().unwrap();
    let text = format!("\u{feff}{}", good("notes").replace('\n', "\r\n"));
    let path = folder(root.path(), "notes", text);
    std::fs::create_dir(path.join("references")).unwrap();
    std::fs::write(path.join("references/a.md"), "words").unwrap();
    std::fs::write(path.join(".hidden"), "words").unwrap();
    std::os::unix::fs::symlink("references/a.md", path.join("b.md")).unwrap();
    let skill = Skill::load(&path).unwrap();
    assert_eq!(skill.files(), ["b.md", "references/a.md"]);
    assert_eq!(skill.read("b.md").unwrap(), "words");
    assert!(skill.read("SKILL.md").unwrap().contains("Does things."));
    assert!(skill.read(".hidden").is_err());
}
