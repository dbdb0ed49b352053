//! How fast the firewall is beside `serde_json`, which has to parse what is screened anyway:
//! `cargo run --release --example firewall_throughput`. The ratio is the median of five pairs of
//! runs, one after the other, of megabytes per second.
#![expect(clippy::print_stdout, clippy::expect_used, reason = "a measurement")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

use std::time::Instant;

use executus_capability::firewall::{Limits, Screen, ScreenRequest};
use executus_capability::{
    Capability, CapabilityId, Constraints, Firewall, Mode, Principal, Safety,
};
use serde_json::{Value, json};

const PAIRS: usize = 5;

/// Ten megabytes of what a service answers: rows with names, prose, addresses, numbers, and what is
/// sensitive.
fn document() -> String {
    let words =
        ["the", "printer", "on", "floor", "does", "not", "answer", "since", "Monday,", "again"];
    let row = |n: usize| {
        let prose: Vec<_> = (0..24).map(|at| words[(n * 7 + at * at) % words.len()]).collect();
        let logged = n.is_multiple_of(10);
        let log = format!("retry with api_key=sk-{n:012} for c{n}@example.com");
        json!({
            "id": n,
            "uuid": format!("{:08x}-58cc-4372-a567-{:012x}", n * 40_503 % (1 << 32), n * 77_777),
            "customer": {
                "name": format!("Customer {n}"), "email": format!("c{n}@example.com"),
                "phone": format!("+49 30 {n:07}"),
            },
            "subject": format!("Ticket {n}: {}", &prose[..5].join(" ")),
            "body": prose.join(" "),
            "url": format!("https://tickets.example.com/queues/{}/tickets/{n}?view=full", n % 9),
            "state": (["open", "waiting", "closed"][n % 3]),
            "tags": ["printer", "hardware", "floor-3"],
            "priority": n % 5, "score": n as f64 / 7.0, "closed": n % 3 == 2,
            "created_at": format!("2024-05-{:02}T10:{:02}:00Z", n % 28 + 1, n % 60),
            "log": if logged { log } else { String::new() },
        })
    };
    let mut rows = Vec::new();
    let mut bytes = 0;
    for n in 0.. {
        let row = row(n);
        bytes += row.to_string().len() + 1;
        rows.push(row);
        if bytes > 10_000_000 {
            break;
        }
    }
    Value::from(rows).to_string()
}

fn main() {
    let text = document();
    let megabytes = text.len() as f64 / 1e6;
    let id = CapabilityId::new("tickets.list").expect("an id");
    let capability = Capability::new(id, Safety::Read, "lists tickets");
    let principal = Principal::service("report").role("admin");
    let constraints = Constraints::default();
    let usual = Firewall::default();
    // With a cap that is far too high the whole is shown, and so the whole is scrubbed.
    let whole = Firewall::new(Limits { raw_bytes: 64 << 20, ..Limits::default() });
    println!("{megabytes:.1} MB of JSON, median of {PAIRS} pairs");
    for (name, firewall, mode) in [
        ("summary", &usual, Mode::Summary),
        ("table", &usual, Mode::Table),
        ("raw", &usual, Mode::Raw),
        ("raw without a cap", &whole, Mode::Raw),
    ] {
        let request = ScreenRequest {
            mode,
            constraints: &constraints,
            capability: &capability,
            principal: &principal,
            handle: None,
            action_id: "a",
        };
        let mut pairs = Vec::new();
        for _ in 0..PAIRS {
            let begun = Instant::now();
            let value: Value = serde_json::from_str(&text).expect("JSON");
            let parsed = begun.elapsed().as_secs_f64();
            let begun = Instant::now();
            let shown = firewall.screen(&value, &request).expect("a frame");
            let screened = begun.elapsed().as_secs_f64();
            assert!(shown.is_final);
            pairs.push((parsed, screened));
        }
        let median = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            values[PAIRS / 2]
        };
        let ratio = median(pairs.iter().map(|(parsed, screened)| parsed / screened).collect());
        let parsing = megabytes / median(pairs.iter().map(|pair| pair.0).collect());
        let screening = megabytes / median(pairs.iter().map(|pair| pair.1).collect());
        println!("{name}: {screening:.0} MB/s, parsing {parsing:.0} MB/s, ratio {ratio:.2}");
    }
}
