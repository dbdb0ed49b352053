//! What verifying, filtering and recording cost: an invocation against its bare driver, the firewall
//! against parsing the same data, the ranked search against a look at every capability.

use std::sync::Arc;

use async_trait::async_trait;
use executus_capability::driver::StreamingDriver;
use executus_capability::firewall::{Limits, Screen, ScreenRequest};
use executus_capability::kernel::GrantRequest;
use executus_capability::kernel::Invocation;
use executus_capability::route::Router;
use executus_capability::token::TokenAuthority;
use executus_capability::{
    Capability, CapabilityId, Constraints, Driver, DriverError, DriverRequest, Firewall, Kernel,
    Mode, Principal, Registry, Safety,
};
use executus_core::Clock;
use serde_json::{Value, json};

use super::child::runtime;
use super::kernel::now;
use super::{Figure, Report, figure};

/// Measured pairs, after those that warm up.
const PAIRS: usize = 9;
const WARM: usize = 2;
/// Invocations of one measurement.
const CALLS: usize = 2000;
/// Rows of the data that is screened, 0.9 MB: within what raw shows, so that all of it is looked
/// through.
const ROWS: usize = 2_500;
/// The same, 10 MB, with a cap that shows it all. Its copy and its secrets fit into no cache.
const MANY_ROWS: usize = 27_000;
const CAPABILITIES: usize = 10_000;
const SEARCHES: usize = 50;

pub(crate) fn measure(report: &mut Report<'_>) -> Result<(), String> {
    if report.wants("capability.invoke") {
        invoke(report)?;
    }
    if report.wants("capability.firewall") {
        firewall(report)?;
    }
    if report.wants("capability.search") {
        search(report)?;
    }
    Ok(())
}

/// Answers three rows at once.
#[derive(Debug)]
struct Rows(Value);

#[async_trait]
impl Driver for Rows {
    fn id(&self) -> &str {
        "rows"
    }

    async fn execute(&self, _request: &DriverRequest) -> Result<Value, DriverError> {
        Ok(self.0.clone())
    }

    fn streaming(&self) -> Option<&dyn StreamingDriver> {
        None
    }
}

fn id(text: &str) -> Result<CapabilityId, String> {
    CapabilityId::new(text).map_err(|error| error.to_string())
}

fn invoke(report: &mut Report<'_>) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let capability = Capability::new(id("rows.read")?, Safety::Read, "Reads rows");
    let name = capability.id.clone();
    let driver = Arc::new(Rows(json!([
        {"id": 1, "state": "open", "title": "a door that does not close"},
        {"id": 2, "state": "open", "title": "a window that does not open"},
        {"id": 3, "state": "done", "title": "a lamp"},
    ])));
    let clock = Clock::system();
    let authority = TokenAuthority::random(clock).map_err(|error| text(&error))?;
    let registry = Registry::builder().register(capability).map_err(|error| text(&error))?.build();
    let kernel = Kernel::builder(registry, Arc::new(authority))
        .clock(clock)
        .driver(driver.clone())
        .router(Router::new().otherwise("rows"))
        .build()
        .map_err(|error| text(&error))?;
    let principal = Arc::new(Principal::user("bench"));
    let runtime = runtime();
    let (mut ratios, mut micros) = (Vec::new(), Vec::new());
    for pair in 0..WARM + PAIRS {
        let grant = GrantRequest::new(Arc::clone(&principal), name.clone());
        let token = Arc::new(runtime.block_on(kernel.grant(grant)).map_err(|error| text(&error))?);
        let began = now();
        for _ in 0..CALLS {
            let invocation = Invocation::new(Arc::clone(&token), Arc::clone(&principal));
            runtime.block_on(kernel.invoke(invocation)).map_err(|error| text(&error))?;
        }
        let whole = began.elapsed();
        let request = DriverRequest {
            capability: kernel.registry().get(&name).cloned().ok_or("no capability")?,
            operation: "rows.read".into(),
            args: Arc::default(),
            constraints: Arc::default(),
            principal: Arc::clone(&principal),
            deadline: clock.now(),
            idempotency_key: "bench".into(),
            context: None,
        };
        let driver: Arc<dyn Driver> = driver.clone();
        let began = now();
        for _ in 0..CALLS {
            let answer =
                runtime.block_on(driver.execute(&request)).map_err(|error| text(&error))?;
            std::hint::black_box(answer);
        }
        let bare = began.elapsed();
        if pair >= WARM {
            ratios.push(whole.as_secs_f64() / bare.as_secs_f64());
            micros.push(whole.as_secs_f64() * 1e6 / CALLS as f64);
        }
    }
    report.add(&Figure::at_most("capability.invoke_micros", figure::median(micros), 50.0));
    let ratio = figure::median(ratios);
    report.add(&Figure::at_most("capability.invoke_over_bare_driver", ratio, 50.0));
    Ok(())
}

