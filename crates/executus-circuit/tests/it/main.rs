//! The breaker against its cases and its contracts.
