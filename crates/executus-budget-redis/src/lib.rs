//! The budget on Redis.
