//! What a tool of a server answers, as what a tool of a run answers.

use std::sync::Arc;

use executus_core::ToolOutput;
use executus_core::text::bounded_to;
use executus_core::transcript::{Artifact, ArtifactBody};
use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};

use crate::config::McpLimits;
use crate::error::{McpError, told};

/// Text content is the text, structured content the data; pictures, sounds and files are artifacts,
/// and the text has a mark for each.
pub(crate) fn of_result(
    result: CallToolResult,
    limits: &McpLimits,
) -> Result<ToolOutput, McpError> {
    let mut collected =
        Collected { parts: Vec::new(), artifacts: Vec::new(), room: limits.data_bytes };
    for block in result.content {
        collected.add(block);
    }
    let Collected { mut parts, artifacts, .. } = collected;
    if result.is_error == Some(true) {
        let message = told(&parts.join("\n"));
        let silent = "the tool says that it failed, and nothing more";
        let message = if message.is_empty() { silent.to_owned() } else { message };
        return Err(McpError::Failed { message });
    }
    let mut data = result.structured_content;
    let bytes =
        data.as_ref().map_or(0, |data| serde_json::to_vec(data).map_or(0, |text| text.len()));
    if bytes > limits.data_bytes {
        data = None;
        parts.push(format!("[data of {bytes} bytes left out]"));
    }
    if parts.is_empty()
        && let Some(data) = &data
    {
        parts.push(data.to_string());
    }
    let mut text = parts.join("\n");
    if text.len() > limits.text_bytes {
        text = bounded_to(text, limits.text_bytes);
    }
    Ok(ToolOutput { text, data, artifacts })
}

struct Collected {
    parts: Vec<String>,
    artifacts: Vec<Arc<Artifact>>,
    /// Bytes that artifacts may still have.
    room: usize,
}

impl Collected {
    fn add(&mut self, block: ContentBlock) {
        match block {
            ContentBlock::Text(text) => self.parts.push(text.text),
            ContentBlock::Image(image) => self.encoded("image", image.mime_type, &image.data),
            ContentBlock::Audio(audio) => self.encoded("audio", audio.mime_type, &audio.data),
            ContentBlock::ResourceLink(link) => {
                self.parts.push(format!("[resource {}: {}]", link.name, link.uri));
                let media_type = link.mime_type.unwrap_or_else(unknown);
                self.artifact(link.name, media_type, ArtifactBody::Uri(link.uri));
            }
            ContentBlock::Resource(embedded) => match embedded.resource {
                ResourceContents::TextResourceContents { text, uri, mime_type, .. } => {
                    self.parts.push(text.clone());
                    let media_type = mime_type.unwrap_or_else(|| "text/plain".to_owned());
                    self.artifact(uri, media_type, ArtifactBody::Inline(text));
                }
                ResourceContents::BlobResourceContents { blob, uri, mime_type, .. } => {
                    self.encoded(&uri, mime_type.unwrap_or_else(unknown), &blob);
                }
                _ => self.strange(),
            },
            _ => self.strange(),
        }
    }

    /// What newer versions of the protocol may bring.
    fn strange(&mut self) {
        self.parts.push("[content of an unknown kind left out]".to_owned());
    }

    /// Something in base64, which travels as it is.
    fn encoded(&mut self, name: &str, media_type: String, base64: &str) {
        let bytes = base64.len() / 4 * 3;
        self.parts.push(format!("[{name}, {media_type}, about {bytes} bytes]"));
        let uri = format!("data:{media_type};base64,{base64}");
        self.artifact(name.to_owned(), media_type, ArtifactBody::Uri(uri));
    }

    fn artifact(&mut self, name: String, media_type: String, body: ArtifactBody) {
        let (ArtifactBody::Inline(text) | ArtifactBody::Uri(text)) = &body;
        let bytes = text.len() + name.len() + media_type.len();
        if let Some(room) = self.room.checked_sub(bytes) {
            self.room = room;
            self.artifacts.push(Arc::new(Artifact { name, media_type, body }));
        } else {
            self.parts.push(format!("[{bytes} bytes of {media_type} left out]"));
        }
    }
}

fn unknown() -> String {
    "application/octet-stream".to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn output(result: Value, limits: &McpLimits) -> Result<ToolOutput, McpError> {
        of_result(serde_json::from_value(result).unwrap(), limits)
    }

    #[test]
    fn text_data_and_artifacts() {
        let all = output(
            json!({
                "content": [
                    {"type": "text", "text": "one"},
                    {"type": "image", "data": "aGVsbG8h", "mimeType": "image/png"},
                    {"type": "resource_link", "name": "r", "uri": "file:///r"},
                    {"type": "resource", "resource": {"uri": "x:y", "text": "inside"}},
                ],
                "structuredContent": {"n": 1},
            }),
            &McpLimits::default(),
        )
        .unwrap();
        assert_eq!(
            all.text,
            "one\n[image, image/png, about 6 bytes]\n[resource r: file:///r]\ninside"
        );
        assert_eq!(all.data, Some(json!({"n": 1})));
        let body = |at: usize| all.artifacts[at].body.clone();
        assert_eq!(body(0), ArtifactBody::Uri("data:image/png;base64,aGVsbG8h".to_owned()));
        assert_eq!(body(1), ArtifactBody::Uri("file:///r".to_owned()));
        assert_eq!(body(2), ArtifactBody::Inline("inside".to_owned()));
    }

    #[test]
    fn data_alone_is_the_text_too() {
        let all = output(json!({"structuredContent": [1, 2]}), &McpLimits::default()).unwrap();
        assert_eq!(all.text, "[1,2]");
    }

    #[test]
    fn what_is_over_is_marked() {
        let limits = McpLimits { text_bytes: 60, data_bytes: 20, ..McpLimits::default() };
        let all = output(
            json!({
                "content": [{"type": "image", "data": "a".repeat(40), "mimeType": "i/p"}],
                "structuredContent": "x".repeat(40),
            }),
            &limits,
        )
        .unwrap();
        assert!(all.data.is_none() && all.artifacts.is_empty());
        assert!(all.text.contains("[cut, "), "{}", all.text);
        assert!(all.text.starts_with("[image, i/p, about 30 bytes]\n["), "{}", all.text);
    }

    #[test]
    fn a_failure_is_what_the_tool_said() {
        let said = json!({"content": [{"type": "text", "text": "no\u{1b}[31m!"}], "isError": true});
        let error = output(said, &McpLimits::default()).unwrap_err();
        assert_eq!(error, McpError::Failed { message: "no!".to_owned() });
        let error = output(json!({"content": [], "isError": true}), &McpLimits::default());
        assert!(error.unwrap_err().to_string().contains("nothing more"));
    }
}
