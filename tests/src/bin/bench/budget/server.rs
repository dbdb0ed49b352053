//! A Redis of the bench's own, which ends with it.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use executus_redis::{Config, Redis};

use super::text;

pub(super) struct Server {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Server {
    pub(super) async fn start() -> Result<Self, String> {
        let port = TcpListener::bind(("127.0.0.1", 0))
            .and_then(|listener| listener.local_addr())
            .map_err(text)?
            .port();
        let folder = tempfile::tempdir().map_err(text)?;
        let program =
            std::env::var_os("EXECUTUS_REDIS_SERVER").unwrap_or_else(|| "redis-server".into());
        let child = Command::new(&program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .arg("--dir")
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("redis-server: {error}; `cargo xtask setup` installs it"))?;
        let server = Self { child, port, _folder: folder };
        // The first call waits until the server takes connections.
        let mut config = Config::new(&server.url()).map_err(text)?;
        config.deadline = Duration::from_secs(20);
        Redis::connect(config).await.map_err(text)?;
        Ok(server)
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
