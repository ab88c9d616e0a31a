//! The checks bite: a server that is wrong in one thing fails the rows that ask for it, and one that is not
//! passes them.

mod fake;

use fake::{Fake, Flaw};
use wtn_conformance::{Options, Place, Report, Verdict, run};

/// A flaw, and the rows that must see it.
const FLAWS: &[(Flaw, &[&str])] = &[
    ("media types by the letter", &["HTTP-02"]),
    ("415 is 400", &["HTTP-03"]),
    ("400 is 500", &["HTTP-04", "WHIP-09"]),
    ("anything is an offer", &["HTTP-04", "WHIP-09", "SESS-22", "SDP-01"]),
    ("problems are text", &["HTTP-06"]),
    ("GET is a page", &["HTTP-07"]),
    ("HEAD is unknown", &["HTTP-08"]),
    ("405 is 404", &["HTTP-09"]),
    ("allow everything", &["HTTP-09"]),
    ("no Accept-Post", &["HTTP-10"]),
    ("no Accept-Patch", &["HTTP-11"]),
    ("Cache-Control", &["HTTP-16"]),
    ("200 for 201", &["WHIP-01"]),
    ("a charset", &["WHIP-02"]),
    ("no Location", &["WHIP-03"]),
    ("two Locations", &["WHIP-03"]),
    ("a relative Location", &["WHIP-04"]),
    ("sessions are counted", &["WHIP-05"]),
    ("no ETag", &["WHIP-06"]),
    ("weak tags", &["WHIP-06"]),
    ("one tag for all", &["WHIP-06"]),
    ("bare line feeds", &["WHIP-07"]),
    ("bytes after the answer", &["WHIP-08"]),
    ("candidates without end", &["WHIP-12", "SDP-16"]),
    ("a trickle is 200", &["SESS-01"]),
    ("500 for garbage", &["SESS-02"]),
    ("no tag is fine", &["SESS-03"]),
    ("any tag is fine", &["SESS-04"]),
    ("weak tags match", &["SESS-06"]),
    ("tags want quotes", &["SESS-07"]),
    ("half a restart is a trickle", &["SESS-21"]),
    ("a weak pwd", &["SESS-22"]),
    ("DELETE is 204", &["SESS-25"]),
    ("DELETE keeps it", &["SESS-25"]),
    ("DELETE looks at If-Match", &["SESS-26"]),
    ("another protocol", &["SDP-01"]),
    ("an empty group", &["SDP-06"]),
    ("port 0", &["SDP-07"]),
    ("no rtcp-mux", &["SDP-08"]),
    ("nothing is needed", &["SDP-08", "SDP-12"]),
    ("no mux-only", &["SDP-09"]),
    ("actpass", &["SDP-10"]),
    ("tls-id unasked", &["SDP-13"]),
    ("ice-lite in sections", &["SDP-14"]),
    ("component 2", &["SDP-16"]),
    ("candidates twice", &["SDP-16"]),
    ("any direction is fine", &["SDP-19"]),
    ("directions are echoed", &["SDP-19"]),
    ("formats of its own", &["SDP-21"]),
    ("mode 0", &["SDP-23"]),
    ("other ids", &["SDP-26"]),
    ("other feedback", &["SDP-27"]),
    ("wrong apt", &["SDP-28"]),
    ("the rtx of what it dropped", &["SDP-28"]),
    ("Access-Control-Allow-Methods", &["AUTH-09"]),
    ("Access-Control-Allow-Headers", &["AUTH-09"]),
    ("Access-Control-Allow-Origin", &["AUTH-10", "AUTH-11"]),
    ("Access-Control-Expose-Headers", &["AUTH-10"]),
    ("two links in one line", &["AUTH-12"]),
    ("links for preflights", &["AUTH-14"]),
    ("an unregistered name", &["EXT-03"]),
];

/// The same for what only viewers see, on a server without media behind it.
const FLAWS_OF_WHEP: &[(Flaw, &[&str])] = &[
    ("no ; before events", &["WHEP-21"]),
    ("no list of events", &["WHEP-21"]),
    ("unknown events are fine", &["WHEP-22"]),
    ("events are no event stream", &["WHEP-23"]),
    ("two data lines", &["WHEP-23"]),
    ("all events for everybody", &["WHEP-23"]),
    ("event streams stay", &["WHEP-26", "EXT-04"]),
    ("layers without their events", &["WHEP-27"]),
    ("layers without a name", &["WHEP-28"]),
    ("sections by name", &["WHEP-28"]),
    ("any layer is fine", &["WHEP-29"]),
];

