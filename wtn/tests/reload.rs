//! A running server goes over to another configuration, or stays with the old one; who is connected notices nothing.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use rustix::process::Signal;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use support::{Folder, Running};
use tokio_util::sync::CancellationToken;
use wtn::config::{Config, Secret};
use wtn_client::{Length, PlayOptions, PublishOptions};
use wtn_media::Codec;

const WAIT: Duration = Duration::from_secs(60);

/// Waits until `/metrics` has that line.
fn wait_for(server: &Running, line: &str) {
    let begun = Instant::now();
    while !server.get("/metrics").lines().any(|each| each == line) {
        assert!(begun.elapsed() < WAIT, "no {line} in {}", server.get("/metrics"));
    }
}

fn metric(server: &Running, name: &str) -> u64 {
    let metrics = server.get("/metrics");
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in {metrics}"))
}

/// Of a POST without an offer: 400 is what a key that opens gets.
fn status_with(server: &Running, path: &str, key: &str) -> String {
    let mut stream = TcpStream::connect(&server.http).unwrap();
    let body = "hello";
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/sdp\r\n\
         Authorization: Bearer {key}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().to_owned()
}

fn config(keys: &str, more: &str) -> String {
    format!("[auth]\npublish_keys = [\"{keys}-publish\"]\nplay_keys = [\"{keys}-play\"]\n{more}")
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_changes_keys_and_endpoints_and_no_stream_notices() {
    let folder = Folder::new("reload");
    let file = folder.0.join("wtn.toml");
    fs::write(&file, config("first", "")).unwrap();
    let server = Running::start(&folder, &["--config", file.to_str().unwrap()]);
    let url = |path: &str| format!("http://{}{path}", server.http);
    let (publishing, playing) = (CancellationToken::new(), CancellationToken::new());
    let publisher = tokio::spawn(wtn_client::publish_test(
        PublishOptions {
            url: url("/whip/live"),
            key: Some("first-publish".to_owned()),
            ca: None,
            codec: Codec::H264,
            length: Length::Forever,
            wait: WAIT,
        },
        publishing.clone(),
    ));
    let player = tokio::spawn(wtn_client::play(
        PlayOptions {
            url: url("/whep/live"),
            key: Some("first-play".to_owned()),
            ca: None,
            length: None,
            wait: WAIT,
            expect: "h264+opus".parse().unwrap(),
        },
        playing.clone(),
    ));
    wait_for(&server, "wtn_sessions{role=\"subscriber\"} 1");
    assert_eq!(metric(&server, "wtn_config_last_reload_success_timestamp_seconds"), 0);

    fs::write(&file, "[auth]\npublish_kys = [\"second-publish\"]\nopen = 1\n").unwrap();
    server.signal(Signal::HUP);
    wait_for(&server, "wtn_config_last_reload_successful 0");
    assert_eq!(status_with(&server, "/whip/other", "first-publish"), "400", "the old key still opens");
    assert_eq!(status_with(&server, "/whip/other", "second-publish"), "401");

    let listed = "[streams]\nnames = \"listed\"\n[[endpoints]]\nname = \"live\"\n";
    let more = format!("{listed}[[endpoints]]\nname = \"vip\"\n[limits]\nconnections_per_address = 77\n");
    fs::write(&file, config("second", &more)).unwrap();
    server.signal(Signal::HUP);
    wait_for(&server, "wtn_config_last_reload_successful 1");
    assert!(metric(&server, "wtn_config_last_reload_success_timestamp_seconds") > 1_700_000_000);
    assert_eq!(status_with(&server, "/whip/vip", "second-publish"), "400");
    assert_eq!(status_with(&server, "/whip/vip", "first-publish"), "401", "the old key opens no more");
    assert_eq!(status_with(&server, "/whip/other", "second-publish"), "404", "no endpoint");

    for (text, went_well) in [("[", 0), (&*config("second", listed), 1)] {
        fs::write(&file, text).unwrap();
        server.signal(Signal::HUP);
        wait_for(&server, &format!("wtn_config_last_reload_successful {went_well}"));
    }
    assert_eq!(status_with(&server, "/whip/vip", "second-publish"), "404", "the endpoint is gone");

    let before = metric(&server, "wtn_packets_out_total");
    let begun = Instant::now();
    while metric(&server, "wtn_packets_out_total") < before + 100 {
        assert!(begun.elapsed() < WAIT, "no packets flow");
    }
    wait_for(&server, "wtn_sessions{role=\"publisher\"} 1");
    wait_for(&server, "wtn_sessions{role=\"subscriber\"} 1");
    playing.cancel();
    let played = player.await.unwrap().unwrap();
    publishing.cancel();
    let published = publisher.await.unwrap().unwrap();
    assert!(played.ok, "{played}");
    assert!(published.ok, "{published}");
    assert!(played.tracks.iter().all(|track| track.source_changes == 0), "{played}");

    server.signal(Signal::TERM);
    let (code, said) = server.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.matches("publisher is live").count(), 1, "{said}");
    for part in [
        "did you mean `publish_keys`?",
        "auth.publish_keys, auth.play_keys, streams.names, endpoints",
        "\"keys\":\"limits.connections_per_address\"",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    for secret in ["first-publish", "second-publish"] {
        assert!(!said.contains(secret), "{said}");
    }
}

#[tokio::test]
async fn embedders_reload_too_and_are_told_what_waits_for_a_restart() {
    let config = Config {
        http_listen: "127.0.0.1:0".parse().unwrap(),
        media_listen: "127.0.0.1:0".parse().unwrap(),
        publish_keys: vec![Secret::new("first").unwrap()],
        shards: Some(1),
        ..Config::default()
    };
    let running = wtn::Server::with(config.clone()).start().await.unwrap();
    assert!(
        running.reload(Config { publish_keys: Vec::new(), ..config.clone() }).is_err(),
        "nobody could publish"
    );
    assert_eq!(running.reload(config.clone()).unwrap(), []);
    let other = Config { publish_keys: vec![Secret::new("second").unwrap()], shards: Some(2), ..config };
    for _ in 0..2 {
        let changes = running.reload(other.clone()).unwrap();
        let waiting: Vec<_> =
            changes.iter().filter(|change| change.needs_restart).map(|change| change.key).collect();
        assert_eq!(waiting, ["shards"], "said each time");
        assert_eq!(running.shards(), 1);
    }
    running.shutdown().await;
}
