//! The kinds of `[[tool]]`: what they read as, and what of them is refused.

use std::time::Duration;

use executus_core::Effect;
use executus_playbook::{McpEndpoint, Template, ToolKind};

use crate::bad_files::refused;
use crate::support::load;

/// An agent with a tool of each kind; each of its lines is one of a kind.
const TOOLS: &str = r#"kind = "agent"
name = "tools"
model = "a:b"
prompt = "p"

[params]
zone = { type = "string", default = "UTC" }
host = { type = "string", default = "h" }
key = { type = "string", sensitive = true, default = "s3cr3t-value" }

[[tool]] # child
name = "sort"
kind = "process"
argv = ["sort"]
stdin = "{text}\n{zone}"
grace = "2s"
end_strays = true
[tool.params]
text = { type = "string" }

[[tool]] # request
name = "page"
kind = "http"
method = "GET"
url = "http://h/{path}"
follow_redirects = 3
allow = ["169.254.1.0/24", "fd00::1"]
[tool.params]
path = { type = "string" }

[[tool]] # started
name = "now"
kind = "mcp"
argv = ["mcp-server-time", "--local-timezone", "{zone}"]
cwd = "/tmp/{zone}"
env = ["SSL_CERT_FILE"]
tool = "get_current_time"
effect = "read_only"
timeout = "5s"
[tool.params]
timezone = { type = "string" }

[[tool]] # listening
name = "search"
kind = "mcp"
url = "https://{host}/mcp"
headers = { Authorization = "Bearer {key}" }
[tool.params]
words = { type = "string" }
"#;

#[test]
fn tools_read_as_they_are_written() {
    let file = load(TOOLS);
    let [sort, page, now, search] = file.tools.as_slice() else { panic!("{:?}", file.tools) };
    let ToolKind::Process { stdin, grace, end_strays, .. } = &sort.kind else { panic!() };
    assert_eq!(stdin, &Some(Template::parse("{text}\n{zone}")));
    assert_eq!((*grace, *end_strays), (Some(Duration::from_secs(2)), true));
    let ToolKind::Http { follow_redirects, allow, .. } = &page.kind else { panic!() };
    assert_eq!(*follow_redirects, 3);
    let allow: Vec<_> = allow.iter().map(ToString::to_string).collect();
    assert_eq!(allow, ["169.254.1.0/24", "fd00::1/128"]);
    let ToolKind::Mcp { server, tool: Some(tool) } = &now.kind else { panic!() };
    let McpEndpoint::Stdio { argv, cwd: Some(cwd), env } = server else { panic!() };
    assert_eq!(argv[2], Template::parse("{zone}"));
    assert_eq!(
        (cwd.to_string(), env.as_slice()),
        ("/tmp/{zone}".into(), &["SSL_CERT_FILE".into()][..])
    );
    assert_eq!((tool.as_str(), now.effect), ("get_current_time", Effect::ReadOnly));
    assert_eq!(now.timeout, Some(Duration::from_secs(5)));
    let ToolKind::Mcp { server, tool: None } = &search.kind else { panic!() };
    let McpEndpoint::Http { url, headers } = server else { panic!() };
    assert_eq!(url, &Template::parse("https://{host}/mcp"));
    assert_eq!(headers, &[("Authorization".to_owned(), Template::parse("Bearer {key}"))]);
    assert_eq!(search.effect, Effect::Once);
}

#[test]
fn what_is_left_out_has_its_default() {
    let lines =
        ["stdin", "grace", "end_strays", "follow_redirects", "allow", "cwd", "env", "headers"];
    let kept = |line: &&str| !lines.iter().any(|key| line.starts_with(&format!("{key} = ")));
    let text: Vec<_> = TOOLS.lines().filter(kept).collect();
    let file = load(&text.join("\n"));
    let [sort, page, now, search] = file.tools.as_slice() else { panic!("{:?}", file.tools) };
    assert!(matches!(
        &sort.kind,
        ToolKind::Process { stdin: None, grace: None, end_strays: false, .. }
    ));
    let ToolKind::Http { follow_redirects: 0, allow, .. } = &page.kind else { panic!() };
    assert!(allow.is_empty());
    let ToolKind::Mcp { server: McpEndpoint::Stdio { cwd: None, env, .. }, .. } = &now.kind else {
        panic!()
    };
    assert!(env.is_empty());
    let ToolKind::Mcp { server: McpEndpoint::Http { headers, .. }, .. } = &search.kind else {
        panic!()
    };
    assert!(headers.is_empty());
}