async fn rows(flaw: Flaw, rows: &[&str]) -> Report {
    let fake = Fake::start(flaw).await;
    let (whip, whep) = Place::of_base(&fake.base).expect("a base");
    let is_whep = FLAWS_OF_WHEP.iter().any(|(_, of_whep)| of_whep.contains(&rows[0]));
    let options = Options {
        whip: (!is_whep).then_some(whip),
        whep: whep.filter(|_| is_whep),
        key: None,
        play_key: None,
        other_key: None,
        redirect: None,
        public_address: None,
        ca: None,
        only: rows.iter().map(|row| (*row).to_owned()).collect(),
        stream_prefix: "teeth".to_owned(),
        abuse: false,
    };
    run(options).await
}

#[tokio::test]
async fn a_wrong_server_fails_the_rows_that_ask_for_what_it_lacks() {
    let mut wrong = Vec::new();
    for (flaw, expected) in FLAWS.iter().chain(FLAWS_OF_WHEP) {
        let report = rows(flaw, expected).await;
        for row in *expected {
            let found =
                report.findings.iter().find(|finding| finding.row == *row).map(|finding| &finding.verdict);
            if !matches!(found, Some(Verdict::Fail(_))) {
                wrong.push(format!("{flaw}: {row} is {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn the_same_server_without_a_flaw_passes_them() {
    let mut all: Vec<&str> = FLAWS.iter().flat_map(|(_, rows)| rows.iter().copied()).collect();
    // It announces no ICE servers.
    all.retain(|row| *row != "AUTH-12");
    let report = rows("", &all).await;
    assert_eq!(report.findings.len(), all.iter().collect::<std::collections::BTreeSet<_>>().len());
    let failed: Vec<_> = report.findings.iter().filter(|finding| finding.verdict != Verdict::Pass).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let of_whep: Vec<&str> = FLAWS_OF_WHEP.iter().flat_map(|(_, rows)| rows.iter().copied()).collect();
    let report = rows("", &of_whep).await;
    let failed: Vec<_> = report.findings.iter().filter(|finding| finding.verdict != Verdict::Pass).collect();
    assert!(failed.is_empty() && report.findings.len() >= 7, "{failed:#?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_fails_and_nothing_hangs() {
    let (whip, whep) = Place::of_base("http://127.0.0.1:1").expect("a base");
    let options = Options {
        whip: Some(whip),
        whep,
        key: None,
        play_key: None,
        other_key: None,
        redirect: None,
        public_address: None,
        ca: None,
        only: vec!["WHIP-0".to_owned(), "http-10".to_owned()],
        stream_prefix: "nobody".to_owned(),
        abuse: false,
    };
    let report = run(options).await;
    assert!(!report.is_conformant());
    assert!(report.findings.iter().all(|finding| matches!(finding.verdict, Verdict::Fail(_))), "{report}");
}

#[tokio::test]
async fn junit_is_well_formed_and_says_what_the_table_says() {
    let mut report = rows("a charset", &["WHIP-01", "WHIP-02", "LB-01"]).await;
    let odd = "<&>\"'\u{0}\u{1b}\n]]>".to_owned();
    for finding in &mut report.findings {
        if let Verdict::Skip(why) = &mut finding.verdict {
            *why = odd.clone();
        }
    }
    let junit = report.to_junit();
    let document = roxmltree::Document::parse(&junit).expect("well-formed");
    let cases: Vec<_> = document.descendants().filter(|node| node.has_tag_name("testcase")).collect();
    let names: Vec<_> = cases.iter().filter_map(|case| case.attribute("name")?.split(' ').next()).collect();
    assert_eq!(names, ["WHIP-01", "WHIP-02", "LB-01"]);
    let count = |tag| document.descendants().filter(|node| node.has_tag_name(tag)).count();
    assert_eq!((count("failure"), count("skipped")), (1, 1));
    let root = document.root_element();
    let totals = ["tests", "failures", "skipped"].map(|name| root.attribute(name).unwrap_or("none"));
    assert_eq!(totals, ["3", "1", "1"]);

    let json = report.to_json();
    assert_eq!((&json["passed"], &json["failed"], &json["skipped"]), (&1.into(), &1.into(), &1.into()));
    assert_eq!(json["ok"], false);
    let table = report.to_string();
    assert!(
        table.contains("fail  WHIP-02") && table.contains("1 passed, 1 failed (1 of them MUST), 1 not seen"),
        "{table}"
    );
}
