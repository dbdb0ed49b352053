//! The first line is a URL, each further one a status and where it redirects to. Whatever comes: no
//! panic, no connection to an address that is not public, no credentials for another server than the
//! first, and no end that is not reached.
#![no_main]

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use executus_http::{
    AddressPolicy, ByteStream, Client, HttpError, Method, Network, Request, Resolve, ResolveError,
    Transport,
};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

const LIMIT: u32 = 4;
const CREDENTIALS: &str = "hunter2";

/// What is left to answer, and the heads of the requests that came.
#[derive(Default)]
struct Course {
    answers: Vec<String>,
    heads: Vec<String>,
}

thread_local! {
    static COURSE: RefCell<Course> = RefCell::default();
}

/// A network in which every name has addresses and every address has a server.
#[derive(Debug)]
struct World;

#[async_trait]
impl Resolve for World {
    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        // A name is never what could be read as an address.
        assert!(!name.is_empty() && name.len() <= 254, "{name}");
        assert!(name.parse::<IpAddr>().is_err(), "{name}");
        let last = name.trim_end_matches('.').rsplit('.').next().expect("a label");
        assert!(!last.bytes().all(|b| b.is_ascii_digit()), "{name}");
        let v4 = |a, b, c, d| IpAddr::V4(Ipv4Addr::new(a, b, c, d));
        Ok(match name.len() % 5 {
            0 => vec![],
            1 => vec![v4(10, 0, 0, 1)],
            2 => vec![v4(93, 184, 216, 34), v4(127, 0, 0, 1)],
            _ => vec![v4(93, 184, 216, 34), "2600::1".parse().expect("an address")],
        })
    }
}

#[async_trait]
impl Transport for World {
    async fn connect(&self, to: SocketAddr) -> io::Result<Box<dyn ByteStream>> {
        assert!(is_public(to.ip()), "{to}");
        assert_ne!(to.port(), 0);
        let (near, mut far) = tokio::io::duplex(1 << 16);
        tokio::spawn(async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match far.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => return,
                }
                // TLS comes as something else, and never ends like this.
                if head[0] == 0x16 {
                    return;
                }
            }
            let answer = COURSE.with_borrow_mut(|course| {
                course.heads.push(String::from_utf8(head).expect("a head in ASCII"));
                course.answers.pop()
            });
            let answer = answer.unwrap_or_else(|| "HTTP/1.1 200 OK\r\n".to_owned());
            let rest = "connection: close\r\ncontent-length: 0\r\n\r\n";
            let _ = far.write_all(format!("{answer}{rest}").as_bytes()).await;
        });
        Ok(Box::new(near))
    }
}

/// Judged by other means than the policy's.
fn is_public(ip: IpAddr) -> bool {
    let v6 = match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            let special = v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_unspecified();
            return !special
                && a != 0
                && a < 224
                && !(a == 100 && (64..128).contains(&b))
                && !(a == 198 && (b == 18 || b == 19))
                && !(a == 192 && b == 0 && c == 0)
                && v4 != Ipv4Addr::new(168, 63, 129, 16);
        }
        IpAddr::V6(v6) => v6,
    };
    let inner = |high: u16, low: u16| {
        is_public(IpAddr::V4(((u32::from(high) << 16) | u32::from(low)).into()))
    };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0..=1] => false,
        [0, 0, 0, 0, 0, 0 | 0xffff, g, h] | [0, 0, 0, 0, 0xffff, 0, g, h] => inner(g, h),
        [0x64, 0xff9b, 0, 0, 0, 0, g, h] => inner(g, h),
        [0x2002, b, c, ..] => inner(b, c),
        [0x2001, 0, c, d, _, _, g, h] => inner(c, d) && inner(!g, !h),
        [0x2001, 0..0x200 | 0xdb8, ..] => false,
        [0x2000..=0x3fff, .., g, h] => {
            let [.., e, f, _, _] = v6.segments();
            v6.segments()[0] != 0x3fff && (f != 0x5efe || e & !0x200 != 0 || inner(g, h))
                || v6.segments()[0] == 0x3fff && v6.segments()[1] >= 0x1000
        }
        _ => false,
    }
}

/// A client for all inputs: it keeps nothing, since every server closes.
fn fixture() -> &'static (Runtime, Client) {
    static FIXTURE: OnceLock<(Runtime, Client)> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let client = Client::builder()
            .address_policy(AddressPolicy::public())
            .resolver(Arc::new(World))
            .transport(Arc::new(World))
            .build();
        (runtime.expect("a runtime"), client.expect("a client"))
    })
}

fn origin(head: &str) -> Option<&str> {
    head.lines().find_map(|line| line.strip_prefix("host: "))
}

fn send(url: &str, redirects: Vec<String>) {
    let request = match Request::new(Method::Get, url) {
        Ok(request) => request,
        Err(HttpError::Request { message }) => return assert!(message.starts_with("the URL")),
        Err(error) => panic!("{error}"),
    };
    // What is shown has no query and no user, and is a URL again.
    let shown = request.address();
    assert!(!shown.contains(['?', '#', ' ', '\n']), "{shown}");
    assert!(!shown.split('/').nth(2).expect("a host").contains('@'), "{shown}");
    let again = Request::new(Method::Get, &shown).expect("a URL");
    assert_eq!(again.address(), shown);

    COURSE.with_borrow_mut(|course| *course = Course { answers: redirects, heads: Vec::new() });
    let request = request.header("authorization", CREDENTIALS).expect("a field");
    let (runtime, client) = fixture();
    let outcome = runtime.block_on(async {
        let sending = client.send(request.follow_redirects(LIMIT));
        tokio::time::timeout(Duration::from_secs(5), sending).await.expect("an end")
    });
    let heads = COURSE.with_borrow_mut(|course| std::mem::take(&mut course.heads));
    assert!(heads.len() <= 1 + LIMIT as usize, "{heads:?}");
    let first = heads.first().and_then(|head| origin(head)).map(str::to_ascii_lowercase);
    for head in &heads {
        let is_first = origin(head).map(str::to_ascii_lowercase) == first;
        // A port that is written out and is the usual one is the same server.
        let bare = |text: &str| text.trim_end_matches(":80").to_owned();
        let is_same = is_first
            || origin(head).map(|host| bare(&host.to_ascii_lowercase()))
                == first.as_deref().map(bare);
        assert!(is_same || !head.contains(CREDENTIALS), "{heads:?}");
    }
    if let Err(error) = outcome {
        assert!(error.to_string().len() < 1 << 18);
        assert!(heads.is_empty() || error.was_sent(), "{error}");
    }
}

fuzz_target!(|data: &[u8]| {
    if let Some(bytes) = data.first_chunk::<16>() {
        let allowed = |ip: IpAddr| AddressPolicy::public().check(ip).is_ok();
        for ip in [IpAddr::from(*bytes), IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]])] {
            assert!(!allowed(ip) || is_public(ip), "{ip}");
        }
    }
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let url = lines.next().unwrap_or_default();
    if let Ok(network) = url.parse::<Network>() {
        assert_eq!(network.to_string().parse(), Ok(network));
    }
    let mut redirects: Vec<String> = lines
        .take(6)
        .map(|line| {
            let (status, target) = line.split_at_checked(4).unwrap_or(("302 ", line));
            let status = if matches!(status, "301 " | "303 " | "307 ") { status } else { "302 " };
            // Any bytes that a field can have.
            let target: String = target.chars().filter(|c| !c.is_control()).collect();
            format!("HTTP/1.1 {status}Found\r\nlocation: {target}\r\n")
        })
        .collect();
    redirects.reverse();
    send(url, redirects);
});