/// A line of the file is replaced; the diagnostic in full, without its place.
#[rustfmt::skip]
const CHANGED: &[(&str, &str, &str)] = &[
    // Processes.
    ("stdin = \"{text}\\n{zone}\"", "stdin = §3", "`stdin` is an integer; expected a text"),
    ("stdin = \"{text}\\n{zone}\"", "stdin = \"a\\n§{txt}\"",
        "nothing binds `{txt}` here; expected a parameter of the run or of this tool such as `text`"),
    ("grace = \"2s\"", "grace = §2", "`grace` is an integer; expected a duration"),
    ("grace = \"2s\"", "grace = §\"0s\"", "`0s` is no duration; expected a duration above zero"),
    ("grace = \"2s\"", "grace = §\"11m\"", "`grace` is longer than ten minutes; expected a duration of at most \"10m\""),
    ("end_strays = true", "end_strays = §\"yes\"", "`end_strays` is a text; expected true or false"),
    ("end_strays = true", "§end_stray = true", "unknown key `end_stray` in [[tool]]; expected `end_strays`, or another of"),
    // Requests.
    ("follow_redirects = 3", "follow_redirects = §true", "`follow_redirects` is a boolean; expected a whole number from 0 to 20"),
    ("follow_redirects = 3", "follow_redirects = §-1", "`follow_redirects` is -1; expected a whole number from 0 to 20"),
    ("follow_redirects = 3", "follow_redirects = §21", "`follow_redirects` is 21; expected a whole number from 0 to 20"),
    ("follow_redirects = 3", "follow_redirects = §99999999999999999999", "`follow_redirects` is 9999"),
    ("allow = [\"169.254.1.0/24\", \"fd00::1\"]", "allow = §\"10.0.0.0/8\"",
        "`allow` is a text; expected an array of networks such as [\"10.0.0.0/8\", \"fd00::/8\"]"),
    ("allow = [\"169.254.1.0/24\", \"fd00::1\"]", "allow = [\"10.0.0.0/8\", §8]", "`allow` is an integer; expected an array of networks"),
    ("allow = [\"169.254.1.0/24\", \"fd00::1\"]", "allow = [§\"localhost\"]", "`localhost` is no network; expected an array of networks"),
    ("allow = [\"169.254.1.0/24\", \"fd00::1\"]", "allow = [§\"10.1.0.0/8\"]",
        "`10.1.0.0/8` is an address inside the network 10.0.0.0/8; expected an array of networks"),
    ("allow = [\"169.254.1.0/24\", \"fd00::1\"]", "allow = [§\"::/129\"]", "`::/129` has no length behind its slash from 0 to 128"),
    // Servers.
    ("argv = [\"mcp-server-time\", \"--local-timezone\", \"{zone}\"]", "argv = §\"mcp-server-time\"",
        "`argv` is a text; expected an array of texts such as"),
    ("argv = [\"mcp-server-time\", \"--local-timezone\", \"{zone}\"]", "argv = §[]", "`argv` is empty; expected a program and its arguments"),
    ("argv = [\"mcp-server-time\", \"--local-timezone\", \"{zone}\"]", "argv = [§\"\"]", "the program's name is empty"),
    ("argv = [\"mcp-server-time\", \"--local-timezone\", \"{zone}\"]", "argv = [\"a\", \"§\\u0000\"]", "an argument of a process cannot hold the character NUL"),
    ("argv = [\"mcp-server-time\", \"--local-timezone\", \"{zone}\"]", "argv = [\"s\", \"--zone=§{timezone}\"]",
        "the server cannot come from the tool's parameter `timezone`; expected a fixed text or a parameter of the run here"),
    ("argv = [\"mcp-server-time\", \"--local-timezone\", \"{zone}\"]", "argv = [\"s\", \"§{zon}\"]",
        "nothing binds `{zon}` here; expected a parameter of the run such as `zone`"),
    ("argv = [\"mcp-server-time\", \"--local-timezone\", \"{zone}\"]", "argv = [\"s\"]\n§url = \"http://h\"",
        "a server has both `argv` and `url`; expected exactly one of them"),
    ("argv = [\"mcp-server-time\", \"--local-timezone\", \"{zone}\"]", "§agrv = [\"s\"]", "unknown key `agrv` in [[tool]]; expected `argv`, or another of"),
    ("cwd = \"/tmp/{zone}\"", "cwd = §\"\"", "`cwd` is empty; expected a folder"),
    ("cwd = \"/tmp/{zone}\"", "cwd = \"§{timezone}\"", "the server cannot come from the tool's parameter `timezone`"),
    ("cwd = \"/tmp/{zone}\"", "§headers = {}", "`headers` is for a server with `url`; expected it beside `url`, or not at all"),
    ("env = [\"SSL_CERT_FILE\"]", "env = [§\"A B\"]", "`A B` is no name of an environment variable"),
    ("env = [\"SSL_CERT_FILE\"]", "§method = \"GET\"", "unknown key `method` in [[tool]]; expected one of `name`, `kind`"),
    ("tool = \"get_current_time\"", "tool = §\"\"", "`tool` is empty; expected the name that the server gives the tool"),
    ("tool = \"get_current_time\"", "tool = \"get§\\ntime\"", "a control character in `tool`"),
    ("url = \"https://{host}/mcp\"", "url = §3", "`url` is an integer; expected an address that begins with http://"),
    ("url = \"https://{host}/mcp\"", "url = §\"ftp://h\"", "`url` is no HTTP address; expected an address that begins with http://"),
    ("url = \"https://{host}/mcp\"", "url = \"https://h/§{words}\"", "the server cannot come from the tool's parameter `words`"),
    ("url = \"https://{host}/mcp\"", "url = \"https://h/?k=§{key}\"",
        "`url` would show the sensitive parameter `key`; expected it in `headers`, which are not shown"),
    ("url = \"https://{host}/mcp\"", "url = \"https://h\"\n§env = [\"HOME\"]", "`env` is for a server with `argv`; expected it beside `argv`, or not at all"),
    ("headers = { Authorization = \"Bearer {key}\" }", "headers = { A = \"§{words}\" }", "the server cannot come from the tool's parameter `words`"),
    ("headers = { Authorization = \"Bearer {key}\" }", "headers = { §\"A B\" = \"x\" }", "`A B` is no name of a header field"),
    ("headers = { Authorization = \"Bearer {key}\" }", "headers = { A = \"x§\\n\" }", "a header field cannot hold a line break"),
];

