//! Handles: who reads what of a result, for how long.

use std::time::Duration;

use executus_capability::handle::{
    Expansion, HandleError, HandleRef, HandleStore, MemoryHandles, NewHandle, Page, Query,
};
use executus_capability::{CapabilityId, Constraints, Principal};
use executus_core::Timestamp;
use executus_core::text::REDACTED;
use serde_json::{Value, json};

fn at(seconds: u64) -> Timestamp {
    Timestamp::default().after(Duration::from_secs(seconds))
}

fn tickets(count: usize) -> Value {
    let region = |n| if n % 2 == 0 { "eu" } else { "us" };
    (0..count)
        .map(|n| json!({"id": n, "region": region(n), "note": format!("n{n} token=abcdefgh12"), "password": "x"}))
        .collect()
}

async fn store_at(
    handles: &MemoryHandles,
    data: Value,
    constraints: &Constraints,
    now: Timestamp,
) -> Result<HandleRef, HandleError> {
    let new = NewHandle {
        data: data.into(),
        principal_id: "ada".into(),
        capability_id: CapabilityId::new("tickets.list").unwrap(),
        constraints: constraints.clone(),
        now,
    };
    handles.store(new).await
}

async fn store(handles: &MemoryHandles, data: Value, constraints: &Constraints) -> HandleRef {
    store_at(handles, data, constraints, at(0)).await.unwrap()
}

async fn read_as(
    handles: &MemoryHandles,
    id: &str,
    principal: Option<&Principal>,
    query: Value,
    now: Timestamp,
) -> Result<Page, HandleError> {
    let query = Query::read(&query)?;
    handles.expand(&Expansion { id, principal, query: &query, now }).await
}

async fn read(handles: &MemoryHandles, id: &str, query: Value) -> Result<Page, HandleError> {
    read_as(handles, id, Some(&Principal::user("ada")), query, at(1)).await
}

fn ids(page: &Page) -> Vec<u64> {
    page.rows.iter().map(|row| row["id"].as_u64().unwrap()).collect()
}

/// FW-08
#[tokio::test]
async fn another_or_no_principal_is_refused_before_anything_is_read() {
    let handles = MemoryHandles::default();
    let handle = store(&handles, tickets(3), &Constraints::default()).await;
    let eve = Principal::user("eve").role("admin");
    for (principal, now) in
        [(Some(&eve), at(1)), (None, at(1)), (Some(&eve), at(9999)), (None, at(9999))]
    {
        let refused = read_as(&handles, &handle.id, principal, json!({}), now).await.unwrap_err();
        assert_eq!((refused.code(), &refused), ("handle_principal", &HandleError::Principal));
    }
    // Nobody is told whether there is such a handle.
    assert_eq!(read_as(&handles, "0", None, json!({}), at(1)).await, Err(HandleError::Principal));
    assert_eq!(read(&handles, &handle.id, json!({})).await.unwrap().rows.len(), 3);
}

#[tokio::test]
async fn ids_are_opaque() {
    let handles = MemoryHandles::default();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let handle = store(&handles, json!([]), &Constraints::default()).await;
        assert!(handle.id.len() == 32 && handle.id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert!(seen.insert(handle.id));
    }
}

/// FW-10
#[tokio::test]
async fn only_allowed_fields_are_shown() {
    let handles = MemoryHandles::default();
    let allowed = Constraints::default().with("allowed_fields", vec!["id", "note", "password"]);
    let id = &store(&handles, tickets(1), &allowed).await.id;
    let refused = read(&handles, id, json!({"fields": ["id", "region"]})).await.unwrap_err();
    assert_eq!(refused.code(), "field_not_allowed");
    assert_eq!(refused, HandleError::Field { field: "region".into() });
    let row = json!({"id": 0, "note": "n0 token=[redacted]", "password": REDACTED});
    for query in [json!({}), json!({"fields": []}), json!(null), json!({"fields": null})] {
        let page = read(&handles, id, query).await.unwrap();
        assert_eq!(Value::from(page.rows[0].clone()), row);
    }
    let page = read(&handles, id, json!({"fields": ["id"]})).await.unwrap();
    assert_eq!(Value::from(page.rows[0].clone()), json!({"id": 0}));
    // What may not be seen may not be found out by a filter.
    let refused = read(&handles, id, json!({"filter": {"region": "eu"}})).await.unwrap_err();
    assert_eq!(refused.code(), "field_not_allowed");
}

