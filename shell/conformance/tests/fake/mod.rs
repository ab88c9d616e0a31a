//! A WHIP and WHEP server without any media behind it: right in what the tested rows ask, and wrong in one
//! thing at a time.

mod extensions;

use extensions::below_session;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// What it does wrong; empty: nothing.
pub type Flaw = &'static str;

#[derive(Clone)]
struct Session {
    tag: String,
    ufrag: String,
    pwd: String,
}

#[derive(Default)]
struct State {
    sessions: HashMap<String, Session>,
    /// Event streams, by their path: their types, joined.
    feeds: HashMap<String, String>,
    made: u64,
}

pub struct Fake {
    pub base: String,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    pub async fn start(flaw: Flaw) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("bound"));
        let state = Arc::new(Mutex::new(State::default()));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&state);
                tokio::spawn(async move { serve(stream, &state, flaw).await });
            }
        });
        Self { base, task }
    }
}

struct Request {
    method: String,
    path: String,
    headers: HashMap<String, String>,
    body: String,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    surplus: &'static str,
}

impl Response {
    fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new(), surplus: "" }
    }

    fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(each, _)| each != name);
        self
    }

    fn problem(status: u16) -> Self {
        let text = format!("{{\"type\":\"x:y\",\"title\":\"t\",\"status\":{status},\"detail\":\"d\"}}");
        Self { body: text, ..Self::new(status) }.with("Content-Type", "application/problem+json")
    }
}

