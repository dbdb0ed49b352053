//! The scripts, each behind the book that all of them read first.

use executus_redis::Script;

const BOOK: &str = include_str!("script/book.lua");

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
        let of = |source: &str| Script::of_parts(&[BOOK, source]);
        Self {
            reserve: of(include_str!("script/reserve.lua")),
            charge: of(include_str!("script/charge.lua")),
            settle: of(include_str!("script/settle.lua")),
            release: of(include_str!("script/release.lua")),
            renew: of(include_str!("script/renew.lua")),
            account: of(include_str!("script/account.lua")),
            limits: of(include_str!("script/limits.lua")),
            holds: of(include_str!("script/holds.lua")),
            reseed: of(include_str!("script/reseed.lua")),
        }
    }
}