/// FW-11
#[tokio::test]
async fn the_scope_always_holds_and_a_filter_does_not_contradict_it() {
    let handles = MemoryHandles::default();
    let scope = Constraints::default().with("scope", json!({"region": "eu"}));
    let handle = store(&handles, tickets(10), &scope).await;
    assert_eq!(handle.row_count, 5);
    let id = &handle.id;
    for query in [json!({}), json!({"filter": {"region": "eu"}}), json!({"fields": ["id"]})] {
        let page = read(&handles, id, query).await.unwrap();
        assert_eq!((ids(&page), page.total), (vec![0, 2, 4, 6, 8], 5));
    }
    let page = read(&handles, id, json!({"filter": {"id": 4, "region": "eu"}})).await.unwrap();
    assert_eq!(ids(&page), [4]);
    assert_eq!(read(&handles, id, json!({"filter": {"id": 3}})).await.unwrap().total, 0);
    for filter in [json!({"region": "us"}), json!({"region": null}), json!({"id": 1, "region": 5})]
    {
        let refused = read(&handles, id, json!({"filter": filter})).await.unwrap_err();
        assert_eq!(
            (refused.code(), &refused),
            ("scope_conflict", &HandleError::Scope { field: "region".into() })
        );
    }
}

/// FW-12
#[tokio::test]
async fn a_query_that_means_nothing_violates_a_constraint() {
    let handles = MemoryHandles::default();
    let id = &store(&handles, tickets(3), &Constraints::default()).await.id;
    for (query, field) in [
        (json!({"offset": -1}), "offset"),
        (json!({"offset": "1"}), "offset"),
        (json!({"offset": 1.5}), "offset"),
        (json!({"limit": -1}), "limit"),
        (json!({"limit": [1]}), "limit"),
        (json!({"limit": 1e300}), "limit"),
        (json!({"fields": "id"}), "fields"),
        (json!({"fields": [1]}), "fields"),
        (json!({"fields": {"id": 1}}), "fields"),
        (json!({"filter": ["id"]}), "filter"),
        (json!({"filter": {"id": {"gt": 1}}}), "filter"),
        (json!({"filter": {"id": [1]}}), "filter"),
        (json!({"where": 1}), "query"),
        (json!([]), "query"),
        (json!("id"), "query"),
    ] {
        let refused = read(&handles, id, query).await.unwrap_err();
        assert_eq!(refused.code(), "invalid_constraint");
        let HandleError::Constraint(error) = refused else { panic!("{refused}") };
        assert_eq!(error.field, field);
        assert!(error.to_string().len() < 250);
    }
    // Built by hand, it is refused where it is used.
    let mut query = Query::default();
    query.filter.insert("id".into(), json!([]));
    let ada = Principal::user("ada");
    let ask = Expansion { id, principal: Some(&ada), query: &query, now: at(1) };
    assert_eq!(handles.expand(&ask).await.unwrap_err().code(), "invalid_constraint");
    let page = read(&handles, id, json!({"limit": 0})).await.unwrap();
    assert_eq!((page.rows.len(), page.total, page.next_offset), (0, 3, None));
    // A constraint that means nothing lets nothing be kept.
    let bad = Constraints::default().with("scope", 1);
    let refused = store_at(&handles, tickets(1), &bad, at(0)).await.unwrap_err();
    assert_eq!(refused.code(), "invalid_constraint");
}

/// FW-13
#[tokio::test]
async fn an_expired_handle_says_so_once() {
    let handles = MemoryHandles::default();
    let ada = Principal::user("ada");
    let handle = store(&handles, tickets(1), &Constraints::default()).await;
    assert_eq!(handle.expires_at, at(600));
    let read = |now| read_as(&handles, &handle.id, Some(&ada), Value::Null, now);
    assert!(read(at(599)).await.is_ok());
    let expired = read(at(600)).await.unwrap_err();
    assert_eq!(
        (expired.code(), &expired),
        ("handle_expired", &HandleError::Expired { at: at(600) })
    );
    let gone = read(at(600)).await.unwrap_err();
    assert_eq!((gone.code(), &gone), ("handle_not_found", &HandleError::NotFound));

    // Its room is given back before that, and it is told all the same.
    let handle = store(&handles, tickets(100), &Constraints::default()).await;
    let small = store_at(&handles, json!([]), &Constraints::default(), at(600)).await.unwrap();
    assert_eq!(handles.size(), (2, 2));
    let read = |id: String| {
        let (handles, ada) = (&handles, &ada);
        async move {
            read_as(handles, &id, Some(ada), Value::Null, at(601)).await.map(|page| page.total)
        }
    };
    assert_eq!(read(handle.id.clone()).await, Err(HandleError::Expired { at: at(600) }));
    assert_eq!(read(handle.id).await, Err(HandleError::NotFound));
    assert_eq!(read(small.id).await, Ok(0));

    let handles = MemoryHandles::default().life_time(Duration::ZERO);
    let handle = store(&handles, tickets(1), &Constraints::default()).await;
    let expired = read_as(&handles, &handle.id, Some(&ada), Value::Null, at(0)).await;
    assert_eq!(expired, Err(HandleError::Expired { at: at(0) }));
}

