//! Server-sent events: who may have them, and what they say.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use std::time::Duration;
use support::{Joined, NOW, SDP, Show, code, config, keys, offer, refused, with_policy};
use wtn_media::{Layer, Rid};
use wtn_wish::{Bulletin, DeskConfig, EventReader, Method, NoPublisher, Policy, Reply};

const JSON: &str = "application/json";
const URN: &str = "urn:ietf:params:whep:ext:core:";

fn links(reply: &Reply) -> Vec<&str> {
    let is_link = |(name, _): &&(&str, String)| *name == "Link";
    reply.headers.iter().filter(is_link).map(|(_, value)| value.as_str()).collect()
}

/// A viewer of "live", with the reply that it got.
fn watch(show: &mut Show, offer: &str) -> (Joined, Reply) {
    let reply = show.post("/whep/live", offer);
    let joined = Joined::from(reply.clone());
    show.connect(&joined);
    (joined, reply)
}

/// POST for an event stream, with that body.
fn ask(show: &mut Show, joined: &Joined, body: &str) -> Reply {
    let path = format!("{}/events", joined.url);
    let call = show.call(Method::Post, &path);
    let call = if body.is_empty() { call } else { call.body(JSON, body.as_bytes()) };
    call.send()
}

/// A listener, and the URL that it reads.
struct Listener {
    url: String,
    reader: EventReader,
}

impl Listener {
    fn new(show: &mut Show, joined: &Joined, types: &str) -> Self {
        let made = ask(show, joined, types);
        assert_eq!(made.status, 201, "{}", String::from_utf8_lossy(&made.body));
        let url = made.header("Location").unwrap().to_owned();
        let feed = read(show, &url).feed.unwrap();
        Self { url, reader: EventReader::new(feed) }
    }

    /// Everything that it is told now, each `name data`.
    fn hears(&mut self, show: &Show) -> Vec<String> {
        let bulletin = show.desk.bulletin(self.reader.feed().stream).unwrap();
        self.hears_of(&bulletin)
    }

    fn hears_of(&mut self, bulletin: &Bulletin) -> Vec<String> {
        let events = std::iter::from_fn(|| self.reader.next(bulletin));
        events.map(|event| format!("{} {}", event.kind.name(), event.data)).collect()
    }
}

fn read(show: &mut Show, url: &str) -> Reply {
    show.call(Method::Get, url).send()
}

fn waiting_desk() -> DeskConfig {
    with_policy(Policy { no_publisher: NoPublisher::Wait, ..Policy::default() })
}

fn layer(rid: &str, bitrate: u32, width: u16, height: u16) -> Layer {
    Layer { rid: Rid::new(rid), spatial: None, temporal: None, bitrate, width, height }
}

#[test]
fn whep_21_and_27_the_201_links_to_events_and_layers() {
    let mut show = Show::open();
    show.publish("live", "pub-obs");
    let (joined, reply) = watch(&mut show, &offer("play-chromium"));
    let url = &joined.url;
    assert_eq!(
        links(&reply),
        [
            format!(
                "<{url}/events>; rel=\"{URN}server-sent-events\"; \
                 events=\"active,inactive,layers,viewercount,reconnect\""
            ),
            format!("<{url}/layer>; rel=\"{URN}layer\""),
        ]
    );
}

#[test]
fn whep_27_without_a_picture_there_are_neither_layers_nor_events_of_them() {
    let mut show = Show::open();
    show.publish("live", "pub-obs");
    let whole = offer("play-chromium");
    let head = &whole[..whole.find("m=").unwrap()];
    let audio = whole.split("m=").find(|section| section.starts_with("audio")).unwrap();
    let mid = audio.lines().find_map(|line| line.strip_prefix("a=mid:")).unwrap();
    let is_group = |line: &&str| line.starts_with("a=group:BUNDLE");
    let group = head.lines().find(is_group).unwrap();
    let sound = format!("{}m={audio}", head.replace(group, &format!("a=group:BUNDLE {mid}")));
    let (joined, reply) = watch(&mut show, &sound);
    assert_eq!(
        links(&reply),
        [format!(
            "<{}/events>; rel=\"{URN}server-sent-events\"; events=\"active,inactive,viewercount,reconnect\"",
            joined.url
        )]
    );
    refused(&ask(&mut show, &joined, "[\"layers\"]"), 400, "unknown_event");
    let layer = format!("{}/layer", joined.url);
    refused(&show.call(Method::Post, &layer).body(JSON, b"{}").send(), 404, "not_found");
}