async fn serve(mut stream: TcpStream, state: &Mutex<State>, flaw: Flaw) {
    let Some(request) = read(&mut stream).await else { return };
    let mut response = answer(&request, state, flaw);
    let is_feed = request.method == "GET" && state.lock().expect("state").feeds.contains_key(&request.path);
    for (name, value) in [
        ("Cache-Control", "no-store"),
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Allow-Methods", "OPTIONS, GET, HEAD, POST, PATCH, DELETE"),
        ("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match"),
        ("Access-Control-Expose-Headers", "Location, Link, ETag, Retry-After"),
    ] {
        if flaw != name {
            response = response.with(name, value);
        }
    }
    let is_head = request.method == "HEAD";
    let mut text = format!("HTTP/1.1 {} Scripted\r\n", response.status);
    for (name, value) in &response.headers {
        text += &format!("{name}: {value}\r\n");
    }
    if response.status != 204 && !is_feed {
        text += &format!("Content-Length: {}\r\n", response.body.len());
    }
    text += "Connection: close\r\n\r\n";
    if !is_head {
        text += &response.body;
        text += response.surplus;
    }
    let _ = stream.write_all(text.as_bytes()).await;
    while is_feed
        && state.lock().expect("state").feeds.contains_key(&request.path)
        && flaw != "event streams stay"
    {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let _ = stream.shutdown().await;
}

fn answer(request: &Request, state: &Mutex<State>, flaw: Flaw) -> Response {
    let mut state = state.lock().expect("state");
    let is_wrong = |name: &str| flaw == name;
    if let Some((id, below)) = request.path.strip_prefix("/session/").and_then(|path| path.split_once('/')) {
        return below_session(request, id, below, &mut state, flaw);
    }
    if let Some(id) = request.path.strip_prefix("/session/") {
        return on_session(request, id, &mut state, flaw);
    }
    let allow = if is_wrong("allow everything") {
        "OPTIONS, POST, PUT, PATCH, DELETE"
    } else {
        "OPTIONS, GET, HEAD, POST"
    };
    match &*request.method {
        "OPTIONS" => {
            let response = Response::new(200).with("Allow", allow);
            let response =
                if is_wrong("no Accept-Post") { response } else { response.with("Accept-Post", SDP) };
            if is_wrong("links for preflights") {
                response.with("Link", "<stun:x>; rel=\"ice-server\"")
            } else {
                response
            }
        }
        "GET" if is_wrong("GET is a page") => Response { body: "<p>hello".to_owned(), ..Response::new(200) },
        "GET" | "HEAD" if request.path.starts_with("/whep/") && !is_wrong("HEAD without type") => {
            Response::new(200).with("Content-Type", SDP)
        }
        "HEAD" if is_wrong("HEAD is unknown") => Response::problem(405).with("Allow", allow),
        "GET" | "HEAD" => Response::new(200),
        "POST" => post(request, &mut state, flaw),
        _ if is_wrong("405 is 404") => Response::problem(404),
        _ => Response::problem(405).with("Allow", allow),
    }
}

fn on_session(request: &Request, id: &str, state: &mut State, flaw: Flaw) -> Response {
    let is_wrong = |name: &str| flaw == name;
    let Some(session) = state.sessions.get(id).cloned() else { return Response::problem(404) };
    match &*request.method {
        "GET" | "HEAD" => Response::new(204),
        "OPTIONS" => Response::new(200).with("Accept-Patch", FRAGMENT),
        "DELETE"
            if is_wrong("DELETE looks at If-Match") && request.header("if-match").contains("no-such") =>
        {
            Response::problem(412)
        }
        "DELETE" => {
            if !is_wrong("DELETE keeps it") {
                state.sessions.remove(id);
                state.feeds.retain(|path, _| !path.contains(id));
            }
            Response::new(if is_wrong("DELETE is 204") { 204 } else { 200 })
        }
        "PATCH" => {
            let kind = request.header("content-type").split(';').next().unwrap_or_default().trim();
            if !kind.eq_ignore_ascii_case(FRAGMENT) {
                return Response::problem(415).with("Accept-Patch", FRAGMENT);
            }
            let tags = request.header("if-match");
            let is_member = tags.split(',').map(str::trim).any(|tag| {
                let tag = if is_wrong("weak tags match") { tag.trim_start_matches("W/") } else { tag };
                let tag = if is_wrong("tags want quotes") { tag } else { tag.trim_matches('"') };
                let current = if is_wrong("tags want quotes") {
                    session.tag.clone()
                } else {
                    session.tag.trim_matches('"').to_owned()
                };
                tag == "*" || tag == current
            });
            if tags.is_empty() && !is_wrong("no tag is fine") {
                return Response::problem(428);
            }
            if !tags.is_empty() && !is_member && !is_wrong("any tag is fine") {
                return Response::problem(412);
            }
            let value = |name: &str| {
                let line = request.body.lines().find_map(|line| line.strip_prefix(name));
                line.unwrap_or_default().to_owned()
            };
            let is_readable = request.body.contains("a=candidate:") || request.body.contains("a=end-of");
            if !is_readable || request.body.contains("garbage") || request.body.contains("{") {
                return Response::problem(if is_wrong("500 for garbage") { 500 } else { 400 });
            }
            let [ufrag, pwd] = [value("a=ice-ufrag:"), value("a=ice-pwd:")];
            match (ufrag == session.ufrag, pwd == session.pwd) {
                (true, true) if is_wrong("a trickle is 200") => Response::new(200),
                (true, true) => Response::new(204),
                _ if ufrag.len() < 4 || pwd.len() < 22 => Response::problem(400),
                (false, false) => Response::problem(422),
                _ if is_wrong("half a restart is a trickle") => Response::new(204),
                _ => Response::problem(400),
            }
        }
        _ => Response::problem(405).with("Allow", "OPTIONS, GET, HEAD, PATCH, DELETE"),
    }
}

fn post(request: &Request, state: &mut State, flaw: Flaw) -> Response {
    let is_wrong = |name: &str| flaw == name;
    let kind = request.header("content-type").split(';').next().unwrap_or_default().trim().to_owned();
    let kind_fits = if is_wrong("media types by the letter") {
        request.header("content-type") == SDP
    } else {
        kind.eq_ignore_ascii_case(SDP)
    };
    if !kind_fits {
        return if is_wrong("415 is 400") {
            Response::problem(400)
        } else {
            Response::problem(415).with("Accept-Post", SDP)
        };
    }
    let offer = &request.body;
    if !is_offer(offer) && !is_wrong("anything is an offer") {
        return match flaw {
            "problems are text" => Response { body: "no".to_owned(), ..Response::new(400) },
            "400 is 500" => Response::problem(500),
            _ => Response::problem(400),
        };
    }
    let is_play = request.path.starts_with("/whep/");
    let refused = ["a=recvonly", "a=inactive", "a=sendonly"];
    let refused = if is_play { &refused[1..] } else { &refused[..2] };
    if refused.iter().any(|line| offer.contains(line)) && !is_wrong("any direction is fine") {
        return Response::problem(422);
    }
    if !["opus", "VP8", "H264"].iter().any(|codec| offer.contains(codec)) {
        return Response::problem(422);
    }
    if (!offer.contains("a=rtcp-mux\r\n") || !offer.contains("a=fingerprint"))
        && !is_wrong("nothing is needed")
    {
        return Response::problem(422);
    }
    state.made += 1;
    let value = |name: &str| {
        let line = offer.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().to_owned()
    };
    let id = if is_wrong("sessions are counted") {
        format!("{:032}", state.made)
    } else {
        format!("{:032x}", rand::random::<u128>())
    };
    let tag = match flaw {
        "weak tags" => "W/\"abc\"".to_owned(),
        "one tag for all" => "\"abc\"".to_owned(),
        _ => format!("\"t{}\"", state.made),
    };
    let session = Session { tag: tag.clone(), ufrag: value("a=ice-ufrag:"), pwd: value("a=ice-pwd:") };
    state.sessions.insert(id.clone(), session);
    let mut location = format!("/session/{id}");
    if is_wrong("a relative Location") {
        location = format!("../session/{id}");
    }
    let response = Response {
        body: sdp(offer, is_play, flaw),
        ..Response::new(if is_wrong("200 for 201") { 200 } else { 201 })
    };
    let kind = if is_wrong("a charset") { "application/sdp; charset=utf-8" } else { SDP };
    let mut response = response
        .with("Content-Type", kind)
        .with("Location", &location)
        .with("ETag", tag)
        .with("Accept-Patch", FRAGMENT);
    if is_play {
        let events = match flaw {
            "no ; before events" => " events=\"layers,viewercount\"",
            "no list of events" => "",
            "layers without their events" => "; events=\"viewercount\"",
            _ => "; events=\"layers,viewercount\"",
        };
        let urn = "urn:ietf:params:whep:ext:core";
        response = response
            .with("Link", format!("</session/{id}/events>; rel=\"{urn}:server-sent-events\"{events}"))
            .with("Link", format!("</session/{id}/layer>; rel=\"{urn}:layer\""));
    }
    match flaw {
        "no ETag" => response = response.without("ETag"),
        "no Location" => response = response.without("Location"),
        "two Locations" => response = response.with("Location", location),
        "no Accept-Patch" => response = response.without("Accept-Patch"),
        "bytes after the answer" => response.surplus = "\r\n",
        "two links in one line" => {
            response = response.with("Link", "<stun:a>; rel=\"ice-server\", <stun:b>; rel=\"ice-server\"");
        }
        "an unregistered name" => {
            response = response.with("Link", "<https://x.example/y>; rel=\"urn:ietf:params:whip:ext:mine\"")
        }
        _ => {}
    }
    response
}

fn is_offer(offer: &str) -> bool {
    let is_ice = |name: &str, min: usize| {
        let mut values = offer.lines().filter_map(|line| line.strip_prefix(name));
        values.all(|value| {
            value.len() >= min && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
        })
    };
    let is_media = |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        words.len() > 3 && words[1].parse::<u16>().is_ok() && words[2].contains("SAVP")
    };
    let mut media = offer.lines().filter(|line| line.starts_with("m="));
    offer.starts_with("v=0")
        && offer.contains("s=-")
        && offer.contains("m=audio")
        && media.all(is_media)
        && is_ice("a=ice-ufrag:", 4)
        && is_ice("a=ice-pwd:", 22)
}

