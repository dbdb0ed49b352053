//! Skills that are refused, each with what is wrong and where.

use std::path::Path;

use executus_palette::{BuildError, LocalPalette, Skill};

use crate::support::{folder, good};

/// Each text, and how its error reads behind `SKILL.md:`.
#[test]
fn texts_that_are_no_skill() {
    let long = format!("---\nname: x\ndescription: {}\n---\nDo.", "d".repeat(1025));
    let many = "a".repeat(65);
    let cases: &[(&str, &str)] = &[
        ("", "1: the first line is not `---`; a skill begins with"),
        ("# Title\n---\nname: x\n", "1: the first line is not `---`"),
        ("---\nname: x\ndescription: d\n", "1: the front matter has no end"),
        ("---\n---\nDo.", "1: the field `name` is missing; add `name: …`"),
        ("---\ndescription: d\n---\nDo.", "1: the field `name` is missing"),
        ("---\nname: x\n---\nDo.", "1: the field `description` is missing"),
        (
            "---\nname: x\ndescription:\n---\nDo.",
            "3: the field `description` is empty; expected a text",
        ),
        ("---\nname: x\ndescription: '  '\n---\nDo.", "3: the field `description` is empty"),
        (
            "---\nname: [x]\ndescription: d\n---\nDo.",
            "2: the field `name` is a list; expected a text",
        ),
        (
            "---\nname: X\ndescription: d\n---\nDo.",
            "2: `X` is no name of a skill; expected 1 to 64 lower",
        ),
        ("---\nname: a--b\ndescription: d\n---\nDo.", "2: `a--b` is no name"),
        ("---\nname: -a\ndescription: d\n---\nDo.", "2: `-a` is no name"),
        ("---\nname: a/b\ndescription: d\n---\nDo.", "2: `a/b` is no name"),
        ("---\nname: ä\ndescription: d\n---\nDo.", "2: `ä` is no name"),
        (&format!("---\nname: {many}\ndescription: d\n---\nDo."), "2: `aaaa"),
        (&long, "3: the field `description` has 1025 characters; at most 1024 are allowed"),
        (
            "---\nname: x\ndescription: d\nversion: 1\n---\nDo.",
            "4: there is no field `version`; there are: name,",
        ),
        (
            "---\nname: x\nname: y\ndescription: d\n---\nDo.",
            "3: the field `name` is there twice; it was first on line 2",
        ),
        (
            "---\nname: x\ndescription: d\nmetadata: 1\n---\nDo.",
            "4: the field `metadata` is a text; expected a mapping",
        ),
        (
            "---\nname: x\ndescription: d\nmetadata:\n  a: [1]\n---\nDo.",
            "5: not valid YAML: this is nested too deep",
        ),
        (
            "---\nname: x\ndescription: a: b\n---\nDo.",
            "3: not valid YAML: mapping values are not allowed in this context; a text with `: ` in it takes quotes",
        ),
        ("---\nname: x\ndescription: \"d\n---\nDo.", "not valid YAML"),
        (
            "---\nname: &a x\ndescription: *a\n---\nDo.",
            "2: not valid YAML: an anchor, an alias or a tag",
        ),
        ("---\nname: !!str x\ndescription: d\n---\nDo.", "2: not valid YAML: an anchor"),
        ("---\n- name\n---\nDo.", "2: not valid YAML: this is no mapping"),
        (
            "---\nname: x\n\tdescription: d\n---\nDo.",
            "2: not valid YAML: while scanning a plain scalar, found a tab",
        ),
        (
            "---\nname: x\ndescription: d\n---\n\n  \n",
            "4: there are no instructions after the front matter",
        ),
        (
            "---\nname: y\ndescription: d\n---\nDo.",
            "2: the skill is called `y` and its folder `x`; give them one name",
        ),
    ];
    let root = tempfile::tempdir().unwrap();
    for (text, told) in cases {
        let path = folder(root.path(), "x", text);
        let error = Skill::load(&path).expect_err(text);
        assert_eq!(error.file, path.join("SKILL.md"), "{text}");
        let said = error.to_string();
        let at = said.split_once("SKILL.md:").unwrap().1;
        assert!(
            at.contains(told) && (at.starts_with(told) || told.starts_with("not")),
            "{text:?} is told as {said}"
        );
        assert!(!said.contains('\n'), "{said}");
    }
}

