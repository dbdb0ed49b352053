//! The peer: counts what reaches it, and decides how each probe ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How a probe ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    Killed,
    Panicked,
    Dropped,
    Answered4xx,
    Failed,
    Succeeded,
}

impl End {
    const ALL: [Self; 6] = [
        Self::Killed,
        Self::Panicked,
        Self::Dropped,
        Self::Answered4xx,
        Self::Failed,
        Self::Succeeded,
    ];

    /// What the peer writes; nobody reads it in a process that is killed.
    const fn byte(self) -> u8 {
        match self {
            Self::Killed => b'k',
            Self::Panicked => b'x',
            Self::Dropped => b'd',
            Self::Answered4xx => b'4',
            Self::Failed => b'f',
            Self::Succeeded => b's',
        }
    }
}

#[derive(Debug)]
pub(super) struct Peer {
    counts: Mutex<Counts>,
    kill: mpsc::UnboundedSender<usize>,
}

#[derive(Debug)]
struct Counts {
    dice: Rng,
    probes: u64,
    under_way: usize,
    most: usize,
    others: u64,
    ends: BTreeMap<End, u64>,
    violations: Vec<String>,
}

impl Peer {
    /// A peer, and the processes that it wants killed.
    pub(super) fn new(seed: u64) -> (Self, mpsc::UnboundedReceiver<usize>) {
        let (kill, to_kill) = mpsc::unbounded_channel();
        let counts = Mutex::new(Counts {
            dice: Rng::with_seed(seed),
            probes: 0,
            under_way: 0,
            most: 0,
            others: 0,
            ends: BTreeMap::new(),
            violations: Vec::new(),
        });
        (Self { counts, kill }, to_kill)
    }

    pub(super) fn probes(&self) -> u64 {
        self.counts.lock().probes
    }

    pub(super) fn most(&self) -> usize {
        self.counts.lock().most
    }

    pub(super) fn others(&self) -> u64 {
        self.counts.lock().others
    }

    pub(super) fn violations(&self) -> Vec<String> {
        self.counts.lock().violations.clone()
    }

    pub(super) fn ends(&self) -> String {
        let ends = &self.counts.lock().ends;
        let ends: Vec<String> = ends.iter().map(|(end, n)| format!("{end:?} {n}")).collect();
        ends.join(", ")
    }

    /// A probe is here: how it ends, and how long it takes.
    fn probed(&self) -> (End, Duration) {
        let mut counts = self.counts.lock();
        counts.probes += 1;
        counts.under_way += 1;
        counts.most = counts.most.max(counts.under_way);
        if counts.under_way > 1 {
            let what = format!("{} at once at probe {}", counts.under_way, counts.probes);
            counts.violations.push(what);
        }
        // Every way at first, then by chance; a kill costs a lease.
        let first = usize::try_from(counts.probes - 1).ok().and_then(|n| End::ALL.get(n));
        let end = first.copied().unwrap_or_else(|| match counts.dice.u8(..100) {
            0..4 => End::Killed,
            4..16 => End::Panicked,
            16..36 => End::Dropped,
            36..48 => End::Answered4xx,
            48..90 => End::Failed,
            _ => End::Succeeded,
        });
        *counts.ends.entry(end).or_default() += 1;
        (end, Duration::from_millis(counts.dice.u64(0..120)))
    }
}

pub(super) async fn listen(listener: TcpListener, peer: Arc<Peer>) {
    let mut calls = JoinSet::new();
    while let Ok((call, _)) = listener.accept().await {
        while calls.try_join_next().is_some() {}
        let peer = Arc::clone(&peer);
        calls.spawn(async move {
            // A call that is broken off is over.
            let _ = answer(call, &peer).await;
        });
    }
}

/// Reads who calls: `p` for a probe and `c` for any other, and the number of the process.
async fn answer(mut call: TcpStream, peer: &Peer) -> std::io::Result<()> {
    let mut who = [0; 2];
    call.read_exact(&mut who).await?;
    if who[0] != b'p' {
        peer.counts.lock().others += 1;
        return call.write_all(&[End::Failed.byte()]).await;
    }
    let (end, takes) = peer.probed();
    sleep(takes).await;
    if end == End::Killed {
        let _ = peer.kill.send(usize::from(who[1]));
        // Until the process is gone.
        let _ = call.read(&mut who).await;
        peer.counts.lock().under_way -= 1;
        return Ok(());
    }
    // It is over when the answer is written: the caller may give its place back before this goes on.
    peer.counts.lock().under_way -= 1;
    call.write_all(&[end.byte()]).await
}