/// FW-14
#[tokio::test]
async fn the_oldest_go_first_and_the_new_one_never() {
    let open = Constraints::default();
    let handles = MemoryHandles::default().caps(3, 1000);
    let mut kept = Vec::new();
    for _ in 0..5 {
        kept.push(store(&handles, json!("x".repeat(98)), &open).await);
        let newest = kept.last().unwrap();
        assert!(read(&handles, &newest.id, json!({})).await.is_ok());
    }
    let found = async |handle: &HandleRef| read(&handles, &handle.id, json!({})).await.is_ok();
    for (number, handle) in kept.iter().enumerate() {
        assert_eq!(found(handle).await, number >= 2, "{number}");
    }
    assert_eq!(handles.size(), (3, 300));
    // 750 bytes leave room for two of the old ones.
    let large = store(&handles, json!("x".repeat(748)), &open).await;
    assert_eq!((large.bytes, handles.size()), (750, (3, 950)));
    assert!(!found(&kept[2]).await && found(&kept[3]).await && found(&kept[4]).await);
    let whole = store(&handles, json!("x".repeat(998)), &open).await;
    assert!(!found(&large).await && found(&whole).await);
    // What has no room is refused, and nothing has to go for it.
    let refused = store_at(&handles, json!("x".repeat(999)), &open, at(0)).await.unwrap_err();
    assert_eq!(refused, HandleError::TooLarge { bytes: 1001, limit: 1000 });
    assert!(refused.code() == "handle_too_large" && found(&whole).await);
}

/// FW-15: the rows are scrubbed again, with what the whole result tells of secrets. That the reading
/// is recorded is the kernel's part.
#[tokio::test]
async fn rows_of_a_page_are_scrubbed() {
    let handles = MemoryHandles::default();
    let data = json!({"rows": [{"id": 1, "note": "is Zq7Kp2Wx9Lm4"}, {"id": 2, "password": "Zq7Kp2Wx9Lm4"}]});
    let id = &store(&handles, data, &Constraints::default()).await.id;
    let page = read(&handles, id, json!({"limit": 1})).await.unwrap();
    assert_eq!(Value::from(page.rows[0].clone()), json!({"id": 1, "note": "is [redacted]"}));
    assert_eq!(page.warnings, ["sensitive values were replaced"]);
    // Nor does a filter tell whether a guess was right.
    for guess in ["Zq7Kp2Wx9Lm4", "else"] {
        let filter = json!({"filter": {"password": guess}});
        assert_eq!(read(&handles, id, filter).await.unwrap().total, 0);
    }
    let filter = json!({"filter": {"note": "is [redacted]"}, "fields": ["id"]});
    assert_eq!(ids(&read(&handles, id, filter).await.unwrap()), [1]);
}

#[tokio::test]
async fn pages_follow_each_other_to_the_end() {
    let handles = MemoryHandles::default();
    let few = Constraints::default().with("max_rows", 7);
    let id = &store(&handles, tickets(120), &Constraints::default()).await.id;
    for (query, service, first) in [
        (json!({}), false, 50),
        (json!({}), true, 120),
        (json!({"limit": 30}), false, 30),
        (json!({"limit": u64::MAX}), false, 50),
    ] {
        let ada = if service { Principal::service("ada") } else { Principal::user("ada") };
        let mut query = Query::read(&query).unwrap();
        let mut seen = Vec::new();
        loop {
            let ask = Expansion { id, principal: Some(&ada), query: &query, now: at(1) };
            let page = handles.expand(&ask).await.unwrap();
            assert_eq!((page.total, page.offset), (120, query.offset));
            assert!(seen.len() + page.rows.len() == 120 || page.rows.len() == first);
            seen.extend(ids(&page));
            let Some(next) = page.next_offset else { break };
            query.offset = next;
        }
        assert_eq!(seen, (0..120).collect::<Vec<u64>>());
    }
    for offset in [120, u64::MAX] {
        let page = read(&handles, id, json!({"offset": offset})).await.unwrap();
        assert_eq!((page.rows.len(), page.next_offset), (0, None));
    }
    let id = &store(&handles, tickets(20), &few).await.id;
    let page = read(&handles, id, json!({"limit": 10})).await.unwrap();
    assert_eq!((page.rows.len(), page.next_offset), (7, Some(7)));
}

#[tokio::test]
async fn a_page_is_bounded() {
    let handles = MemoryHandles::default();
    let rows: Value = (0..50).map(|n| json!({"id": n, "text": "x".repeat(100_000)})).collect();
    let id = &store(&handles, rows, &Constraints::default()).await.id;
    let page = read(&handles, id, json!({})).await.unwrap();
    assert_eq!((page.rows.len(), page.next_offset), (10, Some(10)));
    let id =
        &store(&handles, json!([{"a": "x".repeat(2 << 20)}, {"a": 1}]), &Constraints::default())
            .await
            .id;
    let page = read(&handles, id, json!({})).await.unwrap();
    assert_eq!((page.rows.len(), page.rows[0]["a"].as_str().unwrap().chars().count()), (2, 1001));
    assert_eq!(page.warnings, ["values of a row that does not fit into a page were cut"]);
}
