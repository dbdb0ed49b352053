//! The scripts, put together from parts: the book that all of them read first, the hold of the call,
//! what they have in common, and what they do.

use executus_redis::Script;

const OPEN: &str = include_str!("script/open.lua");
const THIS: &str = include_str!("script/this.lua");
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
        let reserve = include_str!("script/reserve.lua");
        let charge = include_str!("script/charge.lua");
        let settle = include_str!("script/settle.lua");
        let release = include_str!("script/release.lua");
        // What is read; the most common case, alone; all the others.
        let reserve = [
            [OPEN, NO_LINE, THIS, include_str!("script/reserve_plain.lua")],
            [BOOK, HOLD, COVER, reserve],
        ];
        let charge = [
            [OPEN, CHARGED_LINE, THIS, include_str!("script/charge_plain.lua")],
            [BOOK, HOLD, COVER, charge],
        ];
        let settle = [
            [OPEN, OWN_LINE, THIS, include_str!("script/settle_plain.lua")],
            [BOOK, HOLD, END, settle],
        ];
        let release = [[OPEN, NO_LINE, THIS, ""], [BOOK, HOLD, END, release]];
        let of = |source: &str| Script::of_parts(&[OPEN, BOOK, source]);
        Self {
            reserve: Script::of_parts(&reserve.concat()),
            charge: Script::of_parts(&charge.concat()),
            settle: Script::of_parts(&settle.concat()),
            release: Script::of_parts(&release.concat()),
            renew: of(include_str!("script/renew.lua")),
            account: of(include_str!("script/account.lua")),
            limits: of(include_str!("script/limits.lua")),
            holds: of(include_str!("script/holds.lua")),
            reseed: of(include_str!("script/reseed.lua")),
        }
    }
}
