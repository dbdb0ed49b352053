//! The default policy: roles, justifications, constraints, rates, reason codes.

use std::sync::Arc;
use std::time::Duration;

use executus_capability::constraint::Constraints;
use executus_capability::policy::{
    AllOf, Ask, DefaultPolicy, Denial, Policy, RateLimiter, RateLimits, RulePolicy,
};
use executus_capability::{Capability, CapabilityId, Principal, Safety, Sensitivity};
use executus_core::Timestamp;
use serde_json::{Value, json};

const WHY: &str = "the customer asked";

/// Every condition that is not met.
fn explained(policy: &dyn Policy, ask: &Ask<'_>) -> Vec<Denial> {
    policy.explain(ask).err().unwrap_or_default()
}

fn capability(safety: Safety, sensitivity: Sensitivity) -> Capability {
    let id = CapabilityId::new("tickets.close").unwrap();
    Capability { sensitivity, ..Capability::new(id, safety, "closes a ticket") }
}

fn constraints(fields: Value) -> Constraints {
    serde_json::from_value(fields).unwrap()
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_micros(millis * 1000)
}

fn user(roles: &[&str]) -> Principal {
    roles.iter().fold(Principal::user("ada"), |principal, role| principal.role(*role))
}

/// What a fresh default policy decides and explains, which must agree.
fn judge(
    principal: &Principal,
    capability: &Capability,
    justification: &str,
    asked: Value,
) -> Result<Value, Vec<String>> {
    let policy = DefaultPolicy::default();
    let constraints = constraints(asked);
    let ask = Ask { principal, capability, justification, constraints: &constraints, now: at(0) };
    let explained = explained(&policy, &ask);
    match policy.decide(&ask) {
        Ok(granted) => {
            assert_eq!(explained, [], "allowed, so nothing is to be explained");
            Ok(serde_json::to_value(granted).unwrap())
        }
        Err(denial) => {
            assert_eq!(explained.first(), Some(&denial), "the first condition is the same");
            Err(explained.into_iter().map(|denial| denial.code.into_owned()).collect())
        }
    }
}

fn codes(codes: &[&str]) -> Result<Value, Vec<String>> {
    Err(codes.iter().map(|code| (*code).to_owned()).collect())
}

fn rows(most: u64) -> Result<Value, Vec<String>> {
    Ok(json!({"max_rows": most}))
}

/// TP-05
#[test]
fn writing_needs_a_role_and_fifteen_characters() {
    let write = capability(Safety::Write, Sensitivity::None);
    let destroy = capability(Safety::Destructive, Sensitivity::None);
    let fifteen = "123456789012345";
    assert_eq!(fifteen.len(), DefaultPolicy::JUSTIFICATION);
    for role in ["writer", "admin"] {
        assert_eq!(judge(&user(&[role]), &write, fifteen, json!({})), rows(50));
        let short = codes(&["insufficient_justification"]);
        assert_eq!(judge(&user(&[role]), &write, &fifteen[..14], json!({})), short);
    }
    assert_eq!(judge(&user(&["reader"]), &write, fifteen, json!({})), codes(&["missing_role"]));
    let both = codes(&["missing_role", "insufficient_justification"]);
    assert_eq!(judge(&user(&[]), &write, "", json!({})), both);

    assert_eq!(judge(&user(&["admin"]), &destroy, fifteen, json!({})), rows(50));
    assert_eq!(judge(&user(&["writer"]), &destroy, fifteen, json!({})), codes(&["missing_role"]));
    let short = codes(&["insufficient_justification"]);
    assert_eq!(judge(&user(&["admin"]), &destroy, &fifteen[1..], json!({})), short);
}

/// TP-05
#[test]
fn a_justification_is_counted_in_characters_without_space_around() {
    let write = capability(Safety::Write, Sensitivity::None);
    let writer = user(&["writer"]);
    let short = codes(&["insufficient_justification"]);
    assert_eq!(judge(&writer, &write, "  12345678901234 \n\t  ", json!({})), short);
    assert_eq!(judge(&writer, &write, "\u{a0}123456 89012345 ", json!({})), rows(50));
    // 14 characters of two bytes each, then 15.
    assert_eq!(judge(&writer, &write, &"é".repeat(14), json!({})), short);
    assert_eq!(judge(&writer, &write, &"é".repeat(15), json!({})), rows(50));
}

