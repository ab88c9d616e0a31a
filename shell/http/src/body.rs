//! A request body, bounded in length and time.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use std::time::Duration;
use tokio::time::timeout;

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Longer than allowed; by its `Content-Length` alone if it has one (RFC 9110 §15.5.14).
    TooLarge,
    /// Not complete in time.
    TooSlow,
    /// The client went away, or its chunks are no chunks.
    Broken,
}

/// Reads the whole body, at most `len_max` bytes. Where the head already tells that it is longer, not a byte
/// is read, and a client that waits for `100 Continue` does not get one.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Body,
    len_max: usize,
    within: Duration,
) -> Result<Bytes, Refused> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|len: u64| len > len_max as u64) {
        return Err(Refused::TooLarge);
    }
    match timeout(within, Limited::new(body, len_max).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refused::TooLarge),
        Ok(Err(_)) => Err(Refused::Broken),
        Err(_) => Err(Refused::TooSlow),
    }
}
