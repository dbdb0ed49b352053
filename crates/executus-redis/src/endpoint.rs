//! Addresses of servers, as a host writes them.

use std::fmt;

use redis::IntoConnectionInfo;

use crate::error::RedisError;

/// A server, a cluster, or a service that sentinels watch.
///
/// Its `Debug` and `Display` forms hide the password.
#[derive(Clone)]
pub struct Endpoint {
    pub(crate) kind: Kind,
    shown: String,
}

#[derive(Clone)]
pub(crate) enum Kind {
    Single(String),
    #[cfg(feature = "cluster")]
    Cluster(Vec<String>),
    #[cfg(feature = "sentinel")]
    Sentinel {
        sentinels: Vec<String>,
        service: String,
        node: String,
    },
}

impl Endpoint {
    /// Reads an address.
    ///
    /// - `redis://[user:password@]host[:port][/db]`, `unix:///path`: one server;
    /// - `rediss://…`: the same over TLS (feature `tls`);
    /// - `redis+cluster://[user:password@]host[:port],host[:port]…` and `rediss+cluster://…`
    ///   (feature `cluster`);
    /// - `redis+sentinel://[user:password@]host[:port],host[:port]…/service[/db]` and
    ///   `rediss+sentinel://…` (feature `sentinel`): user and password are those of the servers.
    ///
    /// # Errors
    /// [`RedisError::Config`]: the address cannot be read, or needs a feature that is not there.
    pub fn parse(url: &str) -> Result<Self, RedisError> {
        let shown = without_password(url);
        let config = |what: String| RedisError::Config { what: format!("`{shown}`: {what}") };
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(config("no address of Redis: write redis://host:port".into()));
        };
        if scheme.starts_with("rediss") && !cfg!(feature = "tls") {
            return Err(config("this program was built without the feature `tls`".into()));
        }
        let kind = match scheme {
            "redis+cluster" | "rediss+cluster" => cluster(scheme, rest).map_err(&config)?,
            "redis+sentinel" | "rediss+sentinel" => sentinel(scheme, rest).map_err(&config)?,
            _ => {
                url.into_connection_info().map_err(|error| config(error.to_string()))?;
                Kind::Single(url.to_owned())
            }
        };
        Ok(Self { kind, shown })
    }

    /// Whether the servers are reached over TLS.
    #[cfg(feature = "tls")]
    pub(crate) fn is_tls(&self) -> bool {
        self.shown.starts_with("rediss")
    }
}

#[cfg(feature = "cluster")]
fn cluster(scheme: &str, rest: &str) -> Result<Kind, String> {
    let plain = scheme.trim_end_matches("+cluster");
    let (user, hosts) = rest.rsplit_once('@').unwrap_or(("", rest));
    let hosts = hosts.trim_end_matches('/');
    Ok(Kind::Cluster(hosts.split(',').map(|host| address(plain, user, host, "")).collect()))
}

#[cfg(not(feature = "cluster"))]
fn cluster(_: &str, _: &str) -> Result<Kind, String> {
    Err("this program was built without the feature `cluster`".into())
}

#[cfg(feature = "sentinel")]
fn sentinel(scheme: &str, rest: &str) -> Result<Kind, String> {
    let plain = scheme.trim_end_matches("+sentinel");
    let (user, places) = rest.rsplit_once('@').unwrap_or(("", rest));
    let mut parts = places.splitn(3, '/');
    let hosts = parts.next().unwrap_or_default();
    let service = parts.next().filter(|service| !service.is_empty());
    let service = service.ok_or("the name of the service is missing: …hosts/service")?.to_owned();
    let database = parts.next().unwrap_or_default();
    Ok(Kind::Sentinel {
        sentinels: hosts.split(',').map(|host| address(plain, "", host, "")).collect(),
        service,
        // The host is a place holder: sentinels say which it is.
        node: address(plain, user, "sentinel", database),
    })
}

#[cfg(not(feature = "sentinel"))]
fn sentinel(_: &str, _: &str) -> Result<Kind, String> {
    Err("this program was built without the feature `sentinel`".into())
}

#[cfg(any(feature = "cluster", feature = "sentinel"))]
fn address(scheme: &str, user: &str, host: &str, database: &str) -> String {
    let at = if user.is_empty() { "" } else { "@" };
    format!("{scheme}://{user}{at}{host}/{database}")
}

fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(start), Some(at)) if start + 3 <= at => {
            format!("{}***{}", &url[..start + 3], &url[at..])
        }
        _ => url.to_owned(),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn a_password_is_never_shown() {
        let endpoint = Endpoint::parse("redis://me:hunter2@127.0.0.1:6379/3").unwrap();
        assert_eq!(endpoint.to_string(), "redis://***@127.0.0.1:6379/3");
        assert!(!format!("{endpoint:?}").contains("hunter2"));
        let bad = Endpoint::parse("redis+other://me:hunter2@h").unwrap_err();
        assert!(!bad.to_string().contains("hunter2"), "{bad}");
    }

    #[test]
    fn what_is_no_address_says_what_to_write() {
        let error = Endpoint::parse("127.0.0.1:6379").unwrap_err();
        assert!(error.to_string().contains("write redis://host:port"), "{error}");
    }

    #[cfg(not(feature = "cluster"))]
    #[test]
    fn what_needs_a_feature_names_it() {
        let error = Endpoint::parse("redis+cluster://a,b").unwrap_err();
        assert!(error.to_string().contains("feature `cluster`"), "{error}");
    }

    #[cfg(feature = "sentinel")]
    #[test]
    fn a_watched_service_has_a_name() {
        assert!(Endpoint::parse("redis+sentinel://a:26379,b:26379/main").is_ok());
        assert!(Endpoint::parse("redis+sentinel://a:26379").is_err());
    }
}