/// Formats that it does not know, and what repairs them.
const STRANGE: [&str; 2] = ["70", "71"];

fn sdp(offer: &str, is_play: bool, flaw: Flaw) -> String {
    let direction = if is_play != (flaw == "directions are echoed") { "sendonly" } else { "recvonly" };
    let mut out = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nt=0 0\n".to_owned();
    if flaw != "no ice-lite" {
        out += "a=ice-lite\n";
    }
    let mids: Vec<_> = offer.lines().filter_map(|line| line.strip_prefix("a=mid:")).collect();
    out += &format!(
        "a=group:BUNDLE {}\n",
        if flaw == "an empty group" { String::new() } else { mids.join(" ") }
    );
    let mut mid = mids.iter();
    for line in offer.lines() {
        if let Some(media) = line.strip_prefix("m=") {
            let media = match flaw {
                "port 0" => media.replace(" 9 ", " 0 "),
                "another protocol" => media.replace("SAVPF", "SAVP"),
                "formats of its own" => format!("{media} 127"),
                "the rtx of what it dropped" => media.replace(" 70", ""),
                _ => STRANGE
                    .iter()
                    .fold(media.to_owned(), |media, format| media.replace(&format!(" {format}"), "")),
            };
            let setup = if flaw == "actpass" {
                "actpass"
            } else if offer.contains("setup:passive") {
                "active"
            } else {
                "passive"
            };
            out += &format!(
                "m={media}\nc=IN IP4 127.0.0.1\na=mid:{}\na={direction}\na=ice-ufrag:abcdefgh\na=ice-pwd:{}\na=ice-options:ice2 trickle\n\
                 a=fingerprint:sha-256 {}\na=setup:{setup}\n",
                mid.next().copied().unwrap_or_default(),
                "p".repeat(if flaw == "a weak pwd" { 10 } else { 24 }),
                vec!["AB"; 32].join(":")
            );
            if flaw != "no rtcp-mux" {
                out += "a=rtcp-mux\n";
            }
            if flaw != "no mux-only" {
                out += "a=rtcp-mux-only\n";
            }
            if flaw == "ice-lite in sections" {
                out += "a=ice-lite\n";
            }
            out += match flaw {
                "component 2" => "a=candidate:1 2 udp 2130706431 127.0.0.1 9 typ host\na=end-of-candidates\n",
                "candidates without end" => "a=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host\n",
                "candidates twice" => {
                    "a=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host\na=candidate:2 1 udp 2130706431 127.0.0.1 10 typ host\n\
                     a=end-of-candidates\n"
                }
                _ if media.starts_with("audio") => {
                    "a=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host\na=end-of-candidates\n"
                }
                _ => "",
            };
            if flaw == "tls-id unasked" || offer.contains("a=tls-id") {
                out += "a=tls-id:aaaaaaaaaaaaaaaaaaaaaaaa\n";
            }
        } else if ["a=rtpmap", "a=fmtp", "a=rtcp-fb", "a=extmap:"].iter().any(|name| line.starts_with(name)) {
            let line = match flaw {
                "mode 0" => line.replace("packetization-mode=1", "packetization-mode=0"),
                "other ids" => line.replace("extmap:3 ", "extmap:4 "),
                "other feedback" => line.replace("nack pli", "nack sli"),
                "wrong apt" => line.replace("apt=96", "apt=5"),
                _ => line.to_owned(),
            };
            out += &format!("{line}\n");
        }
    }
    if flaw == "bare line feeds" { out } else { out.replace('\n', "\r\n") }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).ok()?;
    let mut lines = head.lines();
    let mut words = lines.next()?.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let headers: HashMap<_, _> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let len: usize = headers.get("content-length").and_then(|len| len.parse().ok()).unwrap_or(0);
    while bytes.len() < head_end + 4 + len {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8_lossy(&bytes[head_end + 4..]).into_owned();
    Some(Request { method, path, headers, body })
}
