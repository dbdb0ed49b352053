//! What goes wrong.

use std::time::Duration;

use executus_testkit::redis::{Fault, RedisServer};
use fastrand::Rng;
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use super::fleet::Fleet;
use super::{Figures, LEASE};

pub(super) struct Chaos {
    dice: Rng,
    pub(super) figures: Figures,
    /// What ends by itself: when, and what.
    ends: Vec<(Instant, End)>,
}

#[derive(Clone, Copy)]
enum End {
    Stopped(usize),
    Network(usize),
}

impl Chaos {
    pub(super) fn new(seed: u64) -> Self {
        Self { dice: Rng::with_seed(seed), figures: Figures::default(), ends: Vec::new() }
    }

    fn millis(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.dice.u64(range))
    }

    /// One blow, and a moment.
    pub(super) async fn strike(
        &mut self,
        fleet: &mut Fleet,
        server: &mut RedisServer,
    ) -> Result<(), String> {
        let n = self.dice.usize(..fleet.workers.len());
        match self.dice.u8(..20) {
            0..3 => {
                // Nothing may end for a worker that is no longer the same.
                self.end_all(fleet);
                fleet.replace(n)?;
                self.figures.killed += 1;
            }
            3..8 => {
                let lease = u64::try_from(LEASE.as_millis()).unwrap_or(1000);
                let until = Instant::now() + self.millis(50..lease * 2);
                fleet.signal(n, Signal::STOP);
                self.ends.push((until, End::Stopped(n)));
                self.figures.stopped += 1;
            }
            8..17 => {
                let fault = match self.dice.u8(..5) {
                    0 => Fault::Cut,
                    1 => Fault::Silent,
                    2 => Fault::Slow(Duration::from_millis(30)),
                    3 => Fault::LoseAnswer,
                    _ => Fault::Random { lost: 50 },
                };
                fleet.workers[n].proxy.set(fault);
                let until = Instant::now() + self.millis(50..1500);
                self.ends.push((until, End::Network(n)));
                self.figures.cut += 1;
            }
            17..19 => {
                server.pause();
                let pause = self.millis(20..400);
                sleep(pause).await;
                server.resume();
                self.figures.servers += 1;
            }
            _ => {
                server.restart().await?;
                self.figures.servers += 1;
            }
        }
        let pause = self.millis(50..250);
        sleep(pause).await;
        let now = Instant::now();
        let (over, open) = self.ends.drain(..).partition(|(until, _)| *until <= now);
        self.ends = open;
        end(fleet, over);
        Ok(())
    }

    fn end_all(&mut self, fleet: &Fleet) {
        end(fleet, std::mem::take(&mut self.ends));
    }

    /// Nothing goes wrong any more.
    pub(super) async fn calm(
        &mut self,
        fleet: &mut Fleet,
        server: &mut RedisServer,
    ) -> Result<(), String> {
        self.end_all(fleet);
        server.resume();
        for n in 0..fleet.workers.len() {
            fleet.workers[n].proxy.set(Fault::None);
            fleet.signal(n, Signal::CONT);
        }
        Ok(())
    }
}

fn end(fleet: &Fleet, ends: Vec<(Instant, End)>) {
    for (_, end) in ends {
        match end {
            End::Stopped(n) => fleet.signal(n, Signal::CONT),
            End::Network(n) => fleet.workers[n].proxy.set(Fault::None),
        }
    }
}