fn refused(path: &Path, told: &str) {
    let error = Skill::load(path).expect_err(told).to_string();
    assert!(error.contains(told), "{error}");
}

#[test]
fn files_that_no_skill_has() {
    let root = tempfile::tempdir().unwrap();
    let make = |name: &str| folder(root.path(), name, good(name));
    refused(&root.path().join("none"), "none:1: cannot be read: No such file");
    std::fs::create_dir(root.path().join("empty")).unwrap();
    refused(&root.path().join("empty"), "empty/SKILL.md:1: cannot be read: No such file");

    let path = folder(root.path(), "latin", b"---\nname: latin\ndescription: caf\xe9\n---\nDo.");
    refused(&path, "latin/SKILL.md:3: byte 0xe9 is not UTF-8");
    let path = folder(root.path(), "large", good("large") + &"x".repeat(10 << 20));
    refused(&path, "large/SKILL.md:1: the file has 104858");
    let path = make("heavy");
    std::fs::write(path.join("data.csv"), vec![b'x'; 10 << 20]).unwrap();
    refused(&path, "heavy/data.csv:1: the file has 10485760 bytes; at most 1048576 are allowed");
    let path = make("deep");
    std::fs::create_dir_all(path.join("a/".repeat(20))).unwrap();
    refused(&path, "the folder holds too much: folders in each other, at most 16");
}

#[cfg(unix)]
#[test]
fn links_that_lead_out_are_refused() {
    use std::os::unix::fs::symlink;
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("outside"), "secret").unwrap();
    let path = folder(root.path(), "leaky", good("leaky"));
    std::fs::create_dir(path.join("references")).unwrap();
    symlink("../../outside", path.join("references/in.md")).unwrap();
    refused(&path, "references/in.md:1: the link leads out of the skill's folder, to ");
    let path = folder(root.path(), "nested", good("nested"));
    symlink("/", path.join("all")).unwrap();
    refused(&path, "nested/all:1: the link leads out of the skill's folder, to /;");
    let path = folder(root.path(), "round", good("round"));
    symlink(".", path.join("self")).unwrap();
    refused(&path, "round/self:1: this is a folder, or a link to one");
    let path = folder(root.path(), "dangling", good("dangling"));
    symlink("nowhere", path.join("x")).unwrap();
    refused(&path, "dangling/x:1: cannot be read: No such file");
    let path = root.path().join("linked");
    std::fs::create_dir(&path).unwrap();
    symlink("../leaky/SKILL.md", path.join("SKILL.md")).unwrap();
    refused(&path, "linked/SKILL.md:1: the link leads out of the skill's folder");
}

/// One bad skill refuses its folder; a folder without `SKILL.md` is none.
#[test]
fn all_or_none_are_loaded() {
    let root = tempfile::tempdir().unwrap();
    folder(root.path(), "one", good("one"));
    std::fs::create_dir(root.path().join("notes")).unwrap();
    std::fs::write(root.path().join("README.md"), "words").unwrap();
    assert_eq!(Skill::load_all(root.path()).unwrap().len(), 1);
    folder(root.path(), "two", good("too"));
    let error = Skill::load_all(root.path()).unwrap_err().to_string();
    assert!(
        error.ends_with("the skill is called `too` and its folder `two`; give them one name"),
        "{error}"
    );
}

#[test]
fn names_are_there_once_and_make_tools() {
    let root = tempfile::tempdir().unwrap();
    let load = |at: &str, name: &str| {
        Skill::load(folder(&root.path().join(at), name, good(name))).unwrap()
    };
    let two = [load("a", "same"), load("b", "same")];
    let error = LocalPalette::builder().skills(two).build().unwrap_err();
    assert!(matches!(error, BuildError::Duplicate { .. }), "{error:?}");
    let said = error.to_string();
    assert!(
        said.starts_with("two skills are called `same`, in ") && said.contains("b/same;"),
        "{said}"
    );
    let long = "a".repeat(58);
    let error = LocalPalette::builder().skill(load("a", &long)).build().unwrap_err();
    assert!(error.to_string().contains("expected at most 57 letters"), "{error}");
}
