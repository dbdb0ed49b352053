//! The race of a host's addresses, in paused time.

use std::collections::HashMap;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::{Duration, Instant};

use super::*;
use crate::connect::ByteStream;
use crate::resolve::ResolveError;

/// When an address is tried, and how it answers: after so many milliseconds, with a stream or not.
#[derive(Debug)]
struct Course {
    answers: HashMap<IpAddr, (u64, Result<(), io::ErrorKind>)>,
    tried: Mutex<Vec<(String, u64)>>,
    start: Instant,
    names: Vec<IpAddr>,
}

#[async_trait]
impl Transport for Course {
    async fn connect(&self, to: SocketAddr) -> io::Result<Box<dyn ByteStream>> {
        let at = u64::try_from(self.start.elapsed().as_millis()).unwrap();
        self.tried.lock().push((to.to_string(), at));
        let (after, answer) = self.answers[&to.ip()];
        sleep(Duration::from_millis(after)).await;
        answer?;
        Ok(Box::new(tokio::io::duplex(1).0))
    }
}

#[async_trait]
impl Resolve for Course {
    async fn resolve(&self, _: &str) -> Result<Vec<IpAddr>, ResolveError> {
        Ok(self.names.clone())
    }
}

type Answers<'a> = &'a [(&'a str, u64, Result<(), io::ErrorKind>)];

/// What was tried and when, how it ended and when.
async fn race(answers: Answers<'_>) -> (Vec<(String, u64)>, Result<(), NoConnection>, u64) {
    let course = Arc::new(Course {
        answers: answers.iter().map(|(ip, ms, end)| (ip.parse().unwrap(), (*ms, *end))).collect(),
        tried: Mutex::default(),
        start: Instant::now(),
        names: answers.iter().map(|(ip, ..)| ip.parse().unwrap()).collect(),
    });
    let resolve: Arc<dyn Resolve> = Arc::clone(&course) as _;
    let policy = AddressPolicy::anything();
    let dial = Dial { policy, resolve, transport: Some(Arc::clone(&course) as _) };
    let end = match dial.find(Host::Name("h")).await {
        Ok(ips) => dial.race(&ips, 80).await.map(drop),
        Err(error) => Err(error),
    };
    let at = u64::try_from(course.start.elapsed().as_millis()).unwrap();
    (course.tried.lock().clone(), end, at)
}

const REFUSED: Result<(), io::ErrorKind> = Err(io::ErrorKind::ConnectionRefused);
const AWAY: Result<(), io::ErrorKind> = Err(io::ErrorKind::NetworkUnreachable);

#[tokio::test(start_paused = true)]
async fn the_first_has_a_head_start_and_families_take_turns() {
    let answers: Answers<'_> = &[
        ("2600::1", 10_000, AWAY),
        ("2600::2", 10_000, AWAY),
        ("192.0.2.1", 100, Ok(())),
        ("192.0.2.2", 0, Ok(())),
    ];
    let (tried, end, at) = race(answers).await;
    end.unwrap();
    assert_eq!(tried, [("[2600::1]:80".to_owned(), 0), ("192.0.2.1:80".to_owned(), 250)]);
    assert_eq!(at, 350);
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_makes_room_at_once() {
    let answers: Answers<'_> =
        &[("192.0.2.1", 10, REFUSED), ("192.0.2.2", 10, AWAY), ("192.0.2.3", 10, Ok(()))];
    let (tried, end, at) = race(answers).await;
    end.unwrap();
    assert_eq!(tried.iter().map(|(_, at)| *at).collect::<Vec<_>>(), [0, 10, 20]);
    assert_eq!(at, 30);
}

#[tokio::test(start_paused = true)]
async fn a_slow_one_can_still_win() {
    let answers: Answers<'_> = &[("192.0.2.1", 300, Ok(())), ("192.0.2.2", 10_000, Ok(()))];
    let (tried, end, at) = race(answers).await;
    end.unwrap();
    assert_eq!((tried.len(), at), (2, 300));
}

#[tokio::test(start_paused = true)]
async fn when_all_fail_the_one_that_says_most_is_told() {
    for (answers, expected) in [
        (&[("2600::1", 0, AWAY), ("192.0.2.1", 0, REFUSED)][..], ConnectFailure::Refused),
        (&[("192.0.2.1", 0, REFUSED), ("2600::1", 0, AWAY)], ConnectFailure::Refused),
        (&[("192.0.2.1", 0, AWAY), ("2600::1", 0, AWAY)], ConnectFailure::Unreachable),
        (
            &[("192.0.2.1", 0, AWAY), ("2600::1", 0, Err(io::ErrorKind::ConnectionReset))],
            ConnectFailure::Closed,
        ),
    ] {
        match race(answers).await.1 {
            Err(NoConnection::Failed { failure, .. }) => assert_eq!(failure, expected),
            other => panic!("{other:?}"),
        }
    }
    let answers = &[("192.0.2.1", 0, AWAY), ("2600::1", 9, Err(io::ErrorKind::TimedOut))];
    assert!(matches!(race(answers).await.1, Err(NoConnection::TimedOut)));
}

#[tokio::test(start_paused = true)]
async fn a_name_without_an_address_is_told() {
    let (tried, end, _) = race(&[]).await;
    assert_eq!(tried, []);
    let no_name =
        |end| matches!(end, Err(NoConnection::Failed { failure: ConnectFailure::Name, .. }));
    assert!(no_name(end));
}

#[test]
fn not_all_of_very_many_are_tried() {
    let many: Vec<IpAddr> = (0..1000_u32).map(|n| IpAddr::V4((0x0a00_0000 + n).into())).collect();
    let tried = in_turn(many.clone());
    assert_eq!(tried, many[..TRIED]);
}
