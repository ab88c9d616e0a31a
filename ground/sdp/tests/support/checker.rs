//! A strict reader of answers, written against the standards and sharing nothing with the crate under test.

use super::Expected;
use std::collections::{BTreeMap, BTreeSet};

/// One `m=` section as lines.
struct Section<'a> {
    media: &'a str,
    port: u16,
    proto: &'a str,
    formats: Vec<&'a str>,
    attributes: Vec<&'a str>,
}

impl<'a> Section<'a> {
    /// The values of all `a=<name>:` lines.
    fn values(&self, name: &str) -> Vec<&'a str> {
        let with_colon = format!("{name}:");
        self.attributes.iter().filter_map(|line| line.strip_prefix(with_colon.as_str())).collect()
    }

    fn one(&self, name: &str) -> &'a str {
        let values = self.values(name);
        assert_eq!(values.len(), 1, "a={name} must stand once in m={}", self.media);
        values[0]
    }

    fn has(&self, line: &str) -> bool {
        self.attributes.contains(&line)
    }

    fn map(&self, name: &str) -> BTreeMap<&'a str, &'a str> {
        self.values(name).into_iter().filter_map(|value| value.split_once(' ')).collect()
    }

    fn direction(&self) -> Option<&'a str> {
        let is_direction = |line: &&&str| ["sendrecv", "sendonly", "recvonly", "inactive"].contains(line);
        assert!(self.attributes.iter().filter(is_direction).count() <= 1, "two directions");
        self.attributes.iter().find(is_direction).copied()
    }
}

fn split(sdp: &str) -> (Vec<&str>, Vec<Section<'_>>) {
    let mut session = Vec::new();
    let mut sections: Vec<Section<'_>> = Vec::new();
    for line in sdp.lines() {
        if let Some(media) = line.strip_prefix("m=") {
            let fields: Vec<_> = media.split(' ').collect();
            sections.push(Section {
                media: fields[0],
                port: fields[1].parse().unwrap(),
                proto: fields[2],
                formats: fields[3..].to_vec(),
                attributes: Vec::new(),
            });
        } else if let Some(section) = sections.last_mut() {
            section.attributes.extend(line.strip_prefix("a="));
        } else {
            session.push(line);
        }
    }
    (session, sections)
}

/// Panics, naming the rule, unless `answer` is a proper answer to `offer`.
pub fn check(name: &str, offer: &str, answer: &str, expected: Expected) {
    println!("checking the answer to {name}:\n{answer}");
    text(answer);
    let (offer_session, offered) = split(offer);
    let (session, sections) = split(answer);
    session_level(&offer_session, &session);
    assert_eq!(sections.len(), offered.len(), "sdp_01: as many m= lines");
    let mut ports = BTreeSet::new();
    let mut transports = BTreeSet::new();
    let mut accepted = Vec::new();
    for (ours, theirs) in sections.iter().zip(&offered) {
        assert_eq!((ours.media, ours.proto), (theirs.media, theirs.proto), "sdp_01: same order and proto");
        assert_eq!(ours.values("mid"), theirs.values("mid"), "sdp_06: same mids");
        assert!(!ours.has("bundle-only") && ours.values("rtcp").is_empty(), "sdp_07");
        assert!(ours.values("crypto").is_empty(), "sdp_31");
        if ours.port == 0 {
            assert!(!["audio", "video"].contains(&ours.media) || theirs.port == 0, "rejected without need");
            continue;
        }
        ports.insert(ours.port);
        transports.insert(transport(offer, ours));
        accepted_section(ours, theirs, expected);
        formats(ours, theirs, expected);
        extensions(ours, theirs, expected);
        simulcast(ours, theirs, expected);
        accepted.push(ours);
    }
    assert_eq!((ports.len(), transports.len()), (1, 1), "sdp_07, sdp_17: one transport for all");
    bundle(&session, &accepted);
    candidates(&accepted);
    shared_ids(&accepted);
    if expected == Expected::Subscriber {
        sources(&accepted);
    }
}