#[test]
fn ext_01_links_are_as_absolute_as_the_location_and_publishers_get_none() {
    let mut show =
        Show::new(DeskConfig { public_url: Some("https://live.example.com/".to_owned()), ..config() });
    let published = show.post("/whip/live", &offer("pub-obs"));
    assert!(links(&published).is_empty());
    let publisher = Joined::from(published);
    show.connect(&publisher);
    let (_, reply) = watch(&mut show, &offer("play-chromium"));
    for link in links(&reply) {
        assert!(link.starts_with("<https://live.example.com/session/"), "{link}");
    }
    for below in ["events", "layer"] {
        let path = publisher.url.trim_start_matches("https://live.example.com").to_owned() + "/" + below;
        refused(&show.call(Method::Post, &path).body(JSON, b"{}").send(), 404, "not_found");
    }
}

#[test]
fn whep_22_a_list_of_types_makes_a_stream_of_those_and_none_one_of_all() {
    let mut show = Show::open();
    show.publish("live", "pub-obs");
    let (joined, _) = watch(&mut show, &offer("play-chromium"));
    for (body, types) in [
        ("", "active,inactive,layers,viewercount,reconnect"),
        ("[\"layers\"]", "layers"),
        (" [ \"inactive\", \"active\", \"active\" ] ", "active,inactive"),
    ] {
        let made = ask(&mut show, &joined, body);
        assert_eq!((made.status, made.body.len()), (201, 0));
        let url = made.header("Location").unwrap().to_owned();
        let (below, secret) = url.rsplit_once('/').unwrap();
        assert_eq!((below, secret.len()), (&*format!("{}/events", joined.url), 32));
        let reply = read(&mut show, &url);
        assert_eq!(reply.feed.unwrap().types.to_string(), types);
    }
}

#[test]
fn whep_22_an_unknown_type_is_refused_and_nothing_is_made() {
    let mut show = Show::open();
    show.publish("live", "pub-obs");
    let (joined, _) = watch(&mut show, &offer("play-chromium"));
    for (body, status, expected) in [
        ("[\"layers\",\"nope\"]", 400, "unknown_event"),
        ("[\"scte35\"]", 400, "unknown_event"),
        ("[\"Active\"]", 400, "unknown_event"),
        ("{\"events\":[]}", 400, "bad_event_list"),
        ("[1]", 400, "bad_event_list"),
        ("\"active\"", 400, "bad_event_list"),
        ("[\"active\"", 400, "bad_event_list"),
    ] {
        refused(&ask(&mut show, &joined, body), status, expected);
    }
    let path = format!("{}/events", joined.url);
    refused(&show.call(Method::Post, &path).body(SDP, b"[]").send(), 415, "wrong_media_type");
    let huge = format!("[\"{}\"]", "x".repeat(100_000));
    refused(&ask(&mut show, &joined, &huge), 413, "body_too_large");
    // All four places are free still.
    for _ in 0..4 {
        assert_eq!(ask(&mut show, &joined, "").status, 201);
    }
    let fifth = ask(&mut show, &joined, "");
    refused(&fifth, 429, "too_many_event_streams");
}

#[test]
fn whep_22_a_refusal_repeats_little_of_what_was_written() {
    let mut show = Show::open();
    show.publish("live", "pub-obs");
    let (joined, _) = watch(&mut show, &offer("play-chromium"));
    let names: Vec<_> = (0..500).map(|n| format!("{}{n}", "\\u001b".repeat(9))).collect();
    let reply = ask(&mut show, &joined, &format!("[\"{}\"]", names.join("\",\"")));
    assert_eq!(code(&reply), "unknown_event");
    assert!(reply.body.len() < 1_000, "{}", String::from_utf8_lossy(&reply.body));
}

#[test]
fn whep_23_a_stream_is_of_that_type_and_not_kept_by_anybody() {
    let mut show = Show::open();
    show.publish("live", "pub-obs");
    let (joined, _) = watch(&mut show, &offer("play-chromium"));
    let listener = Listener::new(&mut show, &joined, "");
    let reply = read(&mut show, &listener.url);
    assert_eq!((reply.status, reply.header("Content-Type")), (200, Some("text/event-stream")));
    let head = show.call(Method::Head, &listener.url).send();
    assert_eq!((head.status, head.header("Content-Type")), (200, Some("text/event-stream")));
    assert!(head.feed.is_none(), "nothing follows a HEAD");
    refused(&show.call(Method::Post, &listener.url).send(), 405, "method_not_allowed");
}

