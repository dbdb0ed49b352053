//! What is too large for a message: files named by their digest.

use std::path::{Path, PathBuf};

use executus_core::Outcome;
use executus_core::digest::Digest;
use executus_core::text::bounded_to;
use executus_core::transcript::ArtifactBody;
use sha2::{Digest as _, Sha256};

use crate::disk;
use crate::error::SendError;
use crate::message::Attachment;

/// What of a long output still stands in the message, in bytes.
const BEGINNING: usize = 4096;

/// A folder for what is too large to travel in a message: each file is named by its SHA-256 and
/// written once, durably, before the message that refers to it is sent or kept. Nothing here is
/// removed; a host does that when nobody needs it any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifacts {
    folder: PathBuf,
    above: usize,
    base: Option<String>,
}

impl Artifacts {
    /// In this folder, which is created when it is not there: artifacts of more than 64 KiB, and
    /// any that would bring those of one message above 256 KiB.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), above: 64 << 10, base: None }
    }

    /// Those of more than so many bytes, instead of 64 KiB; of one message, more than four times
    /// that.
    #[must_use]
    pub const fn above(mut self, bytes: usize) -> Self {
        self.above = bytes;
        self
    }

    /// Referred to as `<base>/<digest>`, where somebody serves the folder, instead of as
    /// `file://<folder>/<digest>`.
    #[must_use]
    pub fn base_url(mut self, base: impl Into<String>) -> Self {
        self.base = Some(base.into().trim_end_matches('/').to_owned());
        self
    }

    async fn keep(
        &self,
        name: &str,
        media_type: &str,
        text: &str,
    ) -> Result<Attachment, SendError> {
        let digest = Digest::from_bytes(Sha256::digest(text.as_bytes()).into()).to_string();
        let (folder, file) = (self.folder.clone(), digest.clone());
        let bytes: Vec<u8> = text.into();
        let size = bytes.len() as u64;
        let written = tokio::task::spawn_blocking(move || {
            let there = folder.join(&file).metadata().is_ok_and(|found| found.len() == size);
            match there {
                true => Ok(folder),
                false => disk::replace(&folder, &file, &bytes).map(|()| folder),
            }
        });
        let folder = match written.await {
            Ok(Ok(folder)) => folder,
            Ok(Err(error)) => {
                let folder = self.folder.display();
                let what = format!("an artifact cannot be written to {folder}: {error}");
                return Err(SendError::unavailable(what));
            }
            Err(error) => return Err(SendError::unavailable(format!("writing was cut: {error}"))),
        };
        Ok(Attachment {
            name: name.to_owned(),
            media_type: media_type.to_owned(),
            text: None,
            uri: Some(self.uri(&folder, &digest)),
            bytes: Some(size),
            sha256: Some(digest),
        })
    }

    fn uri(&self, folder: &Path, digest: &str) -> String {
        match &self.base {
            Some(base) => format!("{base}/{digest}"),
            None => {
                let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
                format!("file://{}/{digest}", escaped(&folder.to_string_lossy()))
            }
        }
    }
}

/// What of an outcome goes into the message: its output, and its artifacts.
pub(crate) async fn packed(
    outcome: &Outcome,
    artifacts: Option<&Artifacts>,
) -> Result<(Option<String>, Vec<Attachment>), SendError> {
    let mut attachments = Vec::with_capacity(outcome.artifacts.len());
    let mut room = artifacts.map_or(usize::MAX, |artifacts| artifacts.above.saturating_mul(4));
    for artifact in &outcome.artifacts {
        let (name, media_type) = (&artifact.name, &artifact.media_type);
        let plain = |text, uri| Attachment {
            name: name.clone(),
            media_type: media_type.clone(),
            text,
            uri,
            bytes: None,
            sha256: None,
        };
        attachments.push(match (&artifact.body, artifacts) {
            (ArtifactBody::Uri(uri), _) => plain(None, Some(uri.clone())),
            (ArtifactBody::Inline(text), Some(artifacts))
                if text.len() > artifacts.above || text.len() > room =>
            {
                artifacts.keep(name, media_type, text).await?
            }
            (ArtifactBody::Inline(text), _) => {
                room = room.saturating_sub(text.len());
                plain(Some(text.clone()), None)
            }
        });
    }
    let output = match (&outcome.output, artifacts) {
        (Some(output), Some(artifacts)) if output.len() > artifacts.above => {
            attachments.push(artifacts.keep("output.txt", "text/plain", output).await?);
            Some(bounded_to(output.clone(), BEGINNING.min(artifacts.above)))
        }
        (output, _) => output.clone(),
    };
    Ok((output, attachments))
}

/// A path as it stands in a URI.
fn escaped(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn a_path_in_a_uri_is_escaped() {
        assert_eq!(escaped("/a b/ü#?%"), "/a%20b/%C3%BC%23%3F%25");
    }
}