fn text(answer: &str) {
    assert!(answer.starts_with("v=0\r\no=- "), "whip_07: v=0 first");
    assert!(answer.ends_with("\r\n") && answer.len() < 8192, "whip_07: {} bytes", answer.len());
    assert_eq!(answer.matches('\n').count(), answer.matches("\r\n").count(), "whip_07: CRLF");
    for line in answer.lines() {
        assert_eq!(line, line.trim(), "no stray blanks");
        assert!(line.is_ascii() && line.as_bytes().get(1) == Some(&b'='), "{line}");
    }
}

fn session_level(offer: &[&str], session: &[&str]) {
    let origin: Vec<_> = session[1].split(' ').collect();
    assert!(origin.len() == 6 && origin[1].parse::<i64>().is_ok(), "o= line");
    assert_eq!(&session[2..4], ["s=-", "t=0 0"]);
    assert!(session.contains(&"a=ice-lite"), "sdp_14: ice-lite at session level");
    let options = session.iter().find_map(|line| line.strip_prefix("a=ice-options:")).expect("sdp_15");
    assert!(options.split(' ').any(|option| option == "ice2"), "sdp_15");
    if session.contains(&"a=extmap-allow-mixed") {
        assert!(offer.contains(&"a=extmap-allow-mixed"), "sdp_26: only if offered");
    }
}

/// The transport attributes of one section, all of them required.
fn transport(offer: &str, ours: &Section<'_>) -> [String; 4] {
    let setup = ours.one("setup");
    if offer.contains("a=setup:passive") {
        assert_eq!(setup, "active", "sdp_10");
    } else {
        assert_eq!(setup, "passive", "sdp_10");
    }
    let (ufrag, pwd) = (ours.one("ice-ufrag"), ours.one("ice-pwd"));
    assert!((4..=32).contains(&ufrag.len()) && pwd.len() >= 22, "sess_22");
    let fingerprint = ours.one("fingerprint");
    let digest = fingerprint.strip_prefix("sha-256 ").expect("sdp_11: sha-256");
    let pairs: Vec<_> = digest.split(':').collect();
    let is_upper = |pair: &&str| pair.len() == 2 && pair.bytes().all(|b| b"0123456789ABCDEF".contains(&b));
    assert!(pairs.len() == 32 && pairs.iter().all(is_upper), "sdp_11: upper-case pairs");
    assert!(ours.values("tls-id").is_empty() || offer.contains("a=tls-id:"), "sdp_13");
    [setup, ufrag, pwd, fingerprint].map(str::to_owned)
}

fn accepted_section(ours: &Section<'_>, theirs: &Section<'_>, expected: Expected) {
    assert!(ours.has("rtcp-mux") && ours.has("rtcp-mux-only"), "sdp_08, sdp_09");
    assert_eq!(ours.has("rtcp-rsize"), theirs.has("rtcp-rsize"), "sdp_27: rsize only if offered");
    assert!(!ours.has("extmap-allow-mixed") || theirs.has("extmap-allow-mixed"), "sdp_26");
    let direction = if expected == Expected::Publisher { "recvonly" } else { "sendonly" };
    assert_eq!(ours.direction(), Some(direction), "sdp_19, whep_02");
}

