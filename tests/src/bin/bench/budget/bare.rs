//! The yardstick: the Redis commands of a reservation and of a settling, and nothing else.

use executus_redis::redis::aio::MultiplexedConnection;
use executus_redis::redis::{
    self, AsyncConnectionConfig, Client, IntoConnectionInfo, Script, Value,
};

use super::{Asked, text};

const RESERVE: &str = "
redis.call('TIME')
redis.call('HMGET', KEYS[1], 'epoch', 'count', 'lost', 'packed')
redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[8], 'WITHSCORES', 'LIMIT', 0, 16)
redis.call('HMGET', KEYS[3], 'state', 'accounts', 'sums', 'l:')
redis.call('HMGET', KEYS[4], 'sums', 'packed', 'windows')
redis.call('HSET', KEYS[3], 'state', 'held', 'accounts', ARGV[6], 'sums', ARGV[7])
redis.call('ZADD', KEYS[2], ARGV[9], ARGV[3])
redis.call('HSET', KEYS[4], 'sums', ARGV[10])
return {'ok', redis.call('HINCRBY', KEYS[1], 'count', 1)}
";

const SETTLE: &str = "
redis.call('TIME')
redis.call('HMGET', KEYS[1], 'epoch', 'count', 'lost', 'packed')
redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[8], 'WITHSCORES', 'LIMIT', 0, 16)
redis.call('HMGET', KEYS[3], 'state', 'accounts', 'sums', 'l:')
redis.call('HMGET', KEYS[4], 'sums', 'packed', 'windows')
redis.call('ZREM', KEYS[2], ARGV[3])
redis.call('DEL', KEYS[3])
redis.call('HSET', KEYS[4], 'sums', ARGV[10])
local count = redis.call('HINCRBY', KEYS[1], 'count', 1)
redis.call('HSET', KEYS[3], 'state', 'closed', 'counted', ARGV[7])
redis.call('PEXPIRE', KEYS[3], 86400000)
return {'ok', count}
";

#[derive(Clone)]
pub(super) struct Bare {
    connection: MultiplexedConnection,
    reserve: Script,
    settle: Script,
}

impl Bare {
    pub(super) async fn open(url: &str) -> Result<Self, String> {
        let tcp = redis::io::tcp::TcpSettings::default().set_nodelay(true);
        let info = url.into_connection_info().map_err(text)?.set_tcp_settings(tcp);
        let client = Client::open(info).map_err(text)?;
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(Some(std::time::Duration::from_secs(1)))
            .set_pipeline_buffer_size(1024);
        let connection =
            client.get_multiplexed_async_connection_with_config(&config).await.map_err(text)?;
        Ok(Self { connection, reserve: Script::new(RESERVE), settle: Script::new(SETTLE) })
    }

    pub(super) fn connection(&self) -> MultiplexedConnection {
        self.connection.clone()
    }

    async fn call(&self, script: &Script, id: u64) -> Result<(), String> {
        let id = format!("0197b2c4-0000-7000-8000-{id:012}#1");
        let mut call = script.key("{bare}:budget:meta");
        call.key("{bare}:budget:leases").key(format!("{{bare}}:budget:h:{id}"));
        call.key("{bare}:budget:a:anna").arg("0123456789abcdef0123456789abcdef").arg("12345");
        call.arg(id).arg("30000").arg("86400000").arg("anna").arg(&[1_u8; 64][..]);
        call.arg("1700000000000").arg("1900000000000").arg(&[1_u8; 80][..]);
        call.invoke_async::<Value>(&mut self.connection()).await.map(|_| ()).map_err(text)
    }
}

impl Asked for Bare {
    async fn once(&self, id: u64) -> Result<(), String> {
        self.call(&self.reserve, id).await?;
        self.call(&self.settle, id).await
    }
}
