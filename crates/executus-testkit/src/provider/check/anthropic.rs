//! What anthropic refuses.

use crate::provider::dialect::ErrorReply;
use crate::provider::http::SeenRequest;

pub(in crate::provider) fn check(_request: &SeenRequest) -> Result<(), ErrorReply> {
    Ok(())
}
