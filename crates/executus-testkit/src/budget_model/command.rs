//! The calls that a sequence is made of.

/// One call, on one of a few holds of a few accounts.
///
/// Even holds are of one caller, odd ones of another; the upper half of them takes from an account
/// that both share, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Reserves.
    Reserve {
        /// Which hold.
        hold: u8,
        /// How much, as a measure of all dimensions.
        ask: u8,
        /// Whether it asks for a place among the runs at once.
        place: bool,
    },
    /// Charges a line; 0 is the hold's own.
    Charge {
        /// Which hold.
        hold: u8,
        /// Which line of it.
        line: u8,
        /// The line's total.
        total: u8,
    },
    /// Settles.
    Settle {
        /// Which hold.
        hold: u8,
        /// What its own run spent.
        spent: u8,
    },
    /// Releases.
    Release {
        /// Which hold.
        hold: u8,
    },
    /// The same as before, once more.
    Again,
    /// Lets time pass: an eighth of the lease, or of the window, for each.
    Wait {
        /// How many.
        eighths: u8,
        /// Of the lease; of the window otherwise.
        lease: bool,
    },
    /// Sets the limits of an account.
    Limits {
        /// Which account.
        account: u8,
        /// Which of a few sets of limits.
        limits: u8,
    },
}

/// How many holds there are.
pub(super) const HOLDS: u8 = 8;
/// How many lines a hold has.
pub(super) const LINES: u8 = 3;
/// Two callers and what they share.
pub(super) const ACCOUNTS: u8 = 3;
/// How many sets of limits there are.
pub(super) const LIMITS: u8 = 5;

/// The commands that bytes stand for: any bytes are a sequence.
#[must_use]
pub fn commands(bytes: &[[u8; 4]]) -> Vec<Command> {
    bytes.iter().copied().map(Command::of).collect()
}

impl Command {
    /// The command that four bytes stand for.
    #[must_use]
    pub fn of([kind, which, amount, rest]: [u8; 4]) -> Self {
        let hold = which % HOLDS;
        match kind {
            0..80 => Self::Reserve { hold, ask: amount % 70, place: rest % 2 == 1 },
            80..140 => Self::Charge { hold, line: rest % LINES, total: amount % 70 },
            140..180 => Self::Settle { hold, spent: amount % 130 },
            180..200 => Self::Release { hold },
            200..220 => Self::Again,
            220..242 => Self::Wait { eighths: 1 + amount % 10, lease: rest % 2 == 1 },
            242.. => Self::Limits { account: which % ACCOUNTS, limits: amount % LIMITS },
        }
    }
}
