//! Requests: redirects, compression, where they may go, and servers that are not there.

use executus_testkit::hostile::{HostileServer, Reply};
use executus_testkit::provider::Answer;
use serde_json::json;

use super::{port, results};
use crate::support::{Home, Scene, Way};

/// A playbook with one request to this address.
fn book(home: &Home, url: &str, more: &str) {
    home.playbook(&format!(
        r#"
[params]
token = {{ type = "string", sensitive = true, default = "c4n4ry-0f-th3-m1n3" }}
[[tool]]
name = "get"
kind = "http"
method = "GET"
url = "{url}"
headers = {{ Authorization = "Bearer {{token}}" }}
effect = "read_only"
{more}
[[step]]
id = "get"
tool = "get"
store_as = "page"
on_failure = "abort"
[output]
template = "{{page}}"
"#
    ));
}

/// Answers `/n` with a redirect to `/n-1`, and `/0` with a text.
fn hops() -> HostileServer {
    HostileServer::start(|seen| match seen.path.trim_start_matches('/').parse::<u32>() {
        Ok(0) => Reply::ok("arrived"),
        Ok(left) => Reply::status(302, &[("location", &format!("/{}", left - 1))], ""),
        Err(_) => Reply::status(404, &[], ""),
    })
}

#[test]
fn redirects_are_followed_as_far_as_the_file_says() {
    let home = Home::new();
    let server = hops();
    for (more, hops, answer) in [
        ("", 1, Err("redirects are not followed")),
        ("follow_redirects = 0", 1, Err("redirects are not followed")),
        ("follow_redirects = 2", 2, Ok("arrived\n")),
        ("follow_redirects = 2", 3, Err("2")),
    ] {
        book(&home, &server.url(&format!("/{hops}")), more);
        let said = home.executus(&["run", "book.toml"]);
        match answer {
            Ok(text) => assert_eq!(said.expect(0).stdout, text),
            Err(part) => {
                let said = said.expect(1);
                assert!(said.stderr.contains(part), "{more}: {}", said.stderr);
            }
        }
    }
}

/// What is secret stays with the server that it is for.
#[test]
fn a_redirect_to_another_server_takes_no_secret_along() {
    let home = Home::new();
    let other = HostileServer::always(Reply::ok("elsewhere"));
    let target = other.url("/page");
    let server =
        HostileServer::start(move |_| Reply::status(302, &[("location", target.as_str())], ""));
    book(&home, &server.url("/"), "follow_redirects = 1");
    assert_eq!(home.executus(&["run", "book.toml"]).expect(0).stdout, "elsewhere\n");
    assert_eq!(server.requests()[0].header("authorization"), Some("Bearer c4n4ry-0f-th3-m1n3"));
    assert_eq!(other.requests()[0].header("authorization"), None);
}

#[test]
fn answers_may_be_compressed() {
    let home = Home::new();
    let server = HostileServer::always(Reply::ok("plain"));
    book(&home, &server.url("/"), "");
    assert_eq!(home.executus(&["run", "book.toml"]).expect(0).stdout, "plain\n");
    let accepted = server.requests()[0].header("accept-encoding").unwrap().to_owned();
    assert!(accepted.contains("gzip") && accepted.contains("zstd"), "{accepted}");
}

/// Nothing is sent to an address that the configuration denies, whatever the file allows.
#[test]
fn requests_go_where_the_configuration_lets_them() {
    let server = HostileServer::always(Reply::ok("there"));
    let url = server.url("/");
    for (config, more, goes) in [
        ("", "", true),
        ("public_only = true", "", false),
        ("public_only = true", "allow = [\"127.0.0.1\"]", true),
        ("public_only = true\nallow = [\"127.0.0.0/8\"]", "", true),
        ("deny = [\"127.0.0.0/8\"]", "", false),
        ("deny = [\"127.0.0.0/8\"]", "allow = [\"127.0.0.1\"]", false),
    ] {
        let home = Home::new();
        home.file("executus.toml", &format!("[http]\n{config}\n"));
        book(&home, &url, more);
        let before = server.counts().accepted;
        let said = home.executus(&["run", "book.toml"]);
        if goes {
            assert_eq!(said.expect(0).stdout, "there\n", "{config}");
        } else {
            let said = said.expect(1);
            assert!(said.stderr.contains("127.0.0.1"), "{config}: {}", said.stderr);
            assert_eq!(server.counts().accepted, before, "{config}");
        }
    }
}

#[test]
fn a_mistake_in_the_configuration_is_told_with_its_place() {
    let home = Home::new();
    book(&home, "http://127.0.0.1:1/", "");
    home.file("executus.toml", "[http]\nallow = [\"10.1.0.0/8\"]\n");
    let said = home.executus(&["run", "book.toml"]).expect(2);
    let told = "executus.toml:2:9: `10.1.0.0/8` names an address inside its network";
    assert!(said.stderr.contains(told), "{}", said.stderr);
}

/// A server that is not there is asked three times, and then left alone; the model reads that.
#[test]
fn a_server_that_is_not_there_is_left_alone() {
    let call = || Answer::calls([("get", json!({}))]);
    let scene = Scene::new(Way::STREAM, [call(), call(), call(), call(), Answer::text("gone")]);
    scene.agent(&format!(
        "prompt = \"p\"\n[[tool]]\nname = \"get\"\nkind = \"http\"\nmethod = \"GET\"\n\
         url = \"http://127.0.0.1:{}/\"\neffect = \"read_only\"\n",
        port()
    ));
    scene.run(&[]).expect(0);
    let results = results(&scene.home);
    assert_eq!(results.len(), 4);
    assert!(results[..3].iter().all(|text| text.contains("no connection to")), "{results:?}");
    assert!(results[3].contains("its circuit is open; try again in"), "{results:?}");
}
