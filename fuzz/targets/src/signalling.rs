//! What comes over HTTP.

use crate::suite::{answer, sdp, sse};
use std::sync::LazyLock;
use std::time::Instant;
use wtn_media::{Fingerprint, HashAlgorithm};
use wtn_wish::{
    Desk, DeskConfig, Effect, IceServer, Key, Method, PolicyOverrides, Reply, Request, Resource, Routes,
};

const METHODS: [Method; 7] =
    [Method::Get, Method::Head, Method::Options, Method::Post, Method::Patch, Method::Delete, Method::Other];

const OFFER: &str = include_str!("../../corpus/sdp/pub-obs-simulcast");
const PLAY_OFFER: &str = include_str!("../../corpus/sdp/play-chromium");

static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);

fn desk(publish_keys: &[&str]) -> Desk {
    let fingerprint = Fingerprint { algorithm: HashAlgorithm::Sha256, digest: vec![7; 32] };
    let candidates = vec![([127, 0, 0, 1], 4000).into()];
    let publish_keys = publish_keys.iter().map(|key| Key::new(*key)).collect();
    Desk::new(DeskConfig { publish_keys, ..DeskConfig::new(candidates, 4000, fingerprint) })
}

fn request<'a>(method: Method, path: &'a str, body: &'a [u8]) -> Option<Request<'a>> {
    let content_type = match method {
        Method::Patch => "application/trickle-ice-sdpfrag",
        _ => "application/sdp",
    };
    let resource = Resource::from_path(path)?;
    Some(Request { content_type: Some(content_type), body, ..Request::new(method, resource) })
}

fn handle(desk: &mut Desk, request: Request<'_>) -> Reply {
    let mut dice = 0u8;
    let mut random = |bytes: &mut [u8]| {
        for byte in bytes {
            dice = dice.wrapping_mul(29).wrapping_add(17);
            *byte = dice;
        }
    };
    let reply = desk.handle(*BEGUN, request, &mut random);
    assert!(reply.status < 500, "{} to a client's request", reply.status);
    reply
}

/// An offer to publish, then the same bytes as one to play what OBS publishes.
pub fn offer(bytes: &[u8]) {
    let mut open = desk(&[]);
    if let Some(request) = request(Method::Post, "/whip/fuzz", bytes) {
        check_answer(&handle(&mut open, request));
    }
    let mut live = desk(&[]);
    let Some(publish) = request(Method::Post, "/whip/fuzz", OFFER.as_bytes()) else { return };
    let publisher = handle(&mut live, publish).effects.into_iter().find_map(|effect| match effect {
        Effect::Admit(admission) => Some(admission.session),
        _ => None,
    });
    let publisher = publisher.expect("OBS may publish");
    live.on_connected(*BEGUN, publisher);
    if let Some(request) = request(Method::Post, "/whep/fuzz", bytes) {
        check_answer(&handle(&mut live, request));
    }
}

fn check_answer(reply: &Reply) {
    if reply.status != 201 {
        return;
    }
    let text = String::from_utf8(reply.body.to_vec()).expect("an answer is text");
    assert!(text.len() <= wtn_sdp::ANSWER_LEN_MAX, "{} bytes", text.len());
    assert!(text.starts_with("v=0\r\n") && text.ends_with("\r\n"));
    assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "a line break within a line");
}

/// The first line is `If-Match`, the rest the fragment, for a session that OBS made.
pub fn sdpfrag(bytes: &[u8]) {
    let (tag, body) = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or((&b"*"[..], bytes), |at| (&bytes[..at], &bytes[at + 1..]));
    let mut desk = desk(&[]);
    let Some(publish) = request(Method::Post, "/whip/fuzz", OFFER.as_bytes()) else { return };
    let created = handle(&mut desk, publish);
    let location =
        created.headers.iter().find(|(name, _)| *name == "Location").map(|(_, value)| value.clone());
    let location = location.expect("a 201 has a Location");
    let Some(patch) = request(Method::Patch, &location, body) else { return };
    let if_match = std::str::from_utf8(tag).ok().map(str::trim);
    let reply = handle(&mut desk, Request { if_match, ..patch });
    assert!(matches!(reply.status, 200 | 204 | 400..=499), "{}", reply.status);
}