/// TP-06
#[test]
fn what_is_told_of_persons_needs_a_tenant_and_shows_allowed_fields() {
    for sensitivity in [Sensitivity::Pii, Sensitivity::Pci] {
        let mut personal = capability(Safety::Read, sensitivity);
        personal.allowed_fields = vec!["id".into(), "status".into()];
        let tenant = codes(&["missing_tenant_attribute"]);
        assert_eq!(judge(&user(&["admin"]), &personal, WHY, json!({})), tenant);
        let blank = user(&[]).attribute("tenant", "  ");
        assert_eq!(judge(&blank, &personal, WHY, json!({})), tenant);

        let known = user(&["admin"]).attribute("tenant", "acme");
        let imposed = json!({"max_rows": 50, "allowed_fields": ["id", "status"]});
        assert_eq!(judge(&known, &personal, "", json!({})), Ok(imposed));
        let tighter = json!({"max_rows": 50, "allowed_fields": ["status"]});
        let asked = json!({"allowed_fields": ["ssn", "status"]});
        assert_eq!(judge(&known, &personal, "", asked.clone()), Ok(tighter));
        let none = json!({"max_rows": 50, "allowed_fields": []});
        assert_eq!(judge(&known, &personal, "", json!({"allowed_fields": ["ssn"]})), Ok(none));

        let reader = known.role("pii-reader");
        assert_eq!(judge(&reader, &personal, "", json!({})), rows(50));
        let asked_for = json!({"max_rows": 50, "allowed_fields": ["ssn", "status"]});
        assert_eq!(judge(&reader, &personal, "", asked), Ok(asked_for));
    }
}

/// TP-06
#[test]
fn secrets_need_their_reader_and_a_justification() {
    let secret = capability(Safety::Read, Sensitivity::Secrets);
    for role in ["secrets-reader", "admin"] {
        assert_eq!(judge(&user(&[role]), &secret, WHY, json!({})), rows(50));
        let short = codes(&["insufficient_justification"]);
        assert_eq!(judge(&user(&[role]), &secret, "because", json!({})), short);
    }
    assert_eq!(judge(&user(&["pii-reader"]), &secret, WHY, json!({})), codes(&["missing_role"]));
    // Of a write both roles are missing, the justification once.
    let write = capability(Safety::Write, Sensitivity::Secrets);
    let all = codes(&["missing_role", "missing_role", "insufficient_justification"]);
    assert_eq!(judge(&user(&[]), &write, "", json!({})), all);
}

/// TP-07
#[test]
fn memory_is_written_by_its_writer() {
    for safety in [Safety::Write, Safety::Destructive] {
        let memory = capability(safety, Sensitivity::Memory);
        assert_eq!(judge(&user(&["admin"]), &memory, WHY, json!({})), rows(50));
    }
    let memory = capability(Safety::Write, Sensitivity::Memory);
    let both = user(&["writer", "memory-writer"]);
    assert_eq!(judge(&both, &memory, WHY, json!({})), rows(50));
    assert_eq!(judge(&user(&["writer"]), &memory, WHY, json!({})), codes(&["missing_role"]));
    assert_eq!(judge(&user(&["memory-writer"]), &memory, WHY, json!({})), codes(&["missing_role"]));
}

/// TP-07
#[test]
fn a_sensitive_scope_of_memory_needs_its_own_reader() {
    let plain = capability(Safety::Read, Sensitivity::Memory);
    let mut tagged = plain.clone();
    tagged.tags = vec!["sensitive-scope".into()];
    let refused = codes(&["missing_role"]);
    let scope = |scope: Value| json!({"scope": {"memory": scope}});
    for name in DefaultPolicy::SENSITIVE_SCOPES {
        for memory in [&plain, &tagged] {
            let asked = scope(json!(name));
            assert_eq!(judge(&user(&["memory-writer"]), memory, "", asked.clone()), refused);
            for role in ["memory-sensitive-reader", "admin"] {
                assert!(judge(&user(&[role]), memory, "", asked.clone()).is_ok());
            }
        }
    }
    // What is no name of a scope may be any; a capability that says so reads them unless told.
    assert_eq!(judge(&user(&[]), &plain, "", scope(json!(7))), refused);
    assert_eq!(judge(&user(&[]), &tagged, "", json!({})), refused);
    let team = json!({"max_rows": 50, "scope": {"memory": "team"}});
    assert_eq!(judge(&user(&[]), &tagged, "", scope(json!("team"))), Ok(team.clone()));
    assert_eq!(judge(&user(&[]), &plain, "", scope(json!("team"))), Ok(team));
    assert_eq!(judge(&user(&[]), &plain, "", json!({})), rows(50));

    let policy = DefaultPolicy::default().sensitive_scopes(["team"]);
    let (principal, constraints) = (user(&[]), constraints(scope(json!("team"))));
    let ask = Ask {
        principal: &principal,
        capability: &plain,
        justification: "",
        constraints: &constraints,
        now: at(0),
    };
    assert_eq!(policy.decide(&ask).unwrap_err().code, Denial::MISSING_ROLE);
}

