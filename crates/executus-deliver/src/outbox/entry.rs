//! What stands in an outbox, for people.

use executus_core::{RunId, Timestamp};
use executus_sqlite::rusqlite::{self, Connection, Row, params};

/// How far an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It is sent when it is due.
    Waiting,
    /// Its target has taken it.
    Sent,
    /// It was refused, or its attempts are used up.
    Dead,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Sent, Self::Dead];

    /// The name used in the file and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Dead => "dead",
        }
    }

    /// The state with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// A message on its way to one target.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The number of the entry.
    pub id: i64,
    /// The idempotency key: the run's id.
    pub key: RunId,
    /// The target's name. No route may have it any more: then it waits.
    pub target: String,
    /// How far it is.
    pub state: State,
    /// How often sending was begun.
    pub attempts: u32,
    /// When the message was kept.
    pub kept_at: Timestamp,
    /// When it is sent next; of one that is being sent, when its lease runs out.
    pub due: Timestamp,
    /// Whether somebody sends it now, or died while he did.
    pub held: bool,
    /// When it was sent or died.
    pub ended_at: Option<Timestamp>,
    /// What went wrong last.
    pub error: Option<String>,
}

/// How many entries are in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// To be sent.
    pub waiting: u64,
    /// Sent, and still remembered.
    pub sent: u64,
    /// Set aside.
    pub dead: u64,
}

/// Which dead entries are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pick {
    /// All of them.
    All,
    /// Those of a run.
    Run(RunId),
    /// Those to a target.
    Target(String),
    /// One, by its number.
    Entry(i64),
}

impl Pick {
    /// The condition, and its one value.
    pub(super) fn condition(&self) -> (&'static str, rusqlite::types::Value) {
        match self {
            Self::All => ("?1 IS NULL", rusqlite::types::Value::Null),
            Self::Run(run) => (
                "message = (SELECT id FROM messages WHERE key = ?1)",
                run.as_str().to_owned().into(),
            ),
            Self::Target(target) => ("target = ?1", target.clone().into()),
            Self::Entry(id) => ("id = ?1", (*id).into()),
        }
    }
}

/// See [`Outbox::list`](super::Outbox::list).
pub(super) fn list(
    connection: &Connection,
    state: Option<State>,
    most: u32,
) -> rusqlite::Result<Vec<Entry>> {
    let mut statement = connection.prepare_cached(
        "SELECT e.id, m.key, e.target, e.state, e.attempts, m.kept_at, e.due, e.holder IS NOT NULL,
           e.ended_at, e.error
         FROM entries e JOIN messages m ON m.id = e.message
         WHERE ?1 IS NULL OR e.state = ?1 ORDER BY e.id LIMIT ?2",
    )?;
    let rows = statement.query_map(params![state.map(State::as_str), most], read)?;
    rows.collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let wrong = |at: usize| {
        rusqlite::Error::InvalidColumnType(at, "entry".to_owned(), rusqlite::types::Type::Text)
    };
    let time = |micros| Timestamp::from_micros(micros);
    Ok(Entry {
        id: row.get(0)?,
        key: RunId::new(row.get::<_, String>(1)?).map_err(|_| wrong(1))?,
        target: row.get(2)?,
        state: State::parse(&row.get::<_, String>(3)?).ok_or_else(|| wrong(3))?,
        attempts: row.get(4)?,
        kept_at: time(row.get(5)?),
        due: time(row.get(6)?),
        held: row.get(7)?,
        ended_at: row.get::<_, Option<i64>>(8)?.map(time),
        error: row.get(9)?,
    })
}

/// See [`Outbox::counts`](super::Outbox::counts).
pub(super) fn counts(connection: &Connection) -> rusqlite::Result<Counts> {
    let mut counts = Counts::default();
    let mut statement =
        connection.prepare_cached("SELECT state, count(*) FROM entries GROUP BY state")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let count = row.get::<_, i64>(1)?.cast_unsigned();
        match State::parse(&row.get::<_, String>(0)?) {
            Some(State::Waiting) => counts.waiting = count,
            Some(State::Sent) => counts.sent = count,
            Some(State::Dead) => counts.dead = count,
            None => {}
        }
    }
    Ok(counts)
}