#[test]
fn whep_23_each_event_is_a_name_and_one_line_of_data() {
    let mut show = Show::open();
    show.publish("live", "pub-obs");
    let (joined, _) = watch(&mut show, &offer("play-chromium"));
    let mut listener = Listener::new(&mut show, &joined, "[\"viewercount\"]");
    let bulletin = show.desk.bulletin(listener.reader.feed().stream).unwrap();
    let event = listener.reader.next(&bulletin).unwrap();
    assert_eq!(event.to_string(), "event: viewercount\ndata: {\"viewercount\":1}\n\n");
    assert_eq!(listener.reader.next(&bulletin), None, "only what was asked for, and once");
}

#[test]
fn whep_24_an_idle_session_hears_nothing_until_somebody_publishes() {
    let mut show = Show::new(waiting_desk());
    let (joined, _) = watch(&mut show, &offer("play-chromium"));
    let mut listener = Listener::new(&mut show, &joined, "[\"active\",\"inactive\"]");
    assert!(listener.hears(&show).is_empty(), "never inactive first");
    let publisher = show.publish("live", "pub-obs");
    assert_eq!(listener.hears(&show), ["active {}"]);
    show.end(&publisher);
    assert_eq!(listener.hears(&show), ["inactive {}"]);
    assert!(listener.hears(&show).is_empty());
    show.publish("live", "pub-obs");
    assert_eq!(listener.hears(&show), ["active {}"]);
}

#[test]
fn whep_24_who_begins_to_listen_hears_how_things_stand() {
    let mut show = Show::new(waiting_desk());
    let (early, _) = watch(&mut show, &offer("play-chromium"));
    let publisher = show.publish("live", "pub-obs");
    let (late, _) = watch(&mut show, &offer("play-chromium"));
    assert_eq!(Listener::new(&mut show, &late, "[\"active\"]").hears(&show), ["active {}"]);
    show.end(&publisher);
    let both = "[\"active\",\"inactive\"]";
    // Both have been there while somebody published; a third never saw anybody.
    for joined in [&early, &late] {
        assert_eq!(Listener::new(&mut show, joined, both).hears(&show), ["inactive {}"]);
    }
    let (idle, _) = watch(&mut show, &offer("play-chromium"));
    assert!(Listener::new(&mut show, &idle, both).hears(&show).is_empty());
}

#[test]
fn whep_24_a_publisher_that_takes_over_is_no_interruption() {
    let mut show = Show::open();
    show.publish("live", "pub-obs");
    let (joined, _) = watch(&mut show, &offer("play-chromium"));
    let mut listener = Listener::new(&mut show, &joined, "[\"active\",\"inactive\"]");
    assert_eq!(listener.hears(&show), ["active {}"]);
    let second = Joined::from(show.post("/whip/live", &offer("pub-obs")));
    show.connect(&second);
    assert!(listener.hears(&show).is_empty());
}

#[test]
fn whep_25_viewers_are_counted_as_the_status_pages_do_and_told_once_a_second() {
    let mut show = Show::open();
    show.publish("live", "pub-obs");
    let (first, _) = watch(&mut show, &offer("play-chromium"));
    let mut listener = Listener::new(&mut show, &first, "[\"viewercount\"]");
    let (second, _) = watch(&mut show, &offer("play-chromium"));
    assert!(show.desk.take_news().bulletins.is_empty(), "that is not urgent");
    show.desk.tick(show.now, NOW);
    let news = show.desk.take_news();
    let [(_, bulletin)] = &news.bulletins[..] else { panic!("{news:?}") };
    assert_eq!(listener.hears_of(bulletin), ["viewercount {\"viewercount\":2}"]);
    assert_eq!(show.desk.streams().next().unwrap().viewers, 2);
    show.end(&second);
    show.desk.tick(show.now, NOW);
    let news = show.desk.take_news();
    assert_eq!(listener.hears_of(&news.bulletins[0].1), ["viewercount {\"viewercount\":1}"]);
    show.desk.tick(show.now, NOW);
    assert!(show.desk.take_news().bulletins.is_empty(), "no news, nothing told");
}

