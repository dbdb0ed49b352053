//! Real servers of the Model Context Protocol, for the tests of `executus-mcp`.
//!
//! They are installed into `mcp-servers` under the target folder, in the versions that
//! `xtask/mcp-servers` pins with all they depend on. A stamp with those versions is written last: an
//! install that was interrupted is repeated, and one that is there costs reading three files.

use std::fs;
use std::path::Path;

use crate::command;
use crate::error::Error;
use crate::workspace;

const PINS: &str = "xtask/mcp-servers";
const NPM: [&str; 2] = ["package.json", "package-lock.json"];
const PIP: &str = "requirements.txt";
const STAMP: &str = "stamp";

/// Installs the servers, unless they are there in these versions.
pub(super) fn run(root: &Path) -> Result<(), Error> {
    let pins = root.join(PINS);
    let folder = workspace::target(root)?.join("mcp-servers");
    let mut wanted = String::new();
    for file in NPM.iter().chain([&PIP]) {
        wanted.push_str(&read(&pins.join(file))?);
    }
    let stamp = folder.join(STAMP);
    if fs::read_to_string(&stamp).is_ok_and(|there| there == wanted) {
        println!("setup: MCP servers found");
        return Ok(());
    }
    println!("setup: installing MCP servers into {}", folder.display());
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |source| Error::Io { path, source }
    };
    fs::create_dir_all(&folder).map_err(failed(&folder))?;
    for file in NPM {
        let to = folder.join(file);
        fs::copy(pins.join(file), &to).map_err(failed(&to))?;
    }
    // No script of a package is run here.
    let quiet = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    install(&folder, "npm", &quiet)?;
    install(&folder, "python3", &["-m", "venv", "--clear", "venv"])?;
    let python = folder.join("venv/bin/python").display().to_string();
    let requirements = pins.join(PIP).display().to_string();
    let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"];
    install(&folder, &python, &[&quiet[..], &["-r", &requirements]].concat())?;
    fs::write(&stamp, wanted).map_err(failed(&stamp))
}

fn install(folder: &Path, program: &str, args: &[&str]) -> Result<(), Error> {
    let line = command::line(program, args);
    println!("setup: {line}");
    let status = command::show(folder, program, args, &[])?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Missing(format!(
        "setup: `{line}` in {} ended with {status}; it needs the registries of npm and PyPI, or \
         mirrors that their clients are set to. Then try again: cargo xtask setup",
        folder.display()
    )))
}

fn read(path: &Path) -> Result<String, Error> {
    let failed = |source| Error::Io { path: path.display().to_string(), source };
    fs::read_to_string(path).map_err(failed)
}