fn formats(ours: &Section<'_>, theirs: &Section<'_>, expected: Expected) {
    assert!(!ours.formats.is_empty(), "sdp_21: at least one format");
    assert_eq!(ours.formats.iter().collect::<BTreeSet<_>>().len(), ours.formats.len(), "each format once");
    let mut left = theirs.formats.iter();
    for format in &ours.formats {
        let is_next = match expected {
            Expected::Publisher => left.any(|other| other == format),
            Expected::Subscriber => theirs.formats.contains(format),
        };
        assert!(is_next, "sdp_21: {format} is not offered, or out of order");
    }
    let (our_maps, their_maps) = (ours.map("rtpmap"), theirs.map("rtpmap"));
    let (our_fmtps, their_fmtps) = (ours.map("fmtp"), theirs.map("fmtp"));
    for format in &ours.formats {
        let map = our_maps.get(format).expect("an rtpmap for each format");
        if let Some(offered) = their_maps.get(format) {
            let head =
                |map: &str| map.to_ascii_lowercase().splitn(3, '/').take(2).collect::<Vec<_>>().join("/");
            assert_eq!(head(map), head(offered), "sdp_21: a payload type keeps its meaning");
        }
        let name = map.split('/').next().unwrap();
        assert!(!["red", "ulpfec", "flexfec-03", "CN", "telephone-event"].contains(&name), "{name}");
        if name == "opus" {
            assert_eq!(*map, "opus/48000/2", "sdp_24");
        }
        if name == "rtx" {
            let apt = our_fmtps[format].strip_prefix("apt=").expect("sdp_28: apt");
            assert!(ours.formats.contains(&apt), "sdp_28: its primary is kept");
            assert_eq!(our_fmtps[format], their_fmtps[format], "sdp_28: same apt");
        }
        fmtp(our_fmtps.get(format), their_fmtps.get(format));
    }
    assert!(our_fmtps.keys().chain(our_maps.keys()).all(|format| ours.formats.contains(format)), "strays");
    for line in ours.values("rtcp-fb") {
        let (format, feedback) = line.split_once(' ').unwrap();
        assert!(ours.formats.contains(&format), "sdp_27: feedback for a kept format");
        let wildcard = format!("* {feedback}");
        let offered = theirs.values("rtcp-fb");
        assert!(
            offered.contains(&line) || offered.contains(&wildcard.as_str()),
            "sdp_27: {line} not offered"
        );
        let served = ["nack", "nack pli", "ccm fir", "transport-cc", "goog-remb"];
        assert!(served.contains(&feedback), "{feedback} is not served");
    }
}

/// Every parameter that the codec's standard calls symmetric is repeated unchanged.
fn fmtp(ours: Option<&&str>, theirs: Option<&&str>) {
    let parse = |text: Option<&&str>| -> BTreeMap<String, String> {
        let pairs = text
            .map(|text| text.split(';').filter_map(|pair| pair.trim().split_once('=')))
            .into_iter()
            .flatten();
        pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect()
    };
    let (ours, theirs) = (parse(ours), parse(theirs));
    for name in ["packetization-mode", "profile-level-id", "profile-id", "profile", "tier", "level-idx"] {
        assert_eq!(ours.get(name), theirs.get(name), "sdp_23, sdp_25: {name}");
    }
    for forbidden in ["sprop-parameter-sets", "max-fs", "maxaveragebitrate", "maxplaybackrate"] {
        assert!(!ours.contains_key(forbidden), "{forbidden} is not ours to say");
    }
    for wish in ["stereo", "useinbandfec"] {
        assert_eq!(ours.get(wish), theirs.get(wish).filter(|value| *value == "1"), "sdp_24: {wish}");
    }
}

fn extensions(ours: &Section<'_>, theirs: &Section<'_>, expected: Expected) {
    let offered = theirs.map("extmap");
    for (key, uri) in ours.map("extmap") {
        let (id, direction) =
            key.split_once('/').map_or((key, None), |(id, direction)| (id, Some(direction)));
        assert!((1..=14).contains(&id.parse::<u8>().unwrap()), "sdp_26: id {id}");
        let mirrored = direction.map(|direction| match direction {
            "sendonly" => "recvonly",
            "recvonly" => "sendonly",
            other => other,
        });
        let offered_key = mirrored.map_or(id.to_owned(), |mirrored| format!("{id}/{mirrored}"));
        assert_eq!(offered.get(offered_key.as_str()), Some(&uri), "sdp_26: {key} {uri}");
        for unserved in ["abs-send-time", "toffset"] {
            assert!(!uri.contains(unserved), "{uri} is not served");
        }
        if expected == Expected::Subscriber {
            assert!(!uri.contains("rtp-stream-id"), "rids are not for viewers");
        }
    }
    let numbered = ours.map("extmap").values().any(|uri| uri.contains("transport-wide-cc"));
    let reported = ours.values("rtcp-fb").iter().any(|line| line.ends_with(" transport-cc"));
    assert_eq!(numbered, reported, "rtp_20: numbers and reports about them go together");
}

fn simulcast(ours: &Section<'_>, theirs: &Section<'_>, expected: Expected) {
    let sent = theirs.values("simulcast").first().and_then(|value| value.strip_prefix("send "));
    let received = ours.values("simulcast");
    match sent {
        Some(list) if expected == Expected::Publisher => {
            assert_eq!(received, [format!("recv {list}")], "sdp_29: every rid, same order");
            let rids: Vec<_> = list.split(';').map(|rid| format!("{rid} recv")).collect();
            assert_eq!(ours.values("rid"), rids, "sdp_29: a rid line each");
        }
        _ => assert!(received.is_empty() && ours.values("rid").is_empty(), "sdp_29: nothing added"),
    }
}

