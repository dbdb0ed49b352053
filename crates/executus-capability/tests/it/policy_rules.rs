//! Rules in a file: what matches, what wins, what is refused where.

use executus_capability::constraint::Constraints;
use executus_capability::policy::{Ask, Denial, Policy, RulePolicy, RulesError};
use executus_capability::{Capability, CapabilityId, Principal, Safety, Sensitivity};
use executus_core::Timestamp;
use serde_json::{Value, json};

const RULES: &str = r#"
version = 1

[[rule]]
name = "support closes tickets"
effect = "allow"
capability = ["tickets.*"]
safety = ["read", "write"]
sensitivity = ["none", "pii"]
kind = ["user"]
roles = ["support", "admin"]
attributes = { tenant = "acme" }
justification = 5
constraints = { max_rows = 10, scope = { tenant = "acme" }, invoke_timeout_s = 2.5 }

[[rule]]
name = "admins do more"
effect = "allow"
capability = ["tickets.**", "billing.refund"]
roles = ["admin"]

[[rule]]
name = "ada reads"
effect = "allow"
principal = ["ada"]
safety = ["read"]

[[rule]]
name = "frozen"
effect = "deny"
safety = ["destructive"]
unless_roles = ["root"]
code = "deletion_frozen"
message = "nothing is deleted in this quarter"

[[rule]]
name = "no mallory"
effect = "deny"
principal = ["mallory"]
"#;

/// Every condition that is not met.
fn explained(policy: &dyn Policy, ask: &Ask<'_>) -> Vec<Denial> {
    policy.explain(ask).err().unwrap_or_default()
}

fn capability(id: &str, safety: Safety) -> Capability {
    Capability::new(CapabilityId::new(id).unwrap(), safety, "")
}

fn support(id: &str) -> Principal {
    Principal::user(id).role("support").attribute("tenant", "acme")
}

fn judge(
    principal: &Principal,
    capability: &Capability,
    justification: &str,
    asked: Value,
) -> Result<Value, Vec<String>> {
    let policy = RulePolicy::parse(RULES).unwrap();
    let constraints: Constraints = serde_json::from_value(asked).unwrap();
    let now = Timestamp::default();
    let ask = Ask { principal, capability, justification, constraints: &constraints, now };
    let explained = explained(&policy, &ask);
    match policy.decide(&ask) {
        Ok(granted) => {
            assert_eq!(explained, []);
            Ok(serde_json::to_value(granted).unwrap())
        }
        Err(denial) => {
            assert_eq!(explained.first(), Some(&denial));
            Err(explained.into_iter().map(|denial| denial.code.into_owned()).collect())
        }
    }
}

fn codes(codes: &[&str]) -> Result<Value, Vec<String>> {
    Err(codes.iter().map(|code| (*code).to_owned()).collect())
}

#[test]
fn the_first_allow_decides_and_imposes_its_constraints() {
    let close = capability("tickets.close", Safety::Write);
    let imposed = json!({"max_rows": 10, "scope": {"tenant": "acme"}, "invoke_timeout_s": 2.5});
    assert_eq!(judge(&support("bob"), &close, "because", json!({})), Ok(imposed.clone()));
    // An admin of the tenant falls under the first rule, another one under the second.
    let admin = Principal::user("eve").role("admin");
    assert_eq!(judge(&admin, &close, "", json!({"max_rows": 70})), Ok(json!({"max_rows": 70})));
    let admin = admin.attribute("tenant", "acme");
    assert_eq!(judge(&admin, &close, "because", json!({"max_rows": 70})), Ok(imposed));

    let asked = json!({"max_rows": 3, "scope": {"region": "eu"}, "invoke_timeout_s": 9, "x": [1]});
    let both = json!({
        "max_rows": 3, "scope": {"region": "eu", "tenant": "acme"}, "invoke_timeout_s": 2.5,
        "x": [1],
    });
    assert_eq!(judge(&support("bob"), &close, "because", asked), Ok(both));
    let conflict = json!({"scope": {"tenant": "other"}});
    let refused = codes(&["invalid_constraint"]);
    assert_eq!(judge(&support("bob"), &close, "because", conflict), refused);
    let bad = json!({"max_rows": -1});
    let both = codes(&["insufficient_justification", "invalid_constraint"]);
    assert_eq!(judge(&support("bob"), &close, " 1234 ", bad), both);
}

#[test]
fn every_condition_of_a_rule_counts() {
    let close = capability("tickets.close", Safety::Write);
    let none = codes(&["no_rule"]);
    let judge = |principal: &Principal, capability: &Capability| {
        judge(principal, capability, "because", json!({}))
    };
    let deeper = capability("tickets.notes.add", Safety::Write);
    assert_eq!(judge(&support("bob"), &deeper), none);
    assert!(judge(&support("bob").role("admin"), &deeper).is_ok());
    assert_eq!(judge(&support("bob"), &capability("billing.refund", Safety::Write)), none);
    let secret = Capability { sensitivity: Sensitivity::Secrets, ..close.clone() };
    assert_eq!(judge(&support("bob"), &secret), none);
    let service = Principal::service("bob").role("support").attribute("tenant", "acme");
    assert_eq!(judge(&service, &close), none);
    assert_eq!(judge(&Principal::user("bob").attribute("tenant", "acme"), &close), none);
    let other = Principal::user("bob").role("support").attribute("tenant", "other");
    assert_eq!(judge(&other, &close), none);
    assert_eq!(judge(&Principal::user("bob").role("support"), &close), none);
    assert!(judge(&Principal::user("ada"), &capability("any.thing", Safety::Read)).is_ok());
    assert_eq!(judge(&Principal::user("ada"), &capability("any.thing", Safety::Write)), none);
}