#[test]
fn whep_25_a_server_that_stops_sends_its_viewers_away() {
    let mut show = Show::open();
    show.publish("live", "pub-obs");
    let (joined, _) = watch(&mut show, &offer("play-chromium"));
    let mut listener = Listener::new(&mut show, &joined, "[\"reconnect\"]");
    assert!(listener.hears(&show).is_empty());
    show.desk.drain();
    let news = show.desk.take_news();
    assert_eq!(listener.hears_of(&news.bulletins[0].1), ["reconnect {}"]);
    assert!(listener.hears(&show).is_empty(), "once is enough");
}

#[test]
fn whep_26_a_stream_ends_by_delete() {
    let mut show = Show::open();
    show.publish("live", "pub-obs");
    let (joined, _) = watch(&mut show, &offer("play-chromium"));
    let listener = Listener::new(&mut show, &joined, "");
    let other = Listener::new(&mut show, &joined, "");
    assert_eq!(show.call(Method::Delete, &listener.url).send().status, 200);
    assert_eq!(show.desk.take_news().ended, [listener.reader.feed().id]);
    refused(&read(&mut show, &listener.url), 404, "not_found");
    refused(&show.call(Method::Delete, &listener.url).send(), 404, "not_found");
    assert_eq!(read(&mut show, &other.url).status, 200);
}

#[test]
fn whep_26_and_ext_04_streams_end_with_their_session() {
    let mut show = Show::open();
    show.publish("live", "pub-obs");
    let (joined, _) = watch(&mut show, &offer("play-chromium"));
    let (stays, _) = watch(&mut show, &offer("play-chromium"));
    let [one, two] = [(); 2].map(|()| Listener::new(&mut show, &joined, ""));
    let third = Listener::new(&mut show, &stays, "");
    show.call(Method::Delete, &joined.url).send();
    let ended = show.desk.take_news().ended;
    assert_eq!(ended, [one.reader.feed().id, two.reader.feed().id]);
    for url in [&one.url, &two.url] {
        refused(&read(&mut show, url), 404, "not_found");
    }
    refused(&ask(&mut show, &joined, ""), 404, "not_found");
    let layer = format!("{}/layer", joined.url);
    refused(&show.call(Method::Delete, &layer).send(), 404, "not_found");
    show.end(&stays);
    assert_eq!(show.desk.take_news().ended, [third.reader.feed().id]);
}

#[test]
fn whep_26_a_stream_is_found_below_its_own_session_only() {
    let mut show = Show::open();
    show.publish("live", "pub-obs");
    let (joined, _) = watch(&mut show, &offer("play-chromium"));
    let (other, _) = watch(&mut show, &offer("play-chromium"));
    let listener = Listener::new(&mut show, &joined, "");
    let secret = listener.url.rsplit('/').next().unwrap();
    let below_other = format!("{}/events/{secret}", other.url);
    refused(&read(&mut show, &below_other), 404, "not_found");
    let guessed = format!("{}/events/{}", joined.url, "0".repeat(32));
    refused(&read(&mut show, &guessed), 404, "not_found");
}

#[test]
fn ext_04_extensions_need_the_sessions_key_and_the_url_of_a_stream_reads_it() {
    let mut show = Show::new(DeskConfig { play_keys: keys(&["k", "other"]), ..config() });
    show.publish("live", "pub-obs");
    let body = offer("play-chromium");
    let reply = show.call(Method::Post, "/whep/live").body(SDP, body.as_bytes()).key("Bearer k").send();
    let joined = Joined::from(reply);
    show.connect(&joined);
    let [events, layer] = ["events", "layer"].map(|below| format!("{}/{below}", joined.url));
    for path in [&events, &layer] {
        refused(&show.call(Method::Post, path).body(JSON, b"[]").send(), 401, "no_token");
        let wrong = show.call(Method::Post, path).body(JSON, b"[]").key("Bearer x").send();
        refused(&wrong, 401, "bad_token");
        let other = show.call(Method::Post, path).body(JSON, b"[]").key("Bearer other").send();
        refused(&other, 403, "wrong_scope");
    }
    refused(&show.call(Method::Delete, &layer).send(), 401, "no_token");
    let made = show.call(Method::Post, &events).key("Bearer k").send();
    let url = made.header("Location").unwrap().to_owned();
    assert_eq!(read(&mut show, &url).status, 200, "l25: EventSource sends no key");
    assert_eq!(show.call(Method::Get, &url).key("Bearer k").send().status, 200);
    refused(&show.call(Method::Get, &url).key("Bearer other").send(), 403, "wrong_scope");
    refused(&show.call(Method::Delete, &url).send(), 401, "no_token");
    assert_eq!(show.call(Method::Delete, &url).key("Bearer k").send().status, 200);
}

