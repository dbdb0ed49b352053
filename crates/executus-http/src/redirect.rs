//! Where a redirect leads, and whether it is followed.
//!
//! What follows is a request like any other: it is judged by the address policy again, connects
//! again, and has the same limits. What a caller meant for one server is not given to another:
//! neither header fields with credentials nor a body.

use executus_core::text::{bounded_to, is_sensitive_name};
use http::header::{self, HeaderMap, HeaderName};
use http::uri::{Scheme, Uri};

use crate::error::{HttpError, NotFollowed};
use crate::method::Method;
use crate::request::Request;
use crate::url;

/// What describes a body, and goes with it.
const OF_BODY: [HeaderName; 4] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LOCATION,
];

/// What is for one server alone, beside what was set as a secret or sounds like one.
const OF_ORIGIN: [HeaderName; 2] = [header::ORIGIN, header::REFERER];

/// Parts of the names of header fields that carry credentials. One too many costs a field that
/// another server rarely needs.
const PRIVATE: [&str; 8] =
    ["auth", "cookie", "credential", "key", "password", "secret", "session", "token"];

/// The most bytes of a target that an error shows.
const SHOWN: usize = 300;

/// The redirects of one request.
#[derive(Debug)]
pub(crate) struct Redirects {
    limit: u32,
    /// The requests that were redirected.
    seen: Vec<(Method, Uri)>,
    /// The first one's address.
    address: String,
}

impl Redirects {
    /// The redirects of a request that allows so many of them.
    pub(crate) const fn new(limit: u32) -> Self {
        Self { limit, seen: Vec::new(), address: String::new() }
    }

    /// The request that this answer asks for; `None` when it is the answer.
    ///
    /// # Errors
    /// [`HttpError::Redirect`] when the redirect is not followed, and why.
    pub(crate) fn next(
        &mut self,
        request: &Request,
        status: u16,
        headers: &HeaderMap,
    ) -> Result<Option<Request>, HttpError> {
        if self.limit == 0 || !is_redirect(status) {
            return Ok(None);
        }
        let target = target(request, headers);
        let refused = |reason| Err(refused(request, status, target.as_ref().ok(), reason));
        let uri = match &target {
            Ok(uri) => uri.clone(),
            Err(message) => return refused(NotFollowed::Target { message: message.clone() }),
        };
        if request.uri.scheme() == Some(&Scheme::HTTPS) && uri.scheme() != Some(&Scheme::HTTPS) {
            return refused(NotFollowed::Downgrade);
        }
        if self.seen.len() >= usize::try_from(self.limit).unwrap_or(usize::MAX) {
            return refused(NotFollowed::TooMany { limit: self.limit });
        }
        let mut next = request.clone().shown_as(shown(request, &uri));
        if takes_no_body(status, request.method) {
            next.method = Method::Get;
            next.body = bytes::Bytes::new();
            OF_BODY.iter().for_each(|name| drop(next.headers.remove(name)));
        }
        if !url::is_same_origin(&request.uri, &uri) {
            if !next.body.is_empty() {
                return refused(NotFollowed::BodyElsewhere);
            }
            let open = next
                .headers
                .iter()
                .filter(|(name, value)| !value.is_sensitive() && !is_private(name));
            next.headers = open.map(|(name, value)| (name.clone(), value.clone())).collect();
        }
        next.uri = uri;
        let asked = (request.method, request.uri.clone());
        let again = (next.method, next.uri.clone());
        if asked == again || self.seen.contains(&again) {
            return refused(NotFollowed::Circle);
        }
        if self.seen.is_empty() {
            self.address = request.address();
        }
        self.seen.push(asked);
        Ok(Some(next))
    }

    /// How the whole fails when a request fails like this.
    pub(crate) fn failed(&self, error: HttpError) -> HttpError {
        let hops = u32::try_from(self.seen.len()).unwrap_or(u32::MAX);
        if hops == 0 {
            return error;
        }
        HttpError::Redirected { address: self.address.clone(), hops, error: Box::new(error) }
    }
}

/// The error for a redirect that nobody asked to follow; `None` for another answer.
#[cfg(any(test, feature = "driver"))]
pub(crate) fn not_followed(
    request: &Request,
    status: u16,
    headers: &HeaderMap,
) -> Option<HttpError> {
    let target = target(request, headers).ok();
    is_redirect(status).then(|| refused(request, status, target.as_ref(), NotFollowed::NotAsked))
}

const fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// 303 asks for the result of what was done; after 301 and 302 everybody does the same for POST.
fn takes_no_body(status: u16, method: Method) -> bool {
    match status {
        303 => method != Method::Get,
        301 | 302 => method == Method::Post,
        _ => false,
    }
}

fn is_private(name: &HeaderName) -> bool {
    let text = name.as_str();
    OF_ORIGIN.contains(name)
        || PRIVATE.iter().any(|part| text.contains(part))
        || is_sensitive_name(text)
}

/// Where it leads, or what is wrong with that.
fn target(request: &Request, headers: &HeaderMap) -> Result<Uri, String> {
    let mut locations = headers.get_all(header::LOCATION).iter();
    let Some(location) = locations.next() else {
        return Err("it names no location".to_owned());
    };
    if locations.next().is_some() {
        return Err("it names more than one location".to_owned());
    }
    let reference = url::resolve(&request.uri, location.as_bytes());
    url::parse(&reference).map_err(|error| error.to_string())
}

fn refused(request: &Request, status: u16, target: Option<&Uri>, reason: NotFollowed) -> HttpError {
    let target = target.map_or_else(|| "no address".to_owned(), |uri| shown(request, uri));
    let target = bounded_to(target, SHOWN);
    HttpError::Redirect { address: request.address(), status, target, reason }
}

/// How a target is shown. A server may repeat what it was sent, so that what is hidden of the
/// request is hidden of its target.
fn shown(request: &Request, target: &Uri) -> String {
    let (address, asked) = (request.address(), url::shown(&request.uri));
    let origin = |uri: &Uri| {
        let shown = url::shown(uri);
        shown[..shown.len() - uri.path().len()].to_owned()
    };
    if address == asked {
        url::shown(target)
    } else if address.starts_with(&origin(&request.uri)) {
        format!("{}/[redacted]", origin(target))
    } else {
        "[redacted]".to_owned()
    }
}

#[cfg(test)]
mod tests;