#[test]
fn a_deny_wins_wherever_it_stands() {
    let close = capability("tickets.close", Safety::Write);
    let denied = codes(&["rule_denied"]);
    assert_eq!(judge(&support("mallory"), &close, "because", json!({})), denied);
    let delete = capability("tickets.delete", Safety::Destructive);
    let admin = Principal::user("eve").role("admin");
    assert_eq!(judge(&admin, &delete, "", json!({})), codes(&["deletion_frozen"]));
    assert!(judge(&admin.role("root"), &delete, "", json!({})).is_ok());
    let all = codes(&["deletion_frozen", "rule_denied", "no_rule"]);
    assert_eq!(judge(&support("mallory"), &delete, "", json!({})), all);

    let policy = RulePolicy::parse(RULES).unwrap();
    let (principal, constraints) = (support("mallory"), Constraints::default());
    let ask = Ask {
        principal: &principal,
        capability: &delete,
        justification: "",
        constraints: &constraints,
        now: Timestamp::default(),
    };
    let messages: Vec<_> =
        explained(&policy, &ask).into_iter().map(|denial| denial.message).collect();
    assert_eq!(
        messages,
        [
            "nothing is deleted in this quarter",
            "the rule `no mallory` denies it",
            "no rule allows `tickets.delete` to this principal",
        ]
    );
}

#[test]
fn without_rules_everything_is_denied() {
    let policy = RulePolicy::parse("version = 1").unwrap();
    let (principal, constraints) = (support("bob").role("admin"), Constraints::default());
    let capability = capability("a.b", Safety::Read);
    let ask = Ask {
        principal: &principal,
        capability: &capability,
        justification: "because it is so",
        constraints: &constraints,
        now: Timestamp::default(),
    };
    assert_eq!(policy.decide(&ask).unwrap_err().code, Denial::NO_RULE);
}

fn fault(text: &str) -> RulesError {
    RulePolicy::parse(text).expect_err(text)
}

#[test]
fn what_means_nothing_is_refused_with_its_place() {
    let head = "version = 1\n[[rule]]\nname = \"a\"\neffect = \"allow\"\n";
    for (line, column, says, text) in [
        ("", 1, "missing field `version`", ""),
        ("version = 2", 11, "this version is not known", ""),
        ("version = 1\nrules = []", 1, "unknown field `rules`", ""),
        ("é = = 1", 5, "", ""),
        ("roles = []", 9, "this list is empty", head),
        ("role = [\"x\"]", 1, "unknown field `role`", head),
        ("roles = \"x\"", 9, "invalid type", head),
        ("safety = [\"reed\"]", 11, "unknown variant `reed`", head),
        ("capability = [\"a.b\", \"A\"]", 22, "no capability's id can match this", head),
        ("justification = -1", 17, "this is no number of characters", head),
        ("justification = 1.5", 17, "invalid type", head),
        ("constraints = { max_rows = -1 }", 15, "`max_rows` is -1", head),
        ("constraints = { invoke_timeout_s = nan }", 15, "no value of JSON", head),
        ("constraints = { x = { y = [inf] } }", 15, "no value of JSON", head),
        ("constraints = { x = 2020-01-01 }", 15, "no value of JSON", head),
        ("code = \"x\"", 8, "this key has no meaning here", head),
        ("[[rule]]\nname = \"a\"\neffect = \"deny\"", 8, "that of a rule before", head),
        ("[[rule]]\nname = \" \"\neffect = \"deny\"", 8, "the name is empty", head),
        ("[[rule]]\nname = \"b\"\neffect = \"deny\"\ncode = \"A b\"", 8, "no reason code", head),
        (
            "[[rule]]\nname = \"b\"\neffect = \"deny\"\njustification = 3",
            17,
            "`justification` has no meaning here",
            head,
        ),
        (
            "[[rule]]\nname = \"b\"\neffect = \"deny\"\nconstraints = {}",
            15,
            "`constraints` have no meaning here",
            head,
        ),
    ] {
        let error = fault(&format!("{text}{line}"));
        assert!(error.message.contains(says), "{line}: {error}");
        assert_eq!(error.column, column, "{line}: {error}");
        assert!(!error.to_string().contains('\n') && !error.expected.is_empty(), "{error}");
    }
    let error = fault(&format!("{head}\n\nroles = []"));
    assert_eq!((error.line, error.column), (7, 9));
    let shown = "7:9: this list is empty; expected at least one item, or no such key";
    assert_eq!(error.to_string(), shown);
    let error = fault(&"#".repeat((1 << 20) + 1));
    assert_eq!((error.line, error.column), (1, 1));
}
