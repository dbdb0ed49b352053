//! The scripts, put together from parts: the book that all of them read first, the hold of the call,
//! what they have in common, and what they do.

use executus_redis::Script;

const BOOK: &str = include_str!("script/book.lua");
const HOLD: &str = include_str!("script/hold.lua");
const COVER: &str = include_str!("script/cover.lua");
const END: &str = include_str!("script/end.lua");

/// Which line of the hold is read: none, or one that the call names.
const NO_LINE: &str = "local line = 'l:'\n";
const CHARGED_LINE: &str = "local line = 'l:' .. ARGV[6]\n";
const OWN_LINE: &str = "local line = 'l:' .. ARGV[5]\n";

#[derive(Debug)]
pub(crate) struct Scripts {
    pub(crate) reserve: Script,
    pub(crate) charge: Script,
    pub(crate) settle: Script,
    pub(crate) release: Script,
    pub(crate) renew: Script,
    pub(crate) account: Script,
    pub(crate) limits: Script,
    pub(crate) holds: Script,
    pub(crate) reseed: Script,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        let reserve = [BOOK, NO_LINE, HOLD, COVER, include_str!("script/reserve.lua")];
        let charge = [BOOK, CHARGED_LINE, HOLD, COVER, include_str!("script/charge.lua")];
        let settle = [BOOK, OWN_LINE, HOLD, END, include_str!("script/settle.lua")];
        let release = [BOOK, NO_LINE, HOLD, END, include_str!("script/release.lua")];
        let of = |source: &str| Script::of_parts(&[BOOK, source]);
        Self {
            reserve: Script::of_parts(&reserve),
            charge: Script::of_parts(&charge),
            settle: Script::of_parts(&settle),
            release: Script::of_parts(&release),
            renew: of(include_str!("script/renew.lua")),
            account: of(include_str!("script/account.lua")),
            limits: of(include_str!("script/limits.lua")),
            holds: of(include_str!("script/holds.lua")),
            reseed: of(include_str!("script/reseed.lua")),
        }
    }
}
