//! Where requests may go, judged when they connect.

use executus_http::{AddressKind, AddressPolicy, Client, HttpError, Method, NotFollowed, Request};

use crate::reach::{Names, Reach};
use crate::support::{LONG, Peer, ok};

/// What must come of an address of the corpus.
enum Expected {
    /// It leads to an address of this kind.
    Kind(AddressKind),
    /// No request can be made of it, for this reason.
    Request(&'static str),
}

use AddressKind::{Loopback, Metadata, Private, Reserved, Shared, Unspecified};
use Expected::{Kind, Request as Bad};

/// Each host is asked for by a client of public addresses.
const CORPUS: &[(&str, Expected)] = &[
    ("127.0.0.1", Kind(Loopback)),
    ("127.1", Kind(Loopback)),
    ("0", Kind(Unspecified)),
    ("0.0.0.0", Kind(Unspecified)),
    ("2130706433", Kind(Loopback)),
    ("0x7f000001", Kind(Loopback)),
    ("0177.0.0.1", Kind(Loopback)),
    ("[::1]", Kind(Loopback)),
    ("[::]", Kind(Unspecified)),
    ("[::ffff:127.0.0.1]", Kind(Loopback)),
    ("[::ffff:7f00:1]", Kind(Loopback)),
    ("[::127.0.0.1]", Kind(Loopback)),
    ("[::169.254.169.254]", Kind(Metadata)),
    ("[64:ff9b::7f00:1]", Kind(Loopback)),
    ("[2002:7f00:1::]", Kind(Loopback)),
    ("[2001:0:7f00:1::]", Kind(Loopback)),
    ("[2001:0:101:101::80ff:fffe]", Kind(Loopback)),
    ("[fd00::1]", Kind(Private)),
    ("[fe80::1]", Kind(AddressKind::LinkLocal)),
    ("[fd00:ec2::254]", Kind(Metadata)),
    ("169.254.169.254", Kind(Metadata)),
    ("169.254.1.1", Kind(AddressKind::LinkLocal)),
    ("0xa9fea9fe", Kind(Metadata)),
    ("168.63.129.16", Kind(Metadata)),
    ("100.64.0.1", Kind(Shared)),
    ("10.0.0.1", Kind(Private)),
    ("192.168.1", Kind(Private)),
    ("224.0.0.1", Kind(AddressKind::Multicast)),
    ("255.255.255.255", Kind(AddressKind::Multicast)),
    ("192.0.2.1", Kind(Reserved)),
    ("localhost", Kind(Loopback)),
    ("localhost.", Kind(Loopback)),
    ("LOCALHOST", Kind(Loopback)),
    ("a.localhost", Kind(Loopback)),
    ("private.test", Kind(Private)),
    ("mixed.test", Kind(Private)),
    ("mixed6.test", Kind(Loopback)),
    ("metadata.test", Kind(Metadata)),
    ("user@127.0.0.1", Bad("user or password")),
    ("public.test@127.0.0.1", Bad("user or password")),
    ("public.test:80@127.0.0.1", Bad("user or password")),
    ("127.0.0.1%2f@public.test", Bad("user or password")),
    ("public.test\\@127.0.0.1", Bad("backslash")),
    ("127.0.0.1\\.public.test", Bad("backslash")),
    ("127%2e0%2e0%2e1", Bad("cannot be read")),
    ("\u{ff11}27.0.0.1", Bad("not ASCII")),
    ("127\u{3002}0.0.1", Bad("not ASCII")),
    ("127.0.0.1\t", Bad("control")),
    ("127.0.0.1 ", Bad("spaces")),
    ("256.256.256.256", Bad("no IPv4")),
    ("1.2.3.4.5", Bad("no IPv4")),
    ("[::1%25lo]", Bad("brackets")),
    ("[127.0.0.1]", Bad("brackets")),
    ("", Bad("no host")),
];

fn names() -> Names {
    Names::default()
        .with("public.test", &["93.184.216.34"])
        .with("private.test", &["10.0.0.1"])
        .with("mixed.test", &["93.184.216.34", "10.0.0.1"])
        .with("mixed6.test", &["93.184.216.34", "::ffff:127.0.0.1"])
        .with("metadata.test", &["169.254.169.254"])
}

fn client(policy: AddressPolicy, reach: &Reach) -> Client {
    Client::builder()
        .address_policy(policy)
        .resolver(reach.names())
        .transport(reach.transport())
        .connect_timeout(LONG)
        .headers_timeout(LONG)
        .build()
        .unwrap()
}

fn get(url: &str) -> Request {
    Request::new(Method::Get, url).unwrap()
}

#[tokio::test]
async fn every_address_of_the_corpus_is_refused_before_anything_is_sent() {
    for scheme in ["http", "https"] {
        for (host, expected) in CORPUS {
            let reach = Reach::new(names());
            let url = format!("{scheme}://{host}:8080/secret?key=secret");
            let outcome = match Request::new(Method::Get, &url) {
                Ok(request) => {
                    client(AddressPolicy::public(), &reach).send(request).await.map(drop)
                }
                Err(error) => Err(error),
            };
            let error = outcome.expect_err(&url);
            match (expected, &error) {
                (Kind(expected), HttpError::Address { kind, address, .. }) => {
                    assert_eq!(kind, expected, "{url}");
                    assert!(address.starts_with(scheme), "{error}");
                    assert!(error.to_string().contains("address policy"), "{error}");
                }
                (Bad(part), HttpError::Request { message }) => {
                    assert!(message.contains(part), "{url}: {message}");
                    assert!(!message.contains("secret"), "{message}");
                }
                (_, error) => panic!("{url}: {error:?}"),
            }
            assert!(!error.was_sent() && !error.retry(), "{error}");
            assert_eq!(reach.connected(), [""; 0], "{url}");
        }
    }
}

#[test]
fn other_schemes_make_no_request() {
    for url in [
        "file:///etc/passwd",
        "file://localhost/etc/passwd",
        "gopher://127.0.0.1:6379/_x",
        "ftp://127.0.0.1/secret",
        "unix:///run/secret.sock",
        "data:text/plain,secret",
        "javascript:secret",
    ] {
        let error = Request::new(Method::Get, url).unwrap_err();
        let HttpError::Request { message } = &error else { panic!("{url}: {error:?}") };
        assert!(!message.contains("secret") && !message.contains("passwd"), "{message}");
        assert!(!error.was_sent() && !error.retry(), "{error}");
    }
}

/// A client has a policy without being told one: not what clouds tell, and not what is no host.
#[tokio::test]
async fn without_a_policy_clouds_and_links_are_refused() {
    let client = Client::builder().connect_timeout(LONG).build().unwrap();
    for host in ["169.254.169.254", "[fe80::1]", "168.63.129.16", "0.0.0.0", "[fd00:ec2::254]"] {
        let error = client.send(get(&format!("http://{host}/"))).await.unwrap_err();
        assert!(matches!(error, HttpError::Address { .. }), "{host}: {error}");
    }
    let peer = Peer::start().await;
    let (response, _) = tokio::join!(client.send(peer.get("/")), peer.answer(ok("")));
    response.unwrap();
}

#[tokio::test]
async fn the_address_that_was_judged_is_the_one_connected_to() {
    // A name that leads elsewhere at each look-up.
    let names = Names::default()
        .with("rebind.test", &["93.184.216.34"])
        .then("rebind.test", &["127.0.0.1"]);
    let peer = Peer::start().await;
    let reach = Reach::new(names).leads_to(&peer.url(""));
    let client = client(AddressPolicy::public(), &reach);
    let close = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let (response, (received, _)) =
        tokio::join!(client.send(get("http://rebind.test/")), peer.answer(close));
    response.unwrap().bytes(0).await.unwrap();
    assert_eq!(received.header("host"), Some("rebind.test"));
    assert_eq!(reach.connected(), ["93.184.216.34:80"]);
    assert_eq!(reach.asked(), ["rebind.test"]);

    let error = client.send(get("http://rebind.test/")).await.unwrap_err();
    assert!(matches!(error, HttpError::Address { kind: Loopback, .. }), "{error}");
    assert_eq!(reach.connected().len(), 1);
}

/// Runs redirects from `http://public.test`, and gives the requests that the servers saw.
async fn follow(targets: &[&str], limit: u32) -> (Result<u16, HttpError>, Vec<String>, Reach) {
    let peer = Peer::start().await;
    let names = names().with("other.test", &["93.184.216.35"]);
    let reach = Reach::new(names).leads_to(&peer.url(""));
    let client = client(AddressPolicy::public(), &reach);
    let request = get("http://public.test/start?key=secret")
        .header("authorization", "hunter2")
        .unwrap()
        .follow_redirects(limit);
    let sending = async { client.send(request).await.map(|response| response.status()) };
    let mut seen = Vec::new();
    let serving = async {
        for target in targets {
            let answer = format!(
                "HTTP/1.1 302 Found\r\nlocation: {target}\r\nconnection: close\r\n\
                 content-length: 0\r\n\r\n"
            );
            let (received, _) = peer.answer(answer).await;
            seen.push(received.head);
        }
        let (received, _open) = peer.answer(ok("")).await;
        seen.push(received.head);
        std::future::pending::<()>().await;
    };
    let outcome = tokio::select! {
        outcome = sending => outcome,
        () = serving => unreachable!(),
    };
    (outcome, seen, reach)
}

/// HD-13
#[tokio::test]
async fn every_hop_passes_the_policy_of_the_first() {
    for (target, kind) in [
        ("http://127.0.0.1/", Loopback),
        ("http://2130706433/", Loopback),
        ("http://[::ffff:10.0.0.1]/", Private),
        ("http://169.254.169.254/latest/meta-data/", Metadata),
        ("http://private.test/", Private),
        ("http://mixed.test/", Private),
        ("//localhost./", Loopback),
    ] {
        let (outcome, seen, reach) = follow(&[target], 5).await;
        let Err(HttpError::Redirected { error, hops, .. }) = &outcome else {
            panic!("{target}: {outcome:?}")
        };
        assert!(
            matches!(&**error, HttpError::Address { kind: found, .. } if *found == kind),
            "{target}: {error:?}"
        );
        assert_eq!((*hops, seen.len(), reach.connected().len()), (1, 1, 1), "{target}");
        assert!(outcome.unwrap_err().was_sent());
    }
}

/// HD-13
#[tokio::test]
async fn redirects_end_at_their_limit_and_at_other_schemes() {
    let (outcome, seen, _) = follow(&["/1", "/2", "http://other.test/3"], 3).await;
    assert_eq!(outcome, Ok(200));
    assert_eq!(seen.len(), 4);
    assert!(seen[2].contains("authorization: hunter2"));
    assert!(seen[3].starts_with("GET /3 ") && !seen[3].contains("hunter2"), "{}", seen[3]);

    let many: Vec<String> = (0..30).map(|n| format!("/{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (targets, reason) in [
        (&many[..], NotFollowed::TooMany { limit: 20 }),
        (&["/1", "/start?key=secret"], NotFollowed::Circle),
    ] {
        match follow(targets, 20).await.0 {
            Err(HttpError::Redirect { reason: found, status: 302, .. }) => {
                assert_eq!(found, reason);
            }
            other => panic!("{other:?}"),
        }
    }
    for target in ["file:///etc/passwd", "gopher://127.0.0.1:6379/_x", "http://u:p@public.test/"] {
        match follow(&[target], 5).await {
            (Err(HttpError::Redirect { reason: NotFollowed::Target { .. }, .. }), seen, _) => {
                assert_eq!(seen.len(), 1);
            }
            (other, ..) => panic!("{target}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn without_asking_a_redirect_is_the_answer() {
    let (outcome, seen, _) = follow(&["http://127.0.0.1/"], 0).await;
    assert_eq!(outcome, Ok(302));
    assert_eq!(seen.len(), 1);
}