/// TP-08
#[test]
fn rows_are_capped_and_only_tightened() {
    let read = capability(Safety::Read, Sensitivity::None);
    let service = Principal::service("indexer");
    for (asked, user_rows, service_rows) in [
        (json!({}), 50, 500),
        (json!({"max_rows": null}), 50, 500),
        (json!({"max_rows": 0}), 0, 0),
        (json!({"max_rows": 49}), 49, 49),
        (json!({"max_rows": 51}), 50, 51),
        (json!({"max_rows": 501}), 50, 500),
        (json!({"max_rows": u64::MAX}), 50, 500),
    ] {
        assert_eq!(judge(&user(&[]), &read, "", asked.clone()), rows(user_rows));
        assert_eq!(judge(&service, &read, "", asked), rows(service_rows));
    }
    for bad in [json!(-1), json!("50"), json!(1.5), json!(true), json!([50]), json!(-0.0)] {
        let refused = codes(&["invalid_constraint"]);
        assert_eq!(judge(&user(&["admin"]), &read, "", json!({"max_rows": bad})), refused);
    }
}

#[test]
fn a_constraint_that_means_nothing_is_refused_by_name() {
    let read = capability(Safety::Read, Sensitivity::None);
    let principal = user(&[]);
    for (name, bad) in [
        ("max_rows", json!(-1)),
        ("allowed_fields", json!("id")),
        ("allowed_fields", json!([1])),
        ("scope", json!(["region"])),
        ("scope", json!({"region": null})),
        ("invoke_timeout_s", json!(0)),
        ("invoke_timeout_s", json!(-1)),
        ("invoke_timeout_s", json!("5")),
        ("invoke_timeout_s", json!(true)),
        ("invoke_timeout_s", json!(1e300)),
        ("invoke_timeout_s", json!(86_401)),
        ("invoke_timeout_s", json!(1e-300)),
    ] {
        let constraints = Constraints::default().with(name, bad.clone());
        let ask = Ask {
            principal: &principal,
            capability: &read,
            justification: "",
            constraints: &constraints,
            now: at(0),
        };
        let denial = DefaultPolicy::default().decide(&ask).unwrap_err();
        assert_eq!(denial.code, "invalid_constraint", "{name} {bad}");
        assert!(denial.message.contains(&format!("`{name}` is {bad}")), "{}", denial.message);
    }
}

/// The policy's rate limits over time: what a fresh ask at a time is answered with.
fn asked_at(policy: &DefaultPolicy, principal: &Principal, safety: Safety, now: i64) -> bool {
    let capability = capability(safety, Sensitivity::None);
    let constraints = Constraints::default();
    let ask = Ask {
        principal,
        capability: &capability,
        justification: WHY,
        constraints: &constraints,
        now: at(now),
    };
    let explained = explained(policy, &ask);
    match policy.decide(&ask) {
        Ok(_) => {
            assert_eq!(explained, []);
            true
        }
        Err(denial) => {
            assert_eq!(denial.code, Denial::RATE_LIMITED);
            assert_eq!(explained, [denial]);
            false
        }
    }
}

/// TP-09
#[test]
fn grants_are_limited_within_a_sliding_window() {
    for (safety, most) in [(Safety::Read, 60), (Safety::Write, 10), (Safety::Destructive, 2)] {
        let service = Principal::service("s").role("admin");
        for (principal, most) in [(user(&["admin"]), most), (service, most * 10)] {
            let policy = DefaultPolicy::default();
            // One each millisecond.
            for now in 0..most {
                assert!(asked_at(&policy, &principal, safety, now), "{safety:?} {now}");
            }
            assert!(!asked_at(&policy, &principal, safety, most));
            assert!(!asked_at(&policy, &principal, safety, 59_999));
            // The first one is exactly 60 s old: there is room for one.
            assert!(asked_at(&policy, &principal, safety, 60_000));
            assert!(!asked_at(&policy, &principal, safety, 60_000));
            assert!(asked_at(&policy, &principal, safety, 60_001));
            // A minute of rest, and all of it is there again.
            for _ in 0..most {
                assert!(asked_at(&policy, &principal, safety, 120_001));
            }
            assert!(!asked_at(&policy, &principal, safety, 120_001));
        }
    }
}

/// TP-09
#[test]
fn principals_and_capabilities_are_counted_apart() {
    let limiter = RateLimiter::new(RateLimits::default()).unwrap();
    let destroy = capability(Safety::Destructive, Sensitivity::None);
    let other = Capability::new(CapabilityId::new("a.b").unwrap(), Safety::Destructive, "");
    let (ada, bob) = (Principal::user("ada"), Principal::user("bob"));
    for _ in 0..2 {
        for (principal, capability) in [(&ada, &destroy), (&bob, &destroy), (&ada, &other)] {
            limiter.admit(principal, capability, at(0)).unwrap();
        }
    }
    let limited = limiter.admit(&ada, &destroy, at(1_000)).unwrap_err();
    assert_eq!((limited.limit.most, limited.retry_after), (2, Duration::from_secs(59)));
    assert!(limited.to_string().ends_with("try again in 59.000 s"), "{limited}");
    limiter.check(&ada, &destroy, at(60_000)).unwrap();
}

