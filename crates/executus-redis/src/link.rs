//! One connection, to whatever the endpoint is.

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Client, Cmd, IntoConnectionInfo, RedisResult, Value};

use crate::config::Config;
use crate::endpoint::Kind;

/// How many calls may wait to be written; the client's own default of 50 would queue a fleet's
/// reservations behind each other.
const QUEUE: usize = 1024;

#[derive(Clone)]
pub(crate) enum Link {
    Single(MultiplexedConnection),
    #[cfg(feature = "cluster")]
    Cluster(redis::cluster_async::ClusterConnection),
}

impl Link {
    /// A new connection, not checked yet.
    pub(crate) async fn open(config: &Config) -> RedisResult<Self> {
        #[cfg(feature = "tls")]
        if config.endpoint.is_tls() && rustls::crypto::CryptoProvider::get_default().is_none() {
            // The client takes the process's provider; a second install is refused and harmless.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        }
        match &config.endpoint.kind {
            Kind::Single(url) => {
                let info = url.as_str().into_connection_info()?.set_tcp_settings(tcp());
                let client = Client::open(info)?;
                let link =
                    client.get_multiplexed_async_connection_with_config(&times(config)).await?;
                Ok(Self::Single(link))
            }
            #[cfg(feature = "cluster")]
            Kind::Cluster(nodes) => {
                let client = redis::cluster::ClusterClient::builder(nodes.iter().cloned())
                    .connection_timeout(config.connect_timeout)
                    .response_timeout(config.response_timeout)
                    .overall_response_timeout(Some(config.deadline))
                    .tcp_settings(tcp())
                    .build()?;
                Ok(Self::Cluster(client.get_async_connection().await?))
            }
            #[cfg(feature = "sentinel")]
            Kind::Sentinel { sentinels, service, node } => {
                use redis::sentinel::{
                    SentinelClient, SentinelNodeConnectionInfo, SentinelServerType,
                };
                let node = node.as_str().into_connection_info()?;
                let mut nodes = SentinelNodeConnectionInfo::default()
                    .set_redis_connection_info(node.redis_settings().clone())
                    .set_tcp_settings(tcp());
                if matches!(node.addr(), redis::ConnectionAddr::TcpTls { .. }) {
                    nodes = nodes.set_tls_mode(redis::TlsMode::Secure);
                }
                let sentinels = sentinels.iter().map(String::as_str).collect();
                let mut client = SentinelClient::build(
                    sentinels,
                    service.clone(),
                    Some(nodes),
                    SentinelServerType::Master,
                )?;
                let link = client.get_async_connection_with_config(&times(config)).await?;
                Ok(Self::Single(link))
            }
        }
    }

    /// Whether an answer has a limit of its own, and nothing is asked again behind our back.
    pub(crate) const fn keeps_time(&self) -> bool {
        match self {
            Self::Single(_) => true,
            #[cfg(feature = "cluster")]
            Self::Cluster(_) => false,
        }
    }

    /// Sends a command and waits for its answer.
    pub(crate) async fn ask(&mut self, cmd: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Single(link) => cmd.query_async(link).await,
            #[cfg(feature = "cluster")]
            Self::Cluster(link) => cmd.query_async(link).await,
        }
    }
}

/// Calls are small and waited for: they leave at once.
fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn times(config: &Config) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(config.connect_timeout))
        .set_response_timeout(Some(config.response_timeout))
        .set_pipeline_buffer_size(QUEUE)
}
