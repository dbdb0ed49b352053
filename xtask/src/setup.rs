//! What the tests need beside Rust, and how to get it.
//!
//! Nothing missing: a look along PATH and no more. Something missing: installed when this process
//! may (root, or CI with a sudo that asks nothing), else the commands to type are the error.

use std::path::Path;

use crate::command;
use crate::error::Error;

mod mcp;

/// A program, what needs it, and its packages by manager (in the order of [`MANAGERS`]).
struct Tool {
    name: &'static str,
    needed_by: &'static str,
    /// Arguments with which it says success when it has all that is needed of it.
    probe: &'static [&'static str],
    /// `None`: the manager has no package, and what needs the tool does not run there.
    packages: [Option<&'static str>; 5],
}

const TOOLS: &[Tool] = &[
    Tool {
        name: "cc",
        needed_by: "the build of the bundled SQLite",
        probe: &[],
        packages: [
            Some("gcc libc6-dev"),
            Some("gcc glibc-devel"),
            Some("gcc musl-dev"),
            Some("gcc"),
            Some("gcc"),
        ],
    },
    Tool {
        name: "git",
        needed_by: "the example repo-report and its test",
        probe: &[],
        packages: [Some("git"), Some("git"), Some("git"), Some("git"), Some("git")],
    },
    Tool {
        name: "valgrind",
        needed_by: "the benches that count instructions",
        probe: &[],
        packages: [Some("valgrind"), Some("valgrind"), Some("valgrind"), Some("valgrind"), None],
    },
    Tool {
        name: "node",
        needed_by: "the MCP servers of the tests",
        probe: &[],
        packages: [Some("nodejs"), Some("nodejs"), Some("nodejs"), Some("nodejs"), Some("node")],
    },
    Tool {
        name: "npm",
        needed_by: "the MCP servers of the tests",
        probe: &[],
        packages: [Some("npm"), Some("npm"), Some("npm"), Some("npm"), Some("node")],
    },
    Tool {
        name: "python3",
        needed_by: "the MCP servers of the tests",
        // Some systems have it without these.
        probe: &["-c", "import ensurepip, venv"],
        packages: [
            Some("python3 python3-venv"),
            Some("python3"),
            Some("python3"),
            Some("python"),
            Some("python"),
        ],
    },
    Tool {
        name: "redis-server",
        needed_by: "the tests and benches of budgets and breakers that processes share",
        probe: &[],
        packages: [
            Some("redis-server"),
            Some("valkey"),
            Some("redis"),
            Some("valkey"),
            Some("redis"),
        ],
    },
];

/// Programs that do as well as another.
const STAND_INS: &[(&str, &str)] = &[("redis-server", "valkey-server")];

/// A package manager: what refreshes its index, and what installs without asking.
struct Manager {
    name: &'static str,
    refresh: Option<&'static str>,
    install: &'static str,
    needs_root: bool,
}

const MANAGERS: [Manager; 5] = [
    Manager {
        name: "apt-get",
        refresh: Some("apt-get update"),
        install: "apt-get install -y --no-install-recommends",
        needs_root: true,
    },
    Manager { name: "dnf", refresh: None, install: "dnf install -y", needs_root: true },
    Manager { name: "apk", refresh: None, install: "apk add --no-cache", needs_root: true },
    Manager { name: "pacman", refresh: None, install: "pacman -Sy --noconfirm", needs_root: true },
    Manager { name: "brew", refresh: None, install: "brew install", needs_root: false },
];

/// Installs what is missing, or says what to type.
pub(crate) fn run(root: &Path) -> Result<(), Error> {
    programs()?;
    mcp::run(root)
}

