//! Addresses: their normal form, which may be visited, and how many.

use executus_guard::{GuardConfig, Page, UrlPolicy, UrlRefused};
use serde_json::json;

use crate::stage::{Stage, click, code, goto};

fn page(address: &str) -> Page {
    Page::parse(address).unwrap()
}

/// SG-07: the case of the host, a trailing slash and what stands behind `#` make no other page.
#[test]
fn addresses_have_a_normal_form() {
    let same = [
        "https://Example.COM/Path/",
        "https://example.com/Path",
        "https://example.com/Path#top",
        "HTTPS://example.com:443/Path//",
        "https://user:secret@example.com/Path",
        "https://example.com./Path",
        " https://example.com/x/../Path ",
    ];
    for address in same {
        assert_eq!(page(address), page(same[0]), "{address}");
    }
    let different = [
        "https://example.com/path",
        "https://example.com/Path?a=1",
        "https://example.com/Path?a=2",
        "http://example.com/Path",
        "https://example.com:8443/Path",
        "https://www.example.com/Path",
    ];
    for (at, address) in different.iter().enumerate() {
        assert_ne!(page(address), page(same[0]), "{address}");
        assert!(different[..at].iter().all(|other| page(other) != page(address)), "{address}");
    }
    assert_eq!(page("https://example.com/"), page("https://example.com"));
    for none in
        ["example.com", "file:///etc/passwd", "javascript:alert(1)", "data:,x", "http://", ""]
    {
        assert!(Page::parse(none).is_err(), "{none}");
    }
}

/// SG-14: after 50 different pages the next is refused, and those that were visited are not; a page
/// that is refused for its host has used up a place.
#[tokio::test]
async fn pages_are_counted() {
    let urls = UrlPolicy::new().block(["bad.example"]).unwrap();
    let stage = Stage::new(GuardConfig { urls, stuck: None, ..GuardConfig::default() });
    let (made, goto) = goto(&stage);
    let args = json!({"url": "https://bad.example/"});
    let refused = stage.call(&*goto, args).await.unwrap_err();
    assert_eq!(code(&refused), "url_blocked");
    for n in 0..49 {
        let args = json!({"url": format!("https://a.example/{n}")});
        stage.call(&*goto, args).await.unwrap();
    }
    let args = json!({"url": "https://a.example/49"});
    let refused = stage.call(&*goto, args).await.unwrap_err();
    assert_eq!(code(&refused), "url_limit");
    for n in [0, 48, 7] {
        let args = json!({"url": format!("https://A.example/{n}/#again")});
        stage.call(&*goto, args).await.unwrap();
    }
    assert_eq!(made.calls().len(), 52);
}

/// SG-15: private addresses first, then the allow-list alone, then the block-list.
#[test]
fn the_lists_are_asked_in_order() {
    let check = |policy: &UrlPolicy, host: &str| policy.check(&page(&format!("https://{host}/x")));
    let both = UrlPolicy::new().allow(["*.gov", "example.com", "localhost", "127.0.0.1"]).unwrap();
    let both = both.block(["example.com", "irs.gov"]).unwrap();
    for allowed in ["gov", "irs.gov", "www.irs.gov", "example.com", "EXAMPLE.com"] {
        assert_eq!(check(&both, allowed), Ok(()), "{allowed}");
    }
    for other in ["notgov.com", "xgov", "www.example.com", "example.com.evil.org"] {
        let expected = match other {
            // A word alone is a name of the own network.
            "xgov" => UrlRefused::Private { host: other.to_owned() },
            _ => UrlRefused::NotAllowed { host: other.to_owned() },
        };
        assert_eq!(check(&both, other), Err(expected), "{other}");
    }
    for private in ["localhost", "127.0.0.1", "a.localhost", "10.0.0.1", "[::1]"] {
        assert!(matches!(check(&both, private), Err(UrlRefused::Private { .. })), "{private}");
        assert_eq!(check(&UrlPolicy::new().private(), private), Ok(()), "{private}");
    }
    let block = UrlPolicy::new().block(["*.gov", "BÜCHER.example"]).unwrap();
    for blocked in ["gov", "irs.gov", "bücher.example", "xn--bcher-kva.example"] {
        assert!(matches!(check(&block, blocked), Err(UrlRefused::Blocked { .. })), "{blocked}");
    }
    assert_eq!(check(&block, "example.com"), Ok(()));
    let none = UrlPolicy::new().allow([] as [&str; 0]).unwrap();
    assert!(matches!(check(&none, "example.com"), Err(UrlRefused::NotAllowed { .. })));
    let all = UrlPolicy::new().allow(["*"]).unwrap();
    assert_eq!(check(&all, "example.com"), Ok(()));
    for bad in [
        "",
        "*.",
        "a b",
        "https://example.com",
        "example.com/x",
        "a.*.com",
        "user@a.com",
        "a.com:8",
    ] {
        assert!(UrlPolicy::new().block([bad]).is_err(), "{bad}");
    }
}

/// SG-15: a call to a refused address is not made, and one that led there is not shown.
#[tokio::test]
async fn a_refused_address_is_not_visited() {
    let stage = Stage::new(GuardConfig::default());
    let (made, goto) = goto(&stage);
    for (address, reason) in [
        ("http://169.254.169.254/latest/meta-data", "url_private"),
        ("http://0x7f.1/", "url_private"),
        ("file:///etc/passwd", "url_invalid"),
    ] {
        let refused = stage.call(&*goto, json!({"url": address})).await.unwrap_err();
        assert_eq!(code(&refused), reason, "{address}");
    }
    assert_eq!(made.calls().len(), 0);
    let (_, click) = click(&stage);
    let led = json!({"text": "Next", "to": "http://10.0.0.1/admin"});
    let refused = stage.call(&*click, led).await.unwrap_err();
    assert_eq!(code(&refused), "url_private");
    let led = json!({"text": "Next", "to": "about:blank"});
    assert_eq!(stage.call(&*click, led).await.unwrap(), "ok");
}