#[test]
fn auth_09_options_of_extensions_say_what_they_take_and_nothing_about_what_is_there() {
    let mut show = Show::new(DeskConfig { play_keys: keys(&["k"]), ..config() });
    for (path, allow) in [
        ("/session/0/events", "OPTIONS, POST"),
        ("/session/0/events/1", "OPTIONS, GET, HEAD, DELETE"),
        ("/session/0/layer", "OPTIONS, POST, DELETE"),
    ] {
        let reply = show.call(Method::Options, path).send();
        assert_eq!((reply.status, reply.header("Allow")), (200, Some(allow)));
        assert_eq!(reply.header("Accept-Post").is_some(), allow.contains("POST"));
        refused(&show.call(Method::Patch, path).send(), 404, "not_found");
    }
}

#[test]
fn whep_28_layers_are_listed_below_the_pictures_section() {
    let mut show = Show::open();
    let publisher = show.publish("live", "pub-chromium-vp8-simulcast");
    let body = offer("play-chromium");
    let sections: Vec<_> = body.lines().filter(|line| line.starts_with("m=")).collect();
    let index = sections.iter().position(|line| line.starts_with("m=video")).unwrap();
    let (joined, _) = watch(&mut show, &body);
    let mut listener = Listener::new(&mut show, &joined, "[\"layers\"]");
    assert!(listener.hears(&show).is_empty(), "nothing is known yet");
    let unnamed = Layer { rid: None, ..layer("x", 1, 1, 1) };
    let svc = Layer { rid: None, spatial: Some(1), temporal: Some(0), ..layer("x", 500, 0, 0) };
    let stream = publisher.admission.stream;
    show.desk.on_layers(stream, &[layer("h", 0, 1280, 720), layer("l", 200_000, 320, 180), unnamed, svc]);
    assert_eq!(show.desk.take_news().bulletins.len(), 1);
    let expected = format!(
        "layers {{\"{index}\":[{{\"rid\":\"h\",\"bitrate\":0,\"width\":1280,\"height\":720}},\
         {{\"rid\":\"l\",\"bitrate\":200000,\"width\":320,\"height\":180}},\
         {{\"spatialLayerId\":1,\"temporalLayerId\":0,\"bitrate\":500}}]}}"
    );
    assert_eq!(listener.hears(&show), [expected]);
    show.end(&publisher);
    assert_eq!(listener.hears(&show), [format!("layers {{\"{index}\":[]}}")], "gone with the publisher");
    show.desk.on_layers(stream, &[layer("h", 1, 1, 1)]);
    assert!(listener.hears(&show).is_empty(), "late word of a publisher that is gone");
}

#[test]
fn whep_21_who_answers_our_offer_is_told_of_extensions_too() {
    let policy = Policy { counter_offer: true, ..Policy::default() };
    let mut show = Show::new(with_policy(policy));
    show.publish("live", "pub-obs");
    let strange = offer("play-chromium").replace("H264", "H999");
    let strange = strange.replace("VP8", "VX8").replace("VP9", "VX9").replace("AV1", "AX1");
    let reply = show.post("/whep/live", &strange);
    assert_eq!(reply.status, 406, "{}", String::from_utf8_lossy(&reply.body));
    assert!(links(&reply).is_empty(), "there is no session yet");
    let url = reply.header("Location").unwrap().to_owned();
    refused(&show.call(Method::Post, &format!("{url}/events")).send(), 404, "not_found");
}

/// What a reader is told never depends on how often it asks, only how often it hears.
#[test]
fn whep_23_a_slow_listener_hears_how_things_stand_and_not_how_they_came_about() {
    let mut show = Show::open();
    let mut publisher = show.publish("live", "pub-obs");
    let (joined, _) = watch(&mut show, &offer("play-chromium"));
    let mut slow = Listener::new(&mut show, &joined, "");
    slow.hears(&show);
    for _ in 0..1_000 {
        show.end(&publisher);
        publisher = show.publish("live", "pub-obs");
        show.wait(Duration::from_millis(1));
    }
    assert!(slow.hears(&show).is_empty());
    show.end(&publisher);
    assert_eq!(slow.hears(&show), ["inactive {}"]);
}