fn programs() -> Result<(), Error> {
    let missing = missing();
    if missing.is_empty() {
        let names: Vec<&str> = TOOLS.iter().map(|t| t.name).collect();
        println!("setup: {} found", names.join(", "));
        return Ok(());
    }
    for tool in &missing {
        println!("setup: {} is missing; needed by {}", tool.name, tool.needed_by);
    }
    let manager = MANAGERS.iter().position(|m| on_path(m.name));
    let Some((index, manager)) = manager.map(|i| (i, &MANAGERS[i])) else {
        let names: Vec<&str> = missing.iter().map(|t| t.name).collect();
        return Err(Error::Missing(format!(
            "setup: no package manager known here; install by hand: {}",
            names.join(", ")
        )));
    };
    let lines = lines(&missing, index, manager);
    if lines.is_empty() {
        println!("setup: {} has no package for it; what needs it will not run here", manager.name);
        return Ok(());
    }
    let Some(sudo) = rights(manager) else {
        return Err(Error::Missing(by_hand(&lines, manager)));
    };
    for line in &lines {
        let mut words: Vec<&str> = sudo.iter().copied().chain(line.split(' ')).collect();
        let program = words.remove(0);
        println!("setup: {line}");
        let status = command::show(
            Path::new("/"),
            program,
            &words,
            &[("DEBIAN_FRONTEND", "noninteractive")],
        )?;
        // A refresh with one broken mirror still lets the others serve; the install decides.
        if !status.success() && manager.refresh != Some(line.as_str()) {
            return Err(Error::Missing(by_hand(&lines, manager)));
        }
    }
    let left: Vec<&str> = self::missing()
        .iter()
        .filter(|tool| tool.packages[index].is_some())
        .map(|tool| tool.name)
        .collect();
    if left.is_empty() {
        return Ok(());
    }
    Err(Error::Missing(format!("setup: installed, but still not on PATH: {}", left.join(", "))))
}

fn missing() -> Vec<&'static Tool> {
    let works = |tool: &Tool| {
        let probed = || command::works(Path::new("/"), tool.name, tool.probe);
        let stand_in = STAND_INS.iter().any(|(name, other)| *name == tool.name && on_path(other));
        stand_in || on_path(tool.name) && (tool.probe.is_empty() || probed())
    };
    TOOLS.iter().filter(|tool| !works(tool)).collect()
}

/// The commands that install the tools: one refresh, one install.
fn lines(missing: &[&Tool], index: usize, manager: &Manager) -> Vec<String> {
    let packages: Vec<&str> = missing.iter().filter_map(|t| t.packages[index]).collect();
    if packages.is_empty() {
        return Vec::new();
    }
    let install = format!("{} {}", manager.install, packages.join(" "));
    manager.refresh.map(str::to_owned).into_iter().chain([install]).collect()
}

/// The words to put before the command, or nothing when a person has to do it.
fn rights(manager: &Manager) -> Option<Vec<&'static str>> {
    let here = Path::new("/");
    let root = || command::capture(here, "id", &["-u"]).is_ok_and(|id| id.trim() == "0");
    if !manager.needs_root || root() {
        return Some(Vec::new());
    }
    // On a developer's own machine sudo is theirs to type.
    let ci = std::env::var_os("CI").is_some_and(|v| v == "true");
    (ci && command::works(here, "sudo", &["-n", "true"])).then(|| vec!["sudo", "-n"])
}

fn by_hand(lines: &[String], manager: &Manager) -> String {
    let sudo = if manager.needs_root { "sudo " } else { "" };
    let typed: Vec<String> = lines.iter().map(|l| format!("    {sudo}{l}")).collect();
    format!("setup: type this, then try again:\n{}", typed.join("\n"))
}

fn on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| is_program(&folder.join(name)))
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file() || path.with_extension("exe").is_file()
}

#[cfg(test)]
mod tests {
    use super::{MANAGERS, TOOLS, Tool, by_hand, lines, on_path};

    fn tools(names: &[&str]) -> Vec<&'static Tool> {
        TOOLS.iter().filter(|t| names.contains(&t.name)).collect()
    }

    #[test]
    fn one_refresh_and_one_install() {
        assert_eq!(
            lines(&tools(&["git", "valgrind"]), 0, &MANAGERS[0]),
            ["apt-get update", "apt-get install -y --no-install-recommends git valgrind"]
        );
    }

    #[test]
    fn a_tool_without_a_package_is_not_asked_for() {
        let brew = &MANAGERS[4];
        assert_eq!(lines(&tools(&["git", "valgrind"]), 4, brew), ["brew install git"]);
        assert!(lines(&tools(&["valgrind"]), 4, brew).is_empty());
    }

    #[test]
    fn what_to_type_is_said_in_full() {
        let text = by_hand(&["dnf install -y git".to_owned()], &MANAGERS[1]);
        assert!(text.ends_with("\n    sudo dnf install -y git"), "{text}");
    }

    #[test]
    fn a_program_is_looked_up_by_its_exact_name() {
        assert!(on_path("cargo"));
        assert!(!on_path("cargo-of-another-name"));
    }
}
