//! The repository report: its figures are git's.

use std::path::{Path, PathBuf};

use crate::support::{Home, git};

fn example() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/repo-report.toml");
    path.to_str().unwrap().to_owned()
}

fn repository(home: &Home, commits: u32) -> PathBuf {
    let repo = home.path().join("a repository; $(with a name)");
    std::fs::create_dir(&repo).unwrap();
    git(&repo, &["init", "-q"]);
    for number in 1..=commits {
        std::fs::write(repo.join(format!("file {number}")), "one\ntwo\n").unwrap();
        git(&repo, &["add", "."]);
        git(&repo, &["commit", "-q", "-m", &format!("Commit {{number}} `{number}` | $(id)")]);
    }
    repo
}

fn report_on(home: &Home, repo: &Path) -> String {
    let input = format!("repo={}", repo.display());
    home.executus(&["run", &example(), "--input", &input]).expect(0).stdout
}

fn assert_figures(report: &str, repo: &Path) {
    for (label, args) in [
        ("Commits", &["rev-list", "--count", "HEAD"][..]),
        ("Merges", &["rev-list", "--count", "--merges", "HEAD"]),
        ("Shallow clone", &["rev-parse", "--is-shallow-repository"]),
    ] {
        let line = format!("| {label} | {} |", git(repo, args));
        assert!(report.contains(&line), "no `{line}` in:\n{report}");
    }
    let files = git(repo, &["ls-tree", "-r", "--name-only", "HEAD"]).lines().count();
    let files = format!("| Content |  {files} file");
    assert!(report.contains(&files), "no `{files}` in:\n{report}");
    assert!(report.contains(&git(repo, &["rev-parse", "HEAD"])), "{report}");
    for line in git(repo, &["shortlog", "-s", "-n", "HEAD"]).lines() {
        assert!(report.contains(line), "no `{line}` in:\n{report}");
    }
    for subject in git(repo, &["log", "-n", "10", "--format=%s"]).lines() {
        assert!(report.contains(subject), "no `{subject}` in:\n{report}");
    }
}

#[test]
fn the_report_has_the_figures_of_git() {
    let home = Home::new();
    let repo = repository(&home, 12);
    git(&repo, &["tag", "v1"]);
    git(&repo, &["checkout", "-q", "-b", "side", "HEAD~2"]);
    git(&repo, &["commit", "-q", "--allow-empty", "-m", "Aside"]);
    git(&repo, &["checkout", "-q", "main"]);
    git(&repo, &["merge", "-q", "--no-ff", "-m", "Merge side", "side"]);
    let report = report_on(&home, &repo);
    assert_figures(&report, &repo);
    assert!(report.contains("| Commits | 14 |") && report.contains("| Merges | 1 |"), "{report}");
    assert!(report.contains("| v1 |") && report.contains("| side |"), "{report}");
}

#[test]
fn single_commits_shallow_clones_and_bare_repositories_do() {
    let home = Home::new();
    let repo = repository(&home, 1);
    assert_figures(&report_on(&home, &repo), &repo);

    std::fs::write(repo.join("more"), "more\n").unwrap();
    git(&repo, &["add", "."]);
    git(&repo, &["commit", "-q", "-m", "More"]);
    let from = format!("file://{}", repo.display());
    git(home.path(), &["clone", "-q", "--depth", "1", &from, "shallow"]);
    let shallow = home.path().join("shallow");
    let report = report_on(&home, &shallow);
    assert_figures(&report, &shallow);
    assert!(report.contains("| Shallow clone | true |"), "{report}");

    git(home.path(), &["clone", "-q", "--bare", &from, "bare"]);
    let bare = home.path().join("bare");
    assert_figures(&report_on(&home, &bare), &bare);
}

#[test]
fn what_is_no_repository_is_said_to_be_none() {
    let home = Home::new();
    let empty = home.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let input = format!("repo={}", empty.display());
    let said = home.executus(&["run", &example(), "--input", &input]).expect(1);
    assert!(said.stderr.contains("is not a git repository with a commit"), "{}", said.stderr);
    assert_eq!(said.stdout, "");
    git(&empty, &["init", "-q"]);
    home.executus(&["run", &example(), "--input", &input]).expect(1);
}

#[test]
fn each_step_is_explained() {
    let home = Home::new();
    let repo = repository(&home, 2);
    let input = format!("repo={}", repo.display());
    home.executus(&["run", &example(), "--run-id", "r", "--input", &input]).expect(0);
    let explained = home.executus(&["explain", "r"]).expect(0).stdout;
    let file = std::fs::read_to_string(example()).unwrap();
    let mut steps = 0;
    for line in file.split("[[step]]").skip(1) {
        let description = line.split_once("description = \"").unwrap().1.split_once('"').unwrap().0;
        assert!(explained.contains(description), "no `{description}` in:\n{explained}");
        steps += 1;
    }
    assert!(steps >= 10);
}
