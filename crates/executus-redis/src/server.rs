//! What a server has to be.

use redis::Value;

/// The oldest version that is known to work: scripts are replicated by what they did since 7.0
/// alone, and a write of a script under memory pressure is refused only before its first one.
const OLDEST: (u32, u32) = (7, 0);

/// Why this server cannot be used, from its answer to INFO; in a cluster, from that of each node.
pub(crate) fn unfit(info: &Value) -> Option<String> {
    match info {
        Value::Map(nodes) => nodes.iter().find_map(|(_, info)| unfit(info)),
        Value::Array(nodes) => nodes.iter().find_map(unfit),
        Value::BulkString(bytes) => unfit_text(&String::from_utf8_lossy(bytes)),
        Value::VerbatimString { text, .. } | Value::SimpleString(text) => unfit_text(text),
        other => Some(format!("its answer to INFO cannot be read: {other:?}")),
    }
}

fn unfit_text(info: &str) -> Option<String> {
    let field = |name: &str| {
        info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    // Valkey tells the version of Redis that it is compatible with under the same name.
    let version = field("redis_version").unwrap_or_default();
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let version_is = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version_is < OLDEST {
        return Some(format!(
            "it has version {version:?}; {}.{} or newer is needed",
            OLDEST.0, OLDEST.1
        ));
    }
    match field("maxmemory_policy") {
        Some("noeviction") => None,
        Some(policy) => Some(format!(
            "its maxmemory-policy is {policy}, which forgets keys under memory pressure; set it to \
             noeviction, or use another server"
        )),
        None => Some("it does not tell its maxmemory-policy; allow INFO to this user".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Value, unfit};

    fn info(version: &str, policy: &str) -> Value {
        let text = format!(
            "# Server\r\nredis_version:{version}\r\n# Memory\r\nmaxmemory_policy:{policy}\r\n"
        );
        Value::BulkString(text.into_bytes())
    }

    #[test]
    fn an_evicting_server_is_unfit() {
        assert_eq!(unfit(&info("7.0.15", "noeviction")), None);
        let why = unfit(&info("7.2.4", "allkeys-lru")).unwrap();
        assert!(why.contains("allkeys-lru") && why.contains("noeviction"), "{why}");
        assert!(unfit(&info("7.2.4", "volatile-ttl")).is_some());
    }

    #[test]
    fn an_old_server_is_unfit() {
        assert!(unfit(&info("6.2.14", "noeviction")).unwrap().contains("7.0 or newer"));
        assert_eq!(unfit(&info("10.1.0", "noeviction")), None);
    }

    #[test]
    fn one_unfit_node_makes_a_cluster_unfit() {
        let node = |policy| (Value::Nil, info("7.0.0", policy));
        assert!(unfit(&Value::Map(vec![node("noeviction"), node("allkeys-lfu")])).is_some());
    }
}
