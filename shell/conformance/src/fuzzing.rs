//! What reads the answers of servers that we do not know, for the fuzzer.

use crate::http::parse;
use crate::sdp::Sdp;
use crate::stun::Response;

/// An HTTP answer, whole or in part, and its body as SDP.
pub fn answer(bytes: &[u8]) {
    for method in ["GET", "HEAD"] {
        for eof in [false, true] {
            if let Some(answer) = parse(bytes, method, eof) {
                assert!(answer.body.len() + answer.surplus.len() <= bytes.len());
                sdp(&answer.text());
                let _ = answer.brief();
            }
        }
    }
    sdp(&String::from_utf8_lossy(bytes));
}

fn sdp(text: &str) {
    let sdp = Sdp::read(text);
    let _ = (sdp.first("ice-ufrag"), sdp.udp_candidates(), sdp.kind("video").is_some());
    for media in &sdp.media {
        let _ = media.formats.iter().map(|format| (media.codec(format), media.fmtp(format))).count();
    }
}

/// One `Link` line.
pub fn link(text: &str) {
    if let Some((url, rest)) = crate::checks::auth::ice_server(text) {
        assert!(url.len() + rest.len() <= text.len());
    }
}

/// A STUN answer.
pub fn stun(bytes: &[u8]) {
    let _ = Response::read(bytes, "0123456789012345678901");
}
