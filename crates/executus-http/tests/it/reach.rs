//! Names that a test writes down, and connections that it watches.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use executus_http::{ByteStream, Resolve, ResolveError, Transport};
use parking_lot::Mutex;
use tokio::net::TcpStream;

/// What each name has, look-up by look-up; the last one stays.
#[derive(Debug, Default)]
pub(crate) struct Names(HashMap<String, VecDeque<Vec<IpAddr>>>);

impl Names {
    pub(crate) fn with(mut self, name: &str, ips: &[&str]) -> Self {
        self.0.insert(name.to_owned(), VecDeque::new());
        self.then(name, ips)
    }

    pub(crate) fn then(mut self, name: &str, ips: &[&str]) -> Self {
        let ips = ips.iter().map(|ip| ip.parse().unwrap()).collect();
        self.0.get_mut(name).unwrap().push_back(ips);
        self
    }
}

/// The network as a test sees it. Every connection leads to one server of this machine.
#[derive(Clone, Debug)]
pub(crate) struct Reach(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    names: Mutex<Names>,
    server: Option<SocketAddr>,
    asked: Mutex<Vec<String>>,
    connected: Mutex<Vec<String>>,
}

impl Reach {
    pub(crate) fn new(names: Names) -> Self {
        Self(Arc::new(Inner {
            names: Mutex::new(names),
            server: None,
            asked: Mutex::default(),
            connected: Mutex::default(),
        }))
    }

    /// With a server behind every address, by its URL.
    pub(crate) fn leads_to(self, server: &str) -> Self {
        let server = server.strip_prefix("http://").unwrap().parse().unwrap();
        let names = Mutex::new(std::mem::take(&mut *self.0.names.lock()));
        let (asked, connected) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { names, server: Some(server), asked, connected }))
    }

    pub(crate) fn names(&self) -> Arc<dyn Resolve> {
        Arc::new(self.clone())
    }

    pub(crate) fn transport(&self) -> Arc<dyn Transport> {
        Arc::new(self.clone())
    }

    /// The names that were looked up.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.0.asked.lock().clone()
    }

    /// The addresses that were connected to.
    pub(crate) fn connected(&self) -> Vec<String> {
        self.0.connected.lock().clone()
    }
}

#[async_trait]
impl Resolve for Reach {
    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        self.0.asked.lock().push(name.to_owned());
        let mut names = self.0.names.lock();
        let Some(answers) = names.0.get_mut(name) else {
            return Err(ResolveError::new("there is no such name"));
        };
        let first = answers.front().cloned().unwrap();
        if answers.len() > 1 {
            answers.pop_front();
        }
        Ok(first)
    }
}

#[async_trait]
impl Transport for Reach {
    async fn connect(&self, to: SocketAddr) -> io::Result<Box<dyn ByteStream>> {
        self.0.connected.lock().push(to.to_string());
        match self.0.server {
            Some(server) => Ok(Box::new(TcpStream::connect(server).await?)),
            None => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }
}
