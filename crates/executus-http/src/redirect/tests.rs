//! Which request follows an answer.

use executus_core::secret::Secret;
use http::HeaderValue;

use super::*;

fn location(target: &str) -> HeaderMap {
    HeaderMap::from_iter([(header::LOCATION, HeaderValue::from_bytes(target.as_bytes()).unwrap())])
}

fn request(method: Method, url: &str) -> Request {
    let request = Request::new(method, url).unwrap();
    if method == Method::Get { request } else { request.body("text/plain", "text") }
}

fn next(request: &Request, status: u16, target: &str) -> Result<Option<Request>, HttpError> {
    Redirects::new(5).next(request, status, &location(target))
}

fn reason(outcome: Result<Option<Request>, HttpError>) -> NotFollowed {
    match outcome {
        Err(HttpError::Redirect { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn methods_are_rewritten_as_everybody_does() {
    use Method::{Delete, Get, Patch, Post, Put};
    for (status, method, expected) in [
        (301, Get, Get),
        (301, Post, Get),
        (301, Put, Put),
        (302, Post, Get),
        (302, Delete, Delete),
        (303, Get, Get),
        (303, Post, Get),
        (303, Put, Get),
        (303, Delete, Get),
        (307, Post, Post),
        (307, Get, Get),
        (308, Patch, Patch),
    ] {
        let next = next(&request(method, "http://h/a"), status, "/b").unwrap().unwrap();
        assert_eq!(next.method, expected, "{status} {method}");
        let keeps_body = method == expected && method != Get;
        assert_eq!(next.body.is_empty(), !keeps_body, "{status} {method}");
        assert_eq!(next.headers.contains_key(header::CONTENT_TYPE), keeps_body);
        assert_eq!(next.address(), "http://h/b");
    }
}

#[test]
fn other_answers_are_no_redirects() {
    for status in [200, 201, 300, 304, 305, 306, 404, 500] {
        let next = next(&request(Method::Get, "http://h/a"), status, "/b").unwrap();
        assert!(next.is_none(), "{status}");
    }
    let request = request(Method::Get, "http://h/a");
    assert!(Redirects::new(0).next(&request, 302, &location("/b")).unwrap().is_none());
}

#[test]
fn credentials_stay_with_their_server() {
    let fields = ["authorization", "cookie", "x-api-key", "x-session-token", "referer", "x-mine"];
    let asked = fields.iter().fold(request(Method::Get, "https://h/a"), |request, name| {
        let name = *name;
        if name == "x-mine" {
            return request.secret_header(name, &Secret::new("v")).unwrap();
        }
        request.header(name, "v").unwrap()
    });
    let asked = asked.header("accept", "text/html").unwrap();
    let kept = |target: &str| {
        let next = next(&asked, 302, target).unwrap().unwrap();
        next.headers.keys().map(|name| name.as_str().to_owned()).collect::<Vec<_>>()
    };
    for same in ["/b", "https://H:443/b"] {
        assert_eq!(kept(same).len(), 7, "{same}");
    }
    for other in ["https://h:444/b", "https://x.h/b", "//other/b"] {
        assert_eq!(kept(other), ["accept"], "{other}");
    }
    // And they do not come back.
    let mut redirects = Redirects::new(5);
    let away = redirects.next(&asked, 302, &location("https://x/")).unwrap().unwrap();
    let back = redirects.next(&away, 302, &location("https://h/c")).unwrap().unwrap();
    assert_eq!(back.headers.len(), 1);
}

#[test]
fn what_is_not_followed_says_why() {
    let get = |url: &str| request(Method::Get, url);
    let post = |url: &str| request(Method::Post, url);
    for (asked, status, target, expected) in [
        (get("https://h/"), 302, "http://h/", NotFollowed::Downgrade),
        (get("https://h/"), 302, "http://x/", NotFollowed::Downgrade),
        (get("http://h/a"), 302, "http://h/a", NotFollowed::Circle),
        (get("http://h/a"), 302, "http://H/a#f", NotFollowed::Circle),
        (post("http://h/a"), 307, "", NotFollowed::Circle),
        (post("http://h/a"), 307, "http://x/a", NotFollowed::BodyElsewhere),
        (post("http://h/a"), 308, "//x/a", NotFollowed::BodyElsewhere),
        (request(Method::Put, "http://h/a"), 301, "//x/a", NotFollowed::BodyElsewhere),
    ] {
        assert_eq!(reason(next(&asked, status, target)), expected, "{asked:?} {target}");
    }
    // After a POST, the same address is another request.
    assert!(next(&post("http://h/a"), 303, "/a").unwrap().is_some());
}

#[test]
fn a_target_that_no_request_can_go_to_is_told() {
    for (target, part) in [
        ("file:///etc/passwd", "cannot be read"),
        ("gopher://h/x", "another scheme"),
        ("ftp://h/x", "another scheme"),
        ("javascript:alert(1)", "no scheme"),
        ("http:/h/x", "no scheme"),
        ("http://user:pw@h/", "user or password"),
        ("http://h@127.0.0.1/", "user or password"),
        ("http://h\\@x/", "backslash"),
        ("//h:99999/", "port"),
        ("http://ü/", "cannot be read"),
        ("http://1.2.3.4.5/", "no IPv4"),
        ("///x", "cannot be read"),
    ] {
        match reason(next(&request(Method::Get, "http://h/a"), 302, target)) {
            NotFollowed::Target { message } => {
                assert!(message.contains(part), "{target}: {message}");
            }
            other => panic!("{target}: {other:?}"),
        }
    }
    let get = request(Method::Get, "http://h/a");
    let none = Redirects::new(5).next(&get, 302, &HeaderMap::new());
    assert!(matches!(reason(none), NotFollowed::Target { message } if message.contains("no loc")));
    let mut two = location("/b");
    two.append(header::LOCATION, HeaderValue::from_static("/c"));
    let two = Redirects::new(5).next(&get, 302, &two);
    assert!(
        matches!(reason(two), NotFollowed::Target { message } if message.contains("more than"))
    );
}

#[test]
fn redirects_end() {
    let mut redirects = Redirects::new(3);
    let mut asked = request(Method::Get, "http://h/0");
    for hop in 1..=3 {
        asked = redirects.next(&asked, 302, &location(&format!("/{hop}"))).unwrap().unwrap();
    }
    let error = redirects.next(&asked, 302, &location("/4")).unwrap_err();
    assert!(error.to_string().contains("more than 3 redirects"), "{error}");
    assert!(error.was_sent() && !error.retry());

    let mut redirects = Redirects::new(9);
    let (a, b) = (request(Method::Get, "http://h/a"), location("/b"));
    let b = redirects.next(&a, 302, &b).unwrap().unwrap();
    assert_eq!(reason(redirects.next(&b, 302, &location("/a"))), NotFollowed::Circle);
}

#[test]
fn what_fails_later_tells_that_something_was_sent() {
    let mut redirects = Redirects::new(3);
    let refused = || HttpError::request("refused");
    assert_eq!(redirects.failed(refused()), refused());
    let asked = request(Method::Get, "http://h/a");
    redirects.next(&asked, 302, &location("/b")).unwrap().unwrap();
    let error = redirects.failed(refused());
    assert!(error.was_sent());
    assert_eq!(error.to_string(), "after 1 redirects of http://h/a: refused");
}

/// HD-13
#[test]
fn a_redirect_that_nobody_follows_names_status_and_target() {
    let asked = request(Method::Get, "http://h/a?key=secret");
    let error = not_followed(&asked, 301, &location("/b?key=secret")).unwrap().to_string();
    assert!(error.contains("status 301") && error.contains("http://h/b:"), "{error}");
    assert!(!error.contains("secret"), "{error}");
    assert!(not_followed(&asked, 200, &location("/b")).is_none());
    let long = not_followed(&asked, 301, &location(&format!("/{}", "x".repeat(9000)))).unwrap();
    assert!(long.to_string().len() < 600);
}

#[test]
fn what_is_hidden_of_a_request_is_hidden_of_its_target() {
    for (address, target, expected) in [
        ("http://h/[redacted]/x", "/secret/y", "http://h/[redacted]"),
        ("http://h/[redacted]/x", "http://x/secret", "http://x/[redacted]"),
        ("http://[redacted]/x", "/y", "[redacted]"),
    ] {
        let asked = request(Method::Get, "http://h/secret/x").shown_as(address.to_owned());
        let next = next(&asked, 302, target).unwrap().unwrap();
        assert_eq!(next.address(), expected);
        let error = not_followed(&asked, 302, &location(target)).unwrap().to_string();
        assert!(error.contains(expected) && !error.contains("secret/"), "{error}");
    }
}