fn bundle(session: &[&str], accepted: &[&Section<'_>]) {
    let group = session.iter().find_map(|line| line.strip_prefix("a=group:BUNDLE "));
    let mids: BTreeSet<_> = accepted.iter().flat_map(|section| section.values("mid")).collect();
    match group {
        Some(group) => {
            let listed: Vec<_> = group.split(' ').collect();
            assert_eq!(listed.iter().copied().collect::<BTreeSet<_>>(), mids, "sdp_06: the accepted mids");
            assert_eq!(listed.len(), mids.len(), "sdp_06: each once");
        }
        None => assert_eq!(accepted.len(), 1, "sdp_05"),
    }
}

fn candidates(accepted: &[&Section<'_>]) {
    let holders: Vec<_> = accepted.iter().filter(|section| !section.values("candidate").is_empty()).collect();
    assert!(holders.len() == 1 && std::ptr::eq(*holders[0], accepted[0]), "sdp_17: in the first section");
    assert!(holders[0].has("end-of-candidates"), "sdp_16");
    let (mut foundations, mut priorities, mut seen_v6) = (BTreeSet::new(), Vec::new(), false);
    let mut last_transport = "udp";
    for line in holders[0].values("candidate") {
        let fields: Vec<_> = line.split(' ').collect();
        let [foundation, component, transport, priority, address, port, typ, kind, ref more @ ..] =
            fields[..]
        else {
            panic!("sdp_16: {line}")
        };
        assert!(foundation.len() <= 32 && foundation.bytes().all(|b| b.is_ascii_alphanumeric()), "sdp_16");
        assert!(foundations.insert(foundation), "sdp_16: one foundation per base");
        assert_eq!((component, typ, kind), ("1", "typ", "host"), "sdp_16, sdp_18");
        match (last_transport, transport) {
            (_, "tcp") => assert_eq!(more, ["tcptype", "passive"], "live_18"),
            ("udp", "udp") => assert!(more.is_empty(), "sdp_16"),
            _ => panic!("sdp_16, live_18: UDP first, and no other transports: {line}"),
        }
        seen_v6 &= transport == last_transport;
        last_transport = transport;
        priorities.push(priority.parse::<u32>().unwrap());
        assert!(priorities.last() < Some(&(1 << 31)), "sdp_16: FFmpeg reads a signed number");
        let address: std::net::IpAddr = address.parse().unwrap();
        assert!(!(seen_v6 && address.is_ipv4()), "sdp_16: IPv4 first");
        seen_v6 |= address.is_ipv6();
        assert_ne!(port.parse::<u16>().unwrap(), 0);
    }
    assert!(priorities.windows(2).all(|pair| pair[0] > pair[1]), "sdp_16: falling, so unique");
}

fn shared_ids(accepted: &[&Section<'_>]) {
    let mut ids = BTreeMap::new();
    for (key, uri) in accepted.iter().flat_map(|section| section.map("extmap")) {
        let id = key.split('/').next().unwrap();
        assert_eq!(*ids.entry(id).or_insert(uri), uri, "sdp_26: id {id} means one thing");
    }
}

fn sources(accepted: &[&Section<'_>]) {
    let (mut streams, mut tracks, mut cnames) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for section in accepted {
        let (stream, track) = section.one("msid").split_once(' ').unwrap();
        assert_ne!(stream, "-", "whep_04");
        streams.insert(stream);
        assert!(tracks.insert(track), "whep_04: track ids differ");
        let announced: Vec<_> = section.values("ssrc");
        for line in &announced {
            cnames.insert(line.split_once(" cname:").expect("whep_05").1);
        }
        let has_rtx = section.map("rtpmap").values().any(|map| map.starts_with("rtx/"));
        assert_eq!(section.values("ssrc-group").len(), usize::from(has_rtx), "whep_05");
        assert_eq!(announced.len(), 1 + usize::from(has_rtx), "whep_05");
    }
    assert_eq!((streams.len(), cnames.len()), (1, 1), "whep_04, whep_05: one stream, one CNAME");
}
