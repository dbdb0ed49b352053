//! Every kind of bad file gives exactly one error, at its place, with what was expected.

use executus_playbook::{Diagnostic, MAX_FILE_BYTES, RunFile};

use crate::support::GOOD;

/// Where the mistake stands in a changed text.
pub(crate) const HERE: char = '§';

/// Loads the text without its mark; the error must stand where the mark was.
pub(crate) fn refused(case: &str, marked: &str) -> Diagnostic {
    let at = marked.find(HERE).unwrap_or_else(|| panic!("{case}: no mark"));
    let before = &marked[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
    let text = marked.replace(HERE, "");
    let error = RunFile::parse("bad.toml", text).expect_err(case);
    assert_eq!((error.line, error.column), (line, column), "{case}: {error}");
    one_line(case, &error);
    error
}

fn one_line(case: &str, error: &Diagnostic) {
    let shown = error.to_string();
    assert!(!shown.contains('\n') && !shown.chars().any(char::is_control), "{case}: {shown:?}");
    let place = format!("{}:{}:{}: ", error.file, error.line, error.column);
    assert!(shown.starts_with(&place) && shown.contains("; expected "), "{case}: {shown}");
    assert!(!error.message.is_empty() && !error.expected.is_empty(), "{case}: {shown}");
}

/// One line of the good file is replaced; message and expectation must contain these words.
#[rustfmt::skip]
const CHANGED: &[(&str, &str, &str, &str, &str)] = &[
    // The root.
    ("unknown kind", "kind = \"playbook\"", "kind = §\"playbok\"", "unknown kind `playbok`", "`playbook`"),
    ("kind of the wrong type", "kind = \"playbook\"", "kind = §3", "`kind` is an integer", "`agent`"),
    ("name of the wrong type", "name = \"report\"", "name = §[\"report\"]", "`name` is an array", "a name"),
    ("empty name", "name = \"report\"", "name = §\"\"", "`name` is empty", "a name"),
    ("name of two lines", "name = \"report\"", "name = \"re§\\nport\"", "control character", "one line"),
    ("unknown key", "name = \"report\"", "name = \"report\"\n§limit = 3", "unknown key `limit`", "`limits`"),
    ("a key of an agent", "name = \"report\"", "name = \"report\"\n§prompt = \"x\"", "unknown key `prompt`", "`step`"),
    ("key with a line break", "name = \"report\"", "name = \"report\"\n§\"a\\nb\" = 1", r"unknown key `a\nb`", "`name`"),
    ("model without a provider", "name = \"report\"", "name = \"report\"\nmodel = §\"gpt\"", "`gpt` names no model", "provider:model"),
    ("duplicate key", "name = \"report\"", "name = \"report\"\n§name = \"again\"", "`name` is there twice", "once"),
    ("no value", "name = \"report\"", "name = §", "the value is missing", "a value"),
    ("unclosed string", "name = \"report\"", "name = \"report§", "not valid TOML", "\""),
    ("NUL", "name = \"report\"", "name = \"re§\u{0}port\"", r"control character \u{0}", "without it"),
    ("bad escape", "name = \"report\"", "name = \"re\\§qport\"", "not valid TOML", ""),
    ("two values", "name = \"report\"", "name = \"report\" §\"x\"", "not valid TOML", ""),
    ("no quotes", "name = \"report\"", "name = §report", "`report` is no value", "quotes"),
    ("misspelt table", "[output]", "[§outptu]", "unknown key `outptu`", "`output`"),
    ("a table twice", "[output]", "[params]\n[output]", "`params` is there twice", "once"),
    // Parameters.
    ("params of the wrong type", "[params]", "params = §3\n[x]", "`params` is an integer", "a table of parameters"),
    ("parameter of the wrong type", "count = { type = \"integer\", default = 5, min = 1, max = 50 }", "count = §5", "`count` is an integer", "a table"),
    ("parameter without type", "count = { type = \"integer\", default = 5, min = 1, max = 50 }", "count = §{ default = 5 }", "has no `type`", "\"string\""),
    ("unknown parameter type", "count = { type = \"integer\", default = 5, min = 1, max = 50 }", "count = { type = §\"int\" }", "unknown type `int`", "`integer`"),
    ("parameter of type array", "count = { type = \"integer\", default = 5, min = 1, max = 50 }", "count = { type = §\"array\" }", "unknown type `array`", "`string`"),
    ("unknown key of a parameter", "count = { type = \"integer\", default = 5, min = 1, max = 50 }", "count = { type = \"integer\", §defualt = 5 }", "unknown key `defualt`", "`default`"),
    ("default of the wrong type", "count = { type = \"integer\", default = 5, min = 1, max = 50 }", "count = { type = \"integer\", default = §\"5\" }", "the default of `count` is \"5\"", "an integer"),
    ("default out of range", "count = { type = \"integer\", default = 5, min = 1, max = 50 }", "count = { type = \"integer\", default = §51, min = 1, max = 50 }", "the default of `count` is 51", "from 1 to 50"),
    ("default that is a date", "count = { type = \"integer\", default = 5, min = 1, max = 50 }", "count = { type = \"string\", default = §1979-05-27 }", "the default of `count`", "a text"),
    ("default that names a parameter", "count = { type = \"integer\", default = 5, min = 1, max = 50 }", "count = { type = \"string\", default = \"in §{repo}\" }", "a default cannot name a parameter: `{repo}`", "a plain value"),
    ("sensitive default of the wrong type", "count = { type = \"integer\", default = 5, min = 1, max = 50 }", "count = { type = \"integer\", sensitive = true, default = §\"hunter2\" }", "the default of `count` is [redacted]", "an integer"),
    ("huge integer", "count = { type = \"integer\", default = 5, min = 1, max = 50 }", "count = { type = \"integer\", default = §99999999999999999999 }", "the default of `count`", "an integer"),
    ("infinite number", "count = { type = \"integer\", default = 5, min = 1, max = 50 }", "count = { type = \"number\", default = §inf }", "the default of `count`", "a number"),
    ("min above max", "count = { type = \"integer\", default = 5, min = 1, max = 50 }", "count = { type = \"integer\", min = 9, max = §3 }", "`max` is 3 and `min` is 9", "not above"),
    ("min of a text", "count = { type = \"integer\", default = 5, min = 1, max = 50 }", "count = { type = \"string\", §min = 1 }", "does not apply to type `string`", "`integer`"),
    ("min of the wrong type", "count = { type = \"integer\", default = 5, min = 1, max = 50 }", "count = { type = \"integer\", min = §0.5 }", "`min` is not an integer", "an integer"),
    ("sensitive of the wrong type", "count = { type = \"integer\", default = 5, min = 1, max = 50 }", "count = { type = \"integer\", sensitive = §\"yes\" }", "`sensitive` is a text", "true or false"),
    ("bad name of an environment variable", "count = { type = \"integer\", default = 5, min = 1, max = 50 }", "count = { type = \"integer\", env = §\"MY COUNT\" }", "`MY COUNT` is no name", "environment variable"),
    ("bad name of a parameter", "count = { type = \"integer\", default = 5, min = 1, max = 50 }", "§\"my count\" = { type = \"integer\" }", "`my count` is no parameter name", "a letter or `_`"),
    ("parameter twice", "count = { type = \"integer\", default = 5, min = 1, max = 50 }", "count = { type = \"integer\", default = 5 }\n§count = { type = \"string\" }", "`count` is there twice", "once"),
    // Limits.
    ("bad duration", "hard_timeout = \"2m\"", "hard_timeout = §\"2 minutes\"", "`2 minutes` is no duration", "\"90s\""),
    ("zero duration", "hard_timeout = \"2m\"", "hard_timeout = §\"0s\"", "`0s` is no duration", "above zero"),
    ("negative duration", "hard_timeout = \"2m\"", "hard_timeout = §\"-2m\"", "`-2m` is no duration", "above zero"),
    ("duration as a number", "hard_timeout = \"2m\"", "hard_timeout = §120", "`hard_timeout` is an integer", "\"90s\""),
    ("negative limit", "hard_timeout = \"2m\"", "max_steps = §-3", "`max_steps` is -3", "above zero"),
    ("zero limit", "hard_timeout = \"2m\"", "max_tokens = §0", "`max_tokens` is 0", "above zero"),
    ("limit that is too large", "hard_timeout = \"2m\"", "max_steps = §5000000000", "`max_steps` is 5000000000", "a smaller number"),
    ("limit with a fraction", "hard_timeout = \"2m\"", "max_steps = §1.5", "a number with a fraction", "a whole number"),
    ("unknown limit", "hard_timeout = \"2m\"", "§timeout = \"2m\"", "unknown key `timeout` in [limits]", "`hard_timeout`"),
    // Tools.
    ("tool without a name", "name = \"log\"", "", "[[tool]] has no `name`", "a_name"),
    ("bad name of a tool", "name = \"log\"", "name = §\"git log\"", "`git log` is no name", "a letter or `_`"),
    ("reserved name of a tool", "name = \"log\"", "name = §\"run_status\"", "is reserved", "another name"),
    ("duplicate name of a tool", "name = \"count\"", "name = §\"log\"", "a second tool is called `log`", "of its own"),
    ("unknown kind of tool", "kind = \"process\" # log", "kind = §\"shell\"", "unknown kind `shell`", "`process`"),
    ("argv as one text", "argv = [\"git\", \"-C\", \"{repo}\", \"log\", \"-n\", \"{n}\"]", "argv = §\"git log\"", "`argv` is a text", "an array of texts"),
    ("empty argv", "argv = [\"git\", \"-C\", \"{repo}\", \"log\", \"-n\", \"{n}\"]", "argv = §[]", "`argv` is empty", "a program"),
    ("argv with a number", "argv = [\"git\", \"-C\", \"{repo}\", \"log\", \"-n\", \"{n}\"]", "argv = [\"git\", §5, \"{n}\"]", "`argv` is an integer", "an array of texts"),
    ("empty program", "argv = [\"git\", \"-C\", \"{repo}\", \"log\", \"-n\", \"{n}\"]", "argv = [§\"\", \"{n}\"]", "the program's name is empty", "git"),
    ("program chosen by the caller", "argv = [\"git\", \"-C\", \"{repo}\", \"log\", \"-n\", \"{n}\"]", "argv = [\"bin/§{n}\"]", "the program cannot come from the tool's parameter `n`", "a fixed text"),
    ("NUL in an argument", "argv = [\"git\", \"-C\", \"{repo}\", \"log\", \"-n\", \"{n}\"]", "argv = [\"git\", \"a§\\u0000{n}\"]", "the character NUL", "without it"),
    ("unbound name in argv", "argv = [\"git\", \"-C\", \"{repo}\", \"log\", \"-n\", \"{n}\"]", "argv = [\"git\", \"x\\t§{depth}\"]", "nothing binds `{depth}`", "{{depth}}"),
    ("stored result in argv", "argv = [\"git\", \"-C\", \"{repo}\", \"log\", \"-n\", \"{n}\"]", "argv = [\"git\", \"§{history}\"]", "nothing binds `{history}`", "of this tool"),
    ("unknown effect", "effect = \"read_only\" # log", "effect = §\"readonly\"", "unknown effect `readonly`", "`read_only`"),
    ("zero timeout of a tool", "timeout = \"10s\"", "timeout = §\"0ms\"", "is no duration", "above zero"),
    ("key of another kind of tool", "timeout = \"10s\"", "§url = \"http://x\"", "unknown key `url` in [[tool]]", "`argv`"),
    ("bad name in env", "timeout = \"10s\"", "env = [\"HOME\", §\"A=B\"]", "`A=B` is no name", "HOME"),
    ("empty folder", "timeout = \"10s\"", "cwd = §\"\"", "`cwd` is empty", "a folder"),
    ("sensitive parameter of a tool", "n = { type = \"integer\", default = 10 }", "n = { type = \"integer\", §sensitive = true }", "unknown key `sensitive`", "`default`"),
    // Steps.
    ("step of the wrong type", "args = { n = 20 }", "args = §20", "`args` is an integer", "a table"),
    ("step without an id", "id = \"history\"", "", "[[step]] has no `id`", "a_name"),
    ("duplicate id", "id = \"total\"", "id = §\"history\"", "a second step is called `history`", "of its own"),
    ("bad id", "id = \"total\"", "id = §\"a#1\"", "`a#1` is no name", "a letter"),
    ("unknown tool", "tool = \"log\"", "tool = §\"lgo\"", "no [[tool]] is called `lgo`", "`log`"),
    ("unknown key of a step", "tool = \"log\"", "tool = \"log\"\n§verifies = {}", "unknown key `verifies` in [[step]]", "`verify`"),
    ("unknown argument", "args = { n = 20 }", "args = { §m = 20 }", "tool `log` takes no argument `m`", "`n`"),
    ("argument of the wrong type", "args = { n = 20 }", "args = { n = §\"many\" }", "does not fit tool `log`", "an integer"),
    ("missing argument", "args = { text = \"{history}\" }", "args = §{}", "the argument `text` is missing", "a text"),
    ("date as an argument", "args = { text = \"{history}\" }", "args = { text = §1979-05-27 }", "`text` is a date or time", "a text"),
    ("name that is stored later", "description = \"Read the history of {repo}\"", "description = \"Read §{history}\"", "nothing binds `{history}`", "an earlier `store_as`"),
    ("misspelt name", "description = \"Read the history of {repo}\"", "description = '''\nRead\n the {{history}} of §{reop}'''", "nothing binds `{reop}`", "`repo`"),
    ("stored under a parameter's name", "store_as = \"history\"", "store_as = §\"repo\"", "`repo` is already", "of its own"),
    ("stored twice", "store_as = \"total\"", "store_as = §\"history\"", "`history` is already", "of its own"),
    ("two verifications", "verify = { contains = \" \" }", "verify = { contains = \" \", §not_empty = true }", "`verify` has `not_empty` as well", "exactly one"),
    ("no verification", "verify = { contains = \" \" }", "verify = §{}", "`verify` says nothing", "exactly one"),
    ("unknown verification", "verify = { contains = \" \" }", "verify = { §contain = \" \" }", "unknown key `contain`", "`contains`"),
    ("verification of the wrong type", "verify = { contains = \" \" }", "verify = { contains = §3 }", "`contains` is an integer", "a text"),
    ("verification that always holds", "verify = { contains = \" \" }", "verify = { contains = §\"\" }", "`contains` is empty", "to look for"),
    ("not_empty = false", "verify = { contains = \" \" }", "verify = { not_empty = §false }", "`not_empty` is false", "true"),
    ("bad regular expression", "verify = { contains = \" \" }", "verify = { matches = §\"(a\" }", "unclosed group", "a regular expression"),
    ("unknown failure mode", "on_failure = \"abort\"", "on_failure = §\"stop\"", "unknown on_failure `stop`", "`abort`"),
    ("recovery without a model", "on_failure = \"abort\"", "on_failure = §\"llm_recover\"", "`llm_recover` needs a model", "`retry`"),
    ("unbound name in failure_message", "failure_message = \"No history in {repo}\"", "failure_message = \"No history §{in}\"", "nothing binds `{in}`", ""),
    // The output.
    ("output of the wrong type", "[output]", "[[output]]", "`output` is an array", "`template`"),
    ("output without a template", "template = \"{history}: {total}\"", "", "[output] has no `template`", "a text"),
    ("unbound name in the output", "template = \"{history}: {total}\"", "template = \"\"\"\\\n   é {history}\n\\u00e9 §{totl}\"\"\"", "nothing binds `{totl}`", "`total`"),
];

/// Bad playbook files: each kind gives one error with file, line, column and what was expected.
///
/// PB-04, PB-16
#[test]
fn every_kind_of_bad_file_is_one_error_at_its_place() {
    for (case, old, new, message, expected) in CHANGED {
        assert_eq!(GOOD.matches(old).count(), 1, "{case}: the good file has that line once");
        let mut text = GOOD.replace(old, new);
        if !text.contains(HERE) {
            // The mistake is what is missing, or a header: the place is the table's.
            let header = match *case {
                "tool without a name" => "[[tool]] # log",
                "step without an id" => "[[step]] # history",
                "a table twice" => "[params]\n[output]",
                "output of the wrong type" => "[[output]]",
                _ => "[output]",
            };
            // The parser points at the repeated name, within its brackets.
            let mark = if *case == "a table twice" { "[§params]\n[output]" } else { "" };
            let marked = if mark.is_empty() { format!("§{header}") } else { mark.to_owned() };
            assert_eq!(text.matches(header).count(), 1, "{case}");
            text = text.replace(header, &marked);
        }
        let error = refused(case, &text);
        assert!(error.message.contains(message), "{case}: {error}");
        assert!(error.expected.contains(expected), "{case}: {error}");
    }
}

#[test]
fn whole_files_that_are_bad() {
    for (case, marked, message) in [
        ("empty file", "§", "the file is empty"),
        ("white space only", "§ \n\n", "the file is empty"),
        ("comments only", "§# nothing\n", "the file has no `kind`"),
        ("no steps", "§kind = \"playbook\"\nname = \"x\"\n", "the file has no `step`"),
        (
            "an empty array of steps",
            "kind = \"playbook\"\nname = \"x\"\nstep = §[]\n",
            "there are no steps",
        ),
        (
            "steps of the wrong type",
            "kind = \"playbook\"\nname = \"x\"\nstep = §3\n",
            "`step` is an integer",
        ),
        (
            "a step of the wrong type",
            "kind = \"playbook\"\nname = \"x\"\nstep = [§3]\n",
            "`step` is an integer",
        ),
        (
            "tools as one table",
            "kind = \"agent\"\nname = \"x\"\nmodel = \"a:b\"\nprompt = \"p\"\n§[tool]\n",
            "`tool` is a table",
        ),
        (
            "misspelt steps",
            "kind = \"playbook\"\nname = \"x\"\n[[§steps]]\n",
            "unknown key `steps`",
        ),
        ("not TOML", "<?xml §version=\"1.0\"?>", "not valid TOML"),
        ("JSON", "§{\"kind\": \"playbook\"}", "not valid TOML"),
        (
            "an agent without a model",
            "§kind = \"agent\"\nname = \"x\"\nprompt = \"p\"\n",
            "the file has no `model`",
        ),
        (
            "an agent without a prompt",
            "§kind = \"agent\"\nname = \"x\"\nmodel = \"a:b\"\n",
            "the file has no `prompt`",
        ),
        (
            "an agent's unbound name",
            "kind = \"agent\"\nname = \"x\"\nmodel = \"a:b\"\nprompt = \"do §{it}\"\n",
            "nothing binds `{it}`",
        ),
        (
            "an agent with steps",
            "kind = \"agent\"\nname = \"x\"\nmodel = \"a:b\"\nprompt = \"p\"\n[[§step]]\n",
            "unknown key `step`",
        ),
        (
            "an address that is none",
            "kind = \"agent\"\nname = \"x\"\nmodel = \"a:b\"\nprompt = \"p\"\n[[tool]]\nname = \"t\"\n\
             kind = \"http\"\nmethod = \"GET\"\nurl = §\"ftp://x\"\n",
            "`url` is no HTTP address",
        ),
        (
            "a server from the caller",
            "kind = \"agent\"\nname = \"x\"\nmodel = \"a:b\"\nprompt = \"p\"\n[[tool]]\nname = \"t\"\n\
             kind = \"http\"\nmethod = \"GET\"\nurl = \"https://api.§{h}/x\"\n\
             [tool.params]\nh = { type = \"string\" }\n",
            "the server cannot come from the tool's parameter `h`",
        ),
        (
            "a server's end from the caller",
            "kind = \"agent\"\nname = \"x\"\nmodel = \"a:b\"\nprompt = \"p\"\n[params]\n\
             base = { type = \"string\" }\n[[tool]]\nname = \"t\"\n\
             kind = \"http\"\nmethod = \"GET\"\nurl = \"{base}§{h}/x\"\n\
             [tool.params]\nh = { type = \"string\" }\n",
            "the server cannot come from the tool's parameter `h`",
        ),
        (
            "a method that is none",
            "kind = \"agent\"\nname = \"x\"\nmodel = \"a:b\"\nprompt = \"p\"\n[[tool]]\nname = \"t\"\n\
             kind = \"http\"\nmethod = §\"get\"\nurl = \"http://x\"\n",
            "unknown method `get`",
        ),
        (
            "a header with a line break",
            "kind = \"agent\"\nname = \"x\"\nmodel = \"a:b\"\nprompt = \"p\"\n[[tool]]\nname = \"t\"\n\
             kind = \"http\"\nmethod = \"GET\"\nurl = \"http://x\"\nheaders = { A = \"b§\\r\\nc\" }\n",
            "a line break",
        ),
    ] {
        let error = refused(case, marked);
        assert!(error.message.contains(message), "{case}: {error}");
    }
    let deep = format!("a = {}{}", "[".repeat(5000), "]".repeat(5000));
    let error = RunFile::parse("deep.toml", deep).expect_err("deep nesting");
    one_line("deep nesting", &error);
    assert_eq!(error.line, 1);
    for unbound in ["{ab}", "{ ", "{{{ab}}}"] {
        let prompt = unbound.repeat(200_000 * 4 / unbound.len());
        let text = format!("kind = \"agent\"\nname = \"x\"\nmodel = \"a:b\"\nprompt = '{prompt}'");
        if let Err(error) = RunFile::parse("many.toml", text) {
            one_line("many placeholders", &error);
            assert_eq!(error.line, 4);
        }
    }
    let long = format!("{} = 1\nkind = \"playbook\"\n", "x".repeat(100_000));
    let error = RunFile::parse("long.toml", long).expect_err("a long key");
    one_line("a long key", &error);
    assert!(error.to_string().len() < 2000, "an error of {} bytes", error.to_string().len());
}

#[test]
fn files_that_are_no_text() {
    for (case, bytes, place, message) in [
        (
            "not UTF-8",
            b"kind = \"playbook\"\nname = \"\xc3\xa9\xff\"\n".to_vec(),
            (2, 10),
            "byte 0xff",
        ),
        ("cut in a character", b"a = \"\xc3".to_vec(), (1, 6), "byte 0xc3"),
        ("UTF-16 with its mark", b"\xff\xfek\0i\0".to_vec(), (1, 1), "byte 0xff"),
        ("binary", b"\x7fELF\x02\x01\x01\0".to_vec(), (1, 9), "not valid TOML"),
        ("10 MB", vec![b'#'; 10_000_000], (1, 1), "larger than 1 MiB"),
        ("one byte too many", vec![b'#'; MAX_FILE_BYTES as usize + 1], (1, 1), "larger than 1 MiB"),
    ] {
        let error = RunFile::parse("bad.toml", bytes).expect_err(case);
        one_line(case, &error);
        assert_eq!((error.line, error.column), place, "{case}: {error}");
        assert!(error.message.contains(message), "{case}: {error}");
    }
}

#[test]
fn files_that_cannot_be_read() {
    let folder = std::env::temp_dir();
    let missing = folder.join("executus-no-such-run-file.toml");
    for (case, path, message) in [
        ("a directory", folder.as_path(), "this is a directory"),
        ("no such file", missing.as_path(), "cannot be read"),
    ] {
        let error = RunFile::load(path).expect_err(case);
        one_line(case, &error);
        assert_eq!(error.file, path.display().to_string());
        assert_eq!((error.line, error.column), (1, 1));
        assert!(error.message.contains(message), "{case}: {error}");
    }
}

#[test]
fn the_first_of_several_mistakes_is_told() {
    let text = GOOD
        .replace("template = \"{history}: {total}\"", "template = 3")
        .replace("tool = \"log\"", "tool = 5")
        .replace("hard_timeout = \"2m\"", "hard_timeout = §\"never\"");
    let error = refused("several mistakes", &text);
    assert!(error.message.contains("`never`"), "{error}");
}

/// A tool with a mistake is no reason to call a step's tool unknown, even when it stands before.
#[test]
fn a_mistake_does_not_make_others() {
    let error = refused(
        "steps before tools",
        "kind = \"playbook\"\nname = \"x\"\n[[step]]\nid = \"a\"\ntool = \"t\"\non_failure = \"abort\"\n\
         [[tool]]\nname = \"t\"\nkind = \"process\"\nargv = §3\n",
    );
    assert!(error.message.contains("`argv`"), "{error}");
}

#[test]
fn lines_may_end_as_on_windows_and_a_byte_order_mark_is_passed_over() {
    let text = format!("\u{feff}{}", GOOD.replace('\n', "\r\n"));
    RunFile::parse("windows.toml", text).expect("a good file");
    let error = RunFile::parse("windows.toml", "\u{feff}kind = 3\r\nname = 4\r\n").unwrap_err();
    assert_eq!((error.line, error.column), (1, 8), "{error}");
}