/// Rows as systems of record give them, some of them with what must not be shown.
fn rows(count: usize) -> String {
    let row = |n: usize| {
        json!({
            "id": n, "state": if n.is_multiple_of(3) { "open" } else { "closed" },
            "title": format!("Ticket {n}: the export of the quarterly report stops half way"),
            "description": "It begins, writes some rows, and then nothing more comes; the log says \
                            that the connection was closed. See https://example.org/wiki/export.",
            "email": format!("person{n}@example.org"),
            "tags": ["export", "report"], "votes": n % 17, "assigned": null,
        })
    };
    Value::Array((0..count).map(row).collect()).to_string()
}

/// Rates of the firewall and of the parser, in megabytes per second, and the ratio of the two.
struct Rates {
    screening: f64,
    parsing: f64,
    ratio: f64,
}

fn firewall(report: &mut Report<'_>) -> Result<(), String> {
    let Rates { screening, parsing, ratio } = rates(&Firewall::default(), ROWS)?;
    report.add(&Figure::at_least("capability.firewall_over_serde_json", ratio, 0.3));
    report.add(&Figure::told("capability.firewall_mb_per_s", screening));
    report.add(&Figure::told("capability.firewall_serde_json_mb_per_s", parsing));
    let whole = Firewall::new(Limits { raw_bytes: 64 << 20, ..Limits::default() });
    let Rates { screening, ratio, .. } = rates(&whole, MANY_ROWS)?;
    report.add(&Figure::at_least("capability.firewall_10mb_over_serde_json", ratio, 0.3));
    report.add(&Figure::told("capability.firewall_10mb_mb_per_s", screening));
    Ok(())
}

fn rates(firewall: &Firewall, count: usize) -> Result<Rates, String> {
    let text = rows(count);
    let megabytes = text.len() as f64 / 1e6;
    let value: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let capability = Capability::new(id("tickets.list")?, Safety::Read, "Lists tickets");
    let principal = Principal::user("bench").role("admin");
    let constraints = Constraints::default();
    let (mut ratios, mut parsings, mut screenings) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..WARM + PAIRS {
        let began = now();
        let parsed: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        std::hint::black_box(parsed);
        let parsing = began.elapsed();
        let request = ScreenRequest {
            mode: Mode::Raw,
            constraints: &constraints,
            capability: &capability,
            principal: &principal,
            handle: None,
            action_id: "bench",
        };
        let began = now();
        let frame = firewall.screen(&value, &request).map_err(|error| error.to_string())?;
        std::hint::black_box(frame);
        let screening = began.elapsed();
        if pair >= WARM {
            // The same bytes, so their rates are as their times the other way round.
            ratios.push(parsing.as_secs_f64() / screening.as_secs_f64());
            parsings.push(megabytes / parsing.as_secs_f64());
            screenings.push(megabytes / screening.as_secs_f64());
        }
    }
    Ok(Rates {
        screening: figure::median(screenings),
        parsing: figure::median(parsings),
        ratio: figure::median(ratios),
    })
}

fn search(report: &mut Report<'_>) -> Result<(), String> {
    const VERBS: [&str; 10] =
        ["read", "list", "close", "open", "move", "count", "merge", "send", "find", "check"];
    const THINGS: [&str; 10] = [
        "ticket", "invoice", "customer", "order", "shipment", "contract", "account", "report",
        "machine", "image",
    ];
    let mut builder = Registry::builder();
    for n in 0..CAPABILITIES {
        let (verb, thing) = (VERBS[n % 10], THINGS[n / 10 % 10]);
        let name = id(&format!("area{}.{thing}_{verb}_{n}", n / 100))?;
        let words = format!("Will {verb} one {thing} of the area number {}", n / 100);
        let capability = Capability::new(name, Safety::Read, words);
        builder = builder.register(capability).map_err(|error| error.to_string())?;
    }
    let registry = builder.build();
    let (mut ratios, mut micros) = (Vec::new(), Vec::new());
    for pair in 0..WARM + PAIRS {
        let began = now();
        for n in 0..SEARCHES {
            std::hint::black_box(registry.search(&format!("merge the invoice {n}"), 10));
        }
        let indexed = began.elapsed();
        let began = now();
        for n in 0..SEARCHES {
            let words = ["merge", "invoice", &n.to_string()].map(str::to_owned);
            let hits = registry.iter().filter(|capability| {
                words.iter().any(|word| {
                    capability.id.as_str().contains(word.as_str())
                        || capability.description.to_lowercase().contains(word.as_str())
                })
            });
            std::hint::black_box(hits.count());
        }
        let scanned = began.elapsed();
        if pair >= WARM {
            ratios.push(indexed.as_secs_f64() / scanned.as_secs_f64());
            micros.push(indexed.as_secs_f64() * 1e6 / SEARCHES as f64);
        }
    }
    report.add(&Figure::at_most("capability.search_over_linear_scan", figure::median(ratios), 0.3));
    report.add(&Figure::at_most("capability.search_micros", figure::median(micros), 2000.0));
    Ok(())
}
