//! One question to a provider.

use crate::conversation::Conversation;

/// What a request is made of.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    /// The provider's name of the model.
    pub(crate) model: &'a str,
    pub(crate) conversation: &'a Conversation,
    /// Whether the answer is to be streamed.
    pub(crate) stream: bool,
    /// The most tokens of the answer, where somebody set it.
    pub(crate) max_output_tokens: Option<u32>,
    /// Whether the provider is asked at its own address, and not one that only speaks like it.
    pub(crate) at_home: bool,
}