/// TP-09
#[test]
fn what_is_denied_does_not_count() {
    let policy = DefaultPolicy::default();
    let destroy = capability(Safety::Destructive, Sensitivity::None);
    let (principal, constraints) = (user(&["admin"]), Constraints::default());
    for _ in 0..10 {
        let ask = Ask {
            principal: &principal,
            capability: &destroy,
            justification: "",
            constraints: &constraints,
            now: at(0),
        };
        policy.decide(&ask).unwrap_err();
        explained(&policy, &ask);
    }
    assert!(asked_at(&policy, &principal, Safety::Destructive, 0));
    assert!(asked_at(&policy, &principal, Safety::Destructive, 0));
    assert!(!asked_at(&policy, &principal, Safety::Destructive, 0));
}

#[test]
fn limits_that_mean_nothing_are_refused_by_name() {
    let good = RateLimits::default();
    for (field, limits) in [
        ("read", RateLimits { read: 0, ..good }),
        ("write", RateLimits { write: 0, ..good }),
        ("destructive", RateLimits { destructive: u32::MAX, ..good }),
        ("service_factor", RateLimits { service_factor: 0, read: 1, ..good }),
        ("window", RateLimits { window: Duration::ZERO, ..good }),
        ("window", RateLimits { window: Duration::MAX, ..good }),
    ] {
        let error = RateLimiter::new(limits).unwrap_err();
        assert_eq!(error.field, field, "{error}");
        assert!(DefaultPolicy::default().rate_limits(limits).is_err());
    }
}

/// TP-10: every condition that is not met is told, with a code that stays.
#[test]
fn every_failed_condition_is_explained() {
    let policy = DefaultPolicy::default();
    let capability = Capability {
        sensitivity: Sensitivity::Pii,
        ..capability(Safety::Destructive, Sensitivity::None)
    };
    let constraints = constraints(json!({"max_rows": -1}));
    let principal = user(&["writer"]);
    let ask = Ask {
        principal: &principal,
        capability: &capability,
        justification: "short",
        constraints: &constraints,
        now: at(0),
    };
    let told: Vec<_> = explained(&policy, &ask).iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "what cannot be undone needs the role `admin` (missing_role)",
            "what is told of persons or payments needs the attribute `tenant` \
             (missing_tenant_attribute)",
            "it needs a justification of 15 characters, this one has 5 \
             (insufficient_justification)",
            "the constraint `max_rows` is -1; expected a whole number of at least 0 \
             (invalid_constraint)",
        ]
    );
    assert_eq!(policy.decide(&ask).unwrap_err(), explained(&policy, &ask)[0]);
}

#[test]
fn all_of_several_policies_must_allow_and_those_before_narrow() {
    let principal = user(&["writer"]);
    let write = capability(Safety::Write, Sensitivity::None);
    let asked = constraints(json!({"max_rows": 30}));
    let ask = Ask {
        principal: &principal,
        capability: &write,
        justification: WHY,
        constraints: &asked,
        now: at(0),
    };
    let default = || Arc::new(DefaultPolicy::default()) as Arc<dyn Policy>;
    let both = AllOf::new(vec![default(), default()]);
    assert_eq!(both.decide(&ask).unwrap(), asked);
    assert_eq!(explained(&both, &ask), []);

    let nobody = Principal::user("bob");
    let ask = Ask { principal: &nobody, justification: "", ..ask };
    assert_eq!(both.decide(&ask).unwrap_err().code, Denial::MISSING_ROLE);
    assert_eq!(explained(&both, &ask).len(), 4);

    // What one imposes may be what another one denies.
    let imposes = |tenant: &str| {
        let rules = format!(
            "version = 1\n[[rule]]\nname = \"all\"\neffect = \"allow\"\n\
             constraints = {{ scope = {{ tenant = \"{tenant}\" }} }}"
        );
        Arc::new(RulePolicy::parse(&rules).unwrap()) as Arc<dyn Policy>
    };
    let same = AllOf::new(vec![imposes("acme"), imposes("acme")]);
    assert_eq!(same.decide(&ask).ok(), same.explain(&ask).ok());
    let apart = AllOf::new(vec![imposes("acme"), imposes("other")]);
    assert_eq!(apart.decide(&ask).unwrap_err().code, Denial::INVALID_CONSTRAINT);
    assert_eq!(explained(&apart, &ask), [apart.decide(&ask).unwrap_err()]);

    let none = AllOf::new(Vec::new());
    assert_eq!(none.decide(&ask).unwrap_err().code, Denial::NO_RULE);
    assert_eq!(explained(&none, &ask).len(), 1);
}
