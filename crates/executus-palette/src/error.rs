//! What is wrong with a skill, with a request for one of its files, or with a palette.

use std::path::PathBuf;

use executus_core::port::EntryKind;
use thiserror::Error;

/// The first mistake in a skill's folder, as one line: `FILE:LINE: message`.
///
/// What concerns a file as a whole, or its folder, is reported at line 1.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}:{line}: {problem}", file.display())]
pub struct SkillError {
    /// The file, as it was found.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: SkillProblem,
}

/// What is wrong with a skill.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SkillProblem {
    /// The file or folder is not there, or cannot be read.
    #[error("cannot be read: {message}")]
    Unreadable {
        /// What the system says.
        message: String,
    },
    /// The file is larger than a skill's files may be.
    #[error("the file has {bytes} bytes; at most {limit} are allowed")]
    TooLarge {
        /// How large it is, as far as it is known.
        bytes: u64,
        /// The most that is allowed.
        limit: u64,
    },
    /// There are more files than a skill may have, or deeper folders.
    #[error("the folder holds too much: {what}")]
    TooMany {
        /// What there is too much of, and how much is allowed.
        what: String,
    },
    /// The text is not UTF-8.
    #[error("byte 0x{byte:02x} is not UTF-8; save the file as UTF-8")]
    NotUtf8 {
        /// The first byte that does not fit.
        byte: u8,
    },
    /// The file does not begin with front matter.
    #[error("{message}; a skill begins with `---`, fields, and another `---`")]
    FrontMatter {
        /// What is missing.
        message: String,
    },
    /// The front matter is not the YAML that it may be.
    #[error("not valid YAML: {message}")]
    Yaml {
        /// What is wrong.
        message: String,
    },
    /// A field is not known.
    #[error(
        "there is no field `{field}`; there are: name, description, license, compatibility, \
         allowed-tools, metadata (put your own under `metadata`)"
    )]
    UnknownField {
        /// Which.
        field: String,
    },
    /// A field stands there twice.
    #[error("the field `{field}` is there twice; it was first on line {first}")]
    Repeated {
        /// Which.
        field: String,
        /// Where it was first.
        first: usize,
    },
    /// A field is missing.
    #[error("the field `{field}` is missing; add `{field}: …` to the front matter")]
    Missing {
        /// Which.
        field: &'static str,
    },
    /// A field is not what it must be.
    #[error("the field `{field}` is {found}; expected {expected}")]
    Unfit {
        /// Which.
        field: String,
        /// What it is.
        found: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A field is too long.
    #[error("the field `{field}` has {chars} characters; at most {limit} are allowed")]
    TooLong {
        /// Which.
        field: &'static str,
        /// How long it is.
        chars: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// The name is not one.
    #[error(
        "`{name}` is no name of a skill; expected 1 to 64 lowercase letters, digits and single \
         hyphens, none of them at an end"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// Name and folder differ.
    #[error("the skill is called `{name}` and its folder `{folder}`; give them one name")]
    Folder {
        /// The name.
        name: String,
        /// The folder's name.
        folder: String,
    },
    /// There are no instructions.
    #[error("there are no instructions after the front matter; write down what the model is to do")]
    NoInstructions,
    /// Something in the folder leads out of it.
    #[error("the link leads out of the skill's folder, to {}; copy the file into it", target.display())]
    Escapes {
        /// Where it leads.
        target: PathBuf,
    },
    /// Something in the folder is neither a file nor a folder.
    #[error("this is {what}; a skill holds files and folders")]
    NotAFile {
        /// What it is.
        what: &'static str,
    },
}

/// Why a file of a skill was not given.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FileError {
    /// The path leads out of the skill's folder.
    #[error("`{file}` leads out of the skill; give a path within it, such as `references/x.md`")]
    Escapes {
        /// What was asked for.
        file: String,
    },
    /// The skill has no such file.
    #[error("the skill has no file `{file}`; there are: {known}")]
    Unknown {
        /// What was asked for.
        file: String,
        /// What there is.
        known: String,
    },
    /// The file cannot be given.
    #[error(transparent)]
    Skill(SkillError),
}

/// Why a palette was not built.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Two skills, or two agents, have one name.
    #[error("two {}s are called `{name}`{places}; give one of them another name", word(*.kind))]
    Duplicate {
        /// What kind.
        kind: EntryKind,
        /// The name.
        name: String,
        /// For skills: in which folders, to be read on.
        places: String,
    },
    /// The name makes no name of a tool.
    #[error(
        "the {} `{name}` makes no name of a tool; expected at most {limit} letters, digits, `-` \
         and `_`", word(*.kind)
    )]
    Name {
        /// What kind.
        kind: EntryKind,
        /// The name.
        name: String,
        /// The most characters that it may have.
        limit: usize,
    },
    /// An agent delegates to what is not there.
    #[error("the agent `{agent}` delegates to the {} `{name}`, and there is none", word(*.kind))]
    Unknown {
        /// Which agent.
        agent: String,
        /// To what kind.
        kind: EntryKind,
        /// To what name.
        name: String,
    },
    /// A limit is zero.
    #[error("the limit `{field}` is 0; give it a value above 0")]
    Limit {
        /// Which.
        field: &'static str,
    },
}

/// The kind as a word.
const fn word(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Skill => "skill",
        EntryKind::Agent => "agent",
    }
}