#[test]
fn every_mistake_is_told_at_its_place() {
    load(TOOLS);
    for (old, new, message) in CHANGED {
        assert_eq!(TOOLS.matches(old).count(), 1, "{old}");
        let error = refused(new, &TOOLS.replace(old, new)).to_string();
        assert!(error.contains(&format!(": {message}")), "{error}");
    }
}

#[test]
fn a_server_is_started_or_listens() {
    let text = TOOLS
        .replace("url = \"https://{host}/mcp\"\n", "")
        .replace("[[tool]] # listening", "§[[tool]]");
    let text = text.replace("headers = { Authorization = \"Bearer {key}\" }\n", "");
    let error = refused("neither", &text).to_string();
    assert!(error.contains("has neither `argv` nor `url`; expected `argv` ="), "{error}");
}

/// A parameter of the tool that hides one of the run is not taken for it.
#[test]
fn a_hidden_parameter_is_no_endpoint() {
    let text = TOOLS
        .replace("timezone = { type = \"string\" }", "zone = { type = \"string\" }")
        .replace("\"--local-timezone\", \"{zone}\"", "\"--local-timezone\", \"§{zone}\"");
    let error = refused("hidden", &text).to_string();
    assert!(error.contains("cannot come from the tool's parameter `zone`"), "{error}");
}
