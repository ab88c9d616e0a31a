//! Sees for itself how each request says where it ends, because hyper decides in silence: with a length and chunks
//! it goes by the chunks, and of two equal lengths it takes one. RFC 9112 §6.3 lets a server refuse both, and who
//! sends either may hope that somebody on the way decides otherwise.
//!
//! The scanner is no second parser: it looks for two header names, and stops for good behind a request of which it
//! could not tell where it ends. Then the connection carries no other request.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// As much of a header line as the two names and any honest length need.
const LINE_LEN_MAX: usize = 64;

/// How a request says where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// By one length, or it has no body.
    Length,
    /// By chunks. Nothing may follow it on its connection.
    Chunks,
    /// In more than one way.
    Contradictory,
}

/// The framing of every request that has been read and not been answered yet, in their order. As many as fit into
/// the buffer for a head.
#[derive(Clone, Debug, Default)]
pub(crate) struct Framings(Arc<Mutex<VecDeque<Framing>>>);

impl Framings {
    /// Of the request that is now to be answered.
    pub fn next(&self) -> Option<Framing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn push(&self, framing: Framing) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(framing);
    }
}

/// A stream that is looked at while it is read.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    stream: S,
    scanner: Scanner,
    framings: Framings,
}

impl<S> Watched<S> {
    pub fn new(stream: S, framings: Framings) -> Self {
        Self { stream, scanner: Scanner::default(), framings }
    }

    pub fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, scanner, framings } = self.get_mut();
        let before = buf.filled().len();
        let polled = Pin::new(stream).poll_read(cx, buf);
        scanner.scan(&buf.filled()[before..], |framing| framings.push(framing));
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[derive(Debug)]
enum Scanner {
    Head(Head),
    /// So many bytes of a body are still to come.
    Body(u64),
    /// Where the request ends is not known here.
    Lost,
}

#[derive(Debug, Default)]
struct Head {
    line: Vec<u8>,
    has_begun: bool,
    lengths: usize,
    length: Option<u64>,
    is_chunked: bool,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::Head(Head::default())
    }
}

impl Scanner {
    fn scan(&mut self, mut bytes: &[u8], mut found: impl FnMut(Framing)) {
        while !bytes.is_empty() {
            match self {
                Self::Lost => return,
                Self::Body(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    bytes = &bytes[taken..];
                    *left -= taken as u64;
                    if *left == 0 {
                        *self = Self::default();
                    }
                }
                Self::Head(head) => {
                    let end = bytes.iter().position(|byte| *byte == b'\n');
                    let (line, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
                    let room = LINE_LEN_MAX.saturating_sub(head.line.len());
                    head.line.extend_from_slice(&line[..line.len().min(room)]);
                    bytes = rest.get(1..).unwrap_or_default();
                    if end.is_some()
                        && let Some(framing) = head.end_line()
                    {
                        found(framing);
                        let after = match head.length.filter(|_| framing == Framing::Length) {
                            Some(0) => Self::default(),
                            Some(length) => Self::Body(length),
                            None => Self::Lost,
                        };
                        *self = after;
                    }
                }
            }
        }
    }
}

impl Head {
    /// The framing, if this line ends the head.
    fn end_line(&mut self) -> Option<Framing> {
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if line.is_empty() {
            // Empty lines before a request are none of its (RFC 9112 §2.2).
            return self.has_begun.then(|| self.framing());
        }
        self.has_begun = true;
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        if name.eq_ignore_ascii_case(b"content-length") {
            self.lengths += 1;
            let value = std::str::from_utf8(value).ok().map(|value| value.trim_start_matches(':').trim());
            self.length = value.and_then(|value| value.parse().ok());
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.is_chunked = true;
        }
        None
    }

    fn framing(&mut self) -> Framing {
        match (self.lengths, self.is_chunked) {
            (0, true) => Framing::Chunks,
            (0, false) => {
                self.length = Some(0);
                Framing::Length
            }
            (1, false) => Framing::Length,
            _ => Framing::Contradictory,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framings(text: &str, step: usize) -> Vec<Framing> {
        let (mut scanner, mut found) = (Scanner::default(), Vec::new());
        for piece in text.as_bytes().chunks(step) {
            scanner.scan(piece, |framing| found.push(framing));
        }
        found
    }

    #[test]
    fn http_13_every_head_is_seen_however_its_bytes_come() {
        use Framing::{Chunks, Contradictory, Length};
        let get = "GET / HTTP/1.1\r\nHost: content-length\r\n\r\n";
        let post = "POST / HTTP/1.1\r\nCONTENT-length: 5\r\n\r\na\n\r\nb";
        let chunks = "\r\nPOST / HTTP/1.1\nTransfer-Encoding: chunked\n\n0\r\n\r\n";
        let both = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n";
        let twice = "POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n";
        let long = format!("GET /{} HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(9000), "b".repeat(9000));
        let cases: [(String, &[Framing]); 7] = [
            (format!("{get}{post}{get}{long}{get}"), &[Length; 5]),
            (format!("{post}{chunks}{get}"), &[Length, Chunks]),
            (format!("{get}{both}{get}"), &[Length, Contradictory]),
            (twice.to_owned(), &[Contradictory]),
            ("POST / HTTP/1.1\r\nContent-Length: x\r\n\r\nGET / HTTP/1.1\r\n\r\n".to_owned(), &[Length]),
            ("GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n".repeat(2), &[Length; 2]),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n".to_owned(), &[]),
        ];
        for (text, expected) in cases {
            for step in [1, 2, 7, 4096, usize::MAX] {
                assert_eq!(framings(&text, step), expected, "{text:.80} by {step}");
            }
        }
    }
}