/// The header, on a server that wants a key.
pub fn authorization(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut desk = desk(&["the-key-of-the-camera"]);
    let Some(post) = request(Method::Post, "/whip/fuzz", OFFER.as_bytes()) else { return };
    let reply = handle(&mut desk, Request { authorization: Some(text), ..post });
    assert!(reply.status != 201 || text.contains("the-key-of-the-camera"), "opened by {text:?}");
}

/// Path and query of the URL, for every method, with all kinds of URLs understood.
pub fn path(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
    let mut desk = desk(&[]);
    let routes = Routes { talwtn: true, ..Routes::default() };
    for method in METHODS {
        if let Some(found) = Resource::find(path, query, &routes) {
            let _ = format!("{found:?}");
            let request = Request {
                family: found.family,
                is_key_in_url: found.key.is_some(),
                content_type: Some("application/sdp"),
                query,
                body: OFFER.as_bytes(),
                ..Request::new(method, found.resource)
            };
            handle(&mut desk, request);
        }
    }
}

/// What viewers send to WHEP's extensions.
fn extensions(bytes: &[u8]) {
    let mut desk = desk(&[]);
    let mut open = |path: &str, offer: &str| {
        let post = request(Method::Post, path, offer.as_bytes()).expect("an endpoint");
        let reply = handle(&mut desk, post);
        let session = reply.effects.iter().find_map(|effect| match effect {
            Effect::Admit(admission) => Some(admission.session),
            _ => None,
        });
        desk.on_connected(*BEGUN, session.expect("the offer is good"));
        reply.headers.iter().find(|(name, _)| *name == "Location").expect("a 201 has one").1.clone()
    };
    open("/whip/fuzz", OFFER);
    let session = open("/whep/fuzz", PLAY_OFFER);
    for below in ["events", "layer"] {
        let path = format!("{session}/{below}");
        let Some(post) = request(Method::Post, &path, bytes) else { return };
        let reply = handle(&mut desk, Request { content_type: Some("application/json"), ..post });
        assert!(matches!(reply.status, 200 | 201 | 400..=499), "{}", reply.status);
        assert!(reply.body.len() < 4096, "{} bytes of refusal", reply.body.len());
    }
}

/// Bodies of the API, and of WHEP's extensions.
pub fn json(bytes: &[u8]) {
    extensions(bytes);
    if let Ok(overrides) = serde_json::from_slice::<PolicyOverrides>(bytes) {
        let text = serde_json::to_vec(&overrides).expect("what was read can be written");
        let again: PolicyOverrides = serde_json::from_slice(&text).expect("and read again");
        assert_eq!(again, overrides);
        let _ = wtn_wish::Policy::default().with(&overrides);
    }
    if let Ok(server) = serde_json::from_slice::<IceServer>(bytes) {
        let text = serde_json::to_vec(&server).expect("what was read can be written");
        assert!(serde_json::from_slice::<IceServer>(&text).expect("and read again") == server);
    }
}

/// `Link` headers, as our suite reads those of other servers.
pub fn link(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Some((url, rest)) = answer::ice_server(text)
    {
        assert!(url.len() + rest.len() <= text.len());
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = answer::extension(text);
    }
}

/// Whole HTTP answers and SDP answers, as our suite reads those of other servers.
pub fn whole_answer(bytes: &[u8]) {
    for method in ["GET", "HEAD"] {
        for eof in [false, true] {
            if let Some(answer) = answer::parse(bytes, method, eof) {
                assert!(answer.body.len() + answer.surplus.len() <= bytes.len());
                read_sdp(&answer.text());
                let _ = answer.brief();
            }
        }
    }
    read_sdp(&String::from_utf8_lossy(bytes));
    for chunked in [false, true] {
        let mut feed = sse::Feed::new(chunked);
        for part in bytes.chunks(61) {
            feed.push(part);
            while feed.next().is_some() {}
        }
    }
}

fn read_sdp(text: &str) {
    let sdp = sdp::Sdp::read(text);
    let _ = (sdp.first("ice-ufrag"), sdp.udp_candidates(), sdp.kind("video").is_some());
    for media in &sdp.media {
        for format in &media.formats {
            let _ = (media.codec(format), media.fmtp(format));
        }
    }
}
