//! The registry: ids, duplicates, and what a search finds.

use executus_capability::registry::Found;
use executus_capability::{Capability, CapabilityId, Registry, Safety};

fn id(text: &str) -> CapabilityId {
    CapabilityId::new(text).unwrap()
}

fn capability(name: &str, description: &str) -> Capability {
    Capability::new(id(name), Safety::Read, description)
}

fn registry(capabilities: impl IntoIterator<Item = Capability>) -> Registry {
    let builder = capabilities
        .into_iter()
        .fold(Registry::builder(), |builder, capability| builder.register(capability).unwrap());
    builder.build()
}

fn ids(found: &[Found]) -> Vec<&str> {
    found.iter().map(|found| found.capability.id.as_str()).collect()
}

#[test]
fn two_capabilities_with_one_id_are_refused() {
    let builder = Registry::builder().register(capability("a.b", "one")).unwrap();
    let error = builder.register(capability("a.b", "two")).unwrap_err();
    assert_eq!(error.id, id("a.b"));
    assert_eq!(error.to_string(), "there are two capabilities `a.b`; give each an id of its own");
}

#[test]
fn capabilities_are_found_by_id_and_listed_in_order() {
    let registry =
        registry([capability("b.x", ""), capability("a.z", ""), capability("a.b.c", "")]);
    assert_eq!(registry.get(&id("a.z")).unwrap().id, id("a.z"));
    assert!(registry.get(&id("a.y")).is_none());
    let listed: Vec<_> = registry.iter().map(|capability| capability.id.to_string()).collect();
    assert_eq!(listed, ["a.b.c", "a.z", "b.x"]);
    assert_eq!((registry.len(), registry.is_empty()), (3, false));
    assert!(Registry::default().is_empty());
    assert!(Registry::builder().build().search("a", 5).is_empty());
}

#[test]
fn ids_are_dotted_lower_case_and_bounded() {
    for text in ["a.b", "tickets.close", "a-1._b.c", &format!("a.{}", "x".repeat(126))] {
        assert_eq!(id(text).as_str(), text);
    }
    for text in
        ["", ".", "a", "a.", ".a", "a..b", "A.b", "a b.c", "a.ü", &format!("a.{}", "x".repeat(127))]
    {
        assert!(CapabilityId::new(text).is_err(), "{text}");
    }
    let error = CapabilityId::new(&"\n".repeat(1000)).unwrap_err().to_string();
    assert!(error.len() < 300 && !error.contains('\n'), "{error}");
}

#[test]
fn what_fits_better_comes_first_and_equals_by_id() {
    let mut tagged = capability("billing.refund", "pays money back");
    tagged.tags = vec!["invoice".into()];
    let registry = registry([
        capability("tickets.close", "closes one ticket"),
        capability("tickets.list", "lists tickets, such as those one may close"),
        capability("mail.send", "sends a mail about a ticket"),
        capability("b.same", "twin"),
        capability("a.same", "twin"),
        tagged,
    ]);
    assert_eq!(
        ids(&registry.search("Close TICKETS", 10)),
        ["tickets.close", "tickets.list", "mail.send"]
    );
    assert_eq!(ids(&registry.search("close ticket", 1)), ["tickets.close"]);
    assert_eq!(ids(&registry.search("invoices", 10)), ["billing.refund"]);
    assert_eq!(ids(&registry.search("twin", 10)), ["a.same", "b.same"]);
    let twins = registry.search("same", 10);
    assert_eq!((ids(&twins), twins[0].score), (vec!["a.same", "b.same"], twins[1].score));
    for (query, limit) in [("", 10), ("…", 10), ("absent", 10), ("ticket", 0)] {
        assert!(registry.search(query, limit).is_empty(), "{query}");
    }
    assert_eq!(registry.search("ticket", usize::MAX).len(), 3);
}

#[test]
fn a_query_may_be_any_text() {
    let registry = registry([capability("tickets.close", "closes one ticket")]);
    let long = "é ".repeat(1 << 20) + "ticket";
    assert!(registry.search(&long, 5).is_empty(), "only its beginning counts");
    assert_eq!(registry.search(&format!("ticket {long}"), 5).len(), 1);
    assert_eq!(registry.search("\0\u{202e}ticket\n", 5).len(), 1);
}
