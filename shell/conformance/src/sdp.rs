//! Offers to send, and a reader of answers that keeps lines as they are.

/// An answer, by sections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sdp {
    pub session: Vec<String>,
    pub media: Vec<Media>,
}

/// One `m=` section.
#[derive(Clone, Debug, Default)]
pub(crate) struct Media {
    pub kind: String,
    pub port: String,
    pub proto: String,
    pub formats: Vec<String>,
    pub lines: Vec<String>,
}

impl Sdp {
    pub fn read(text: &str) -> Self {
        let mut sdp = Self::default();
        for line in text.lines() {
            if let Some(line) = line.strip_prefix("m=") {
                let mut words = line.split_whitespace().map(str::to_owned);
                let mut next = || words.next().unwrap_or_default();
                let (kind, port, proto) = (next(), next(), next());
                sdp.media.push(Media { kind, port, proto, formats: words.collect(), lines: Vec::new() });
            } else {
                match sdp.media.last_mut() {
                    Some(media) => media.lines.push(line.to_owned()),
                    None => sdp.session.push(line.to_owned()),
                }
            }
        }
        sdp
    }

    /// The values of a session attribute.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        values(&self.session, name)
    }

    /// The first value of an attribute in the first accepted section, else in the session.
    pub fn first(&self, name: &str) -> Option<&str> {
        let tagged = self.accepted().next();
        tagged.and_then(|media| media.first(name)).or_else(|| first(&self.session, name))
    }

    pub fn accepted(&self) -> impl Iterator<Item = &Media> {
        self.media.iter().filter(|media| media.port != "0")
    }

    pub fn kind(&self, kind: &str) -> Option<&Media> {
        self.accepted().find(|media| media.kind == kind)
    }

    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.session.iter().chain(self.media.iter().flat_map(|media| &media.lines)).map(String::as_str)
    }

    /// The UDP candidates' addresses, in their order.
    pub fn udp_candidates(&self) -> Vec<std::net::SocketAddr> {
        self.lines()
            .filter_map(|line| line.strip_prefix("a=candidate:"))
            .filter_map(|value| {
                let words: Vec<_> = value.split(' ').collect();
                let is_udp = words.get(2)?.eq_ignore_ascii_case("udp");
                let address =
                    std::net::SocketAddr::new(words.get(4)?.parse().ok()?, words.get(5)?.parse().ok()?);
                is_udp.then_some(address)
            })
            .collect()
    }
}

impl Media {
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        values(&self.lines, name)
    }

    pub fn first(&self, name: &str) -> Option<&str> {
        first(&self.lines, name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// What `a=rtpmap` says of a format, without clock rate: `VP8`.
    pub fn codec(&self, format: &str) -> Option<&str> {
        let map = self.all("rtpmap").find_map(|value| value.strip_prefix(format)?.strip_prefix(' '))?;
        map.split('/').next()
    }

    pub fn fmtp(&self, format: &str) -> Option<&str> {
        self.all("fmtp").find_map(|value| value.strip_prefix(format)?.strip_prefix(' '))
    }

    pub fn has_codec(&self, name: &str) -> bool {
        self.formats
            .iter()
            .any(|format| self.codec(format).is_some_and(|codec| codec.eq_ignore_ascii_case(name)))
    }
}

fn values<'a>(lines: &'a [String], name: &'a str) -> impl Iterator<Item = &'a str> {
    lines.iter().filter_map(move |line| {
        let attribute = line.strip_prefix("a=")?;
        let (found, value) = attribute.split_once(':').unwrap_or((attribute, ""));
        (found == name).then_some(value)
    })
}

fn first<'a>(lines: &'a [String], name: &str) -> Option<&'a str> {
    lines.iter().find_map(|line| {
        let rest = line.strip_prefix("a=")?.strip_prefix(name)?;
        if rest.is_empty() { Some("") } else { rest.strip_prefix(':') }
    })
}

/// The video formats of our offers: payload type, name, parameters.
pub(crate) const VP8: (u8, &str, &str) = (96, "VP8", "");
pub(crate) const H264: (u8, &str, &str) =
    (102, "H264", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f");
pub(crate) const VP9: (u8, &str, &str) = (98, "VP9", "profile-id=0");
pub(crate) const AV1: (u8, &str, &str) = (45, "AV1", "level-idx=5;profile=0;tier=0");
pub(crate) const H265: (u8, &str, &str) = (49, "H265", "level-id=93;profile-id=1;tier-flag=0;tx-mode=SRST");

/// An offer of our own making: what a browser sends, without its length.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub ufrag: String,
    pub pwd: String,
    direction: &'static str,
    video: Vec<(u8, &'static str, &'static str)>,
}

impl Offer {
    pub fn publish() -> Self {
        Self { ufrag: token(8), pwd: token(24), direction: "sendonly", video: vec![VP8, H264] }
    }

    pub fn play() -> Self {
        Self { direction: "recvonly", video: vec![H264, VP8, VP9, AV1], ..Self::publish() }
    }

    pub fn video(mut self, formats: &[(u8, &'static str, &'static str)]) -> Self {
        self.video = formats.to_vec();
        self
    }

    /// The whole text, CRLF and all.
    pub fn text(&self) -> String {
        let session = "v=0\no=- 4611731400430051336 2 IN IP4 127.0.0.1\ns=-\nt=0 0\na=group:BUNDLE 0 1\n\
             a=extmap-allow-mixed\na=msid-semantic: WMS\n";
        let audio = "m=audio 9 UDP/TLS/RTP/SAVPF 111\n";
        let audio_codec =
            "a=rtpmap:111 opus/48000/2\na=rtcp-fb:111 transport-cc\na=fmtp:111 minptime=10;useinbandfec=1\n";
        let mut types = String::new();
        let mut maps = String::new();
        for (format, name, fmtp) in &self.video {
            let rtx = format + 1;
            types += &format!(" {format} {rtx}");
            maps += &format!("a=rtpmap:{format} {name}/90000\n");
            for feedback in ["goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"] {
                maps += &format!("a=rtcp-fb:{format} {feedback}\n");
            }
            if !fmtp.is_empty() {
                maps += &format!("a=fmtp:{format} {fmtp}\n");
            }
            maps += &format!("a=rtpmap:{rtx} rtx/90000\na=fmtp:{rtx} apt={format}\n");
        }
        let video = format!("m=video 9 UDP/TLS/RTP/SAVPF{types}\n");
        let text = [session, audio, &self.section(0), audio_codec, &video, &self.section(1), &maps].concat();
        text.replace('\n', "\r\n")
    }

    fn section(&self, mid: u8) -> String {
        let mut digest = vec!["3A"; 32].join(":");
        digest.replace_range(0..2, "7F");
        let msid = match self.direction {
            "sendonly" => format!("a=msid:stream track-{mid}\na=ssrc:{} cname:c\n", 1000 + u32::from(mid)),
            _ => String::new(),
        };
        format!(
            "c=IN IP4 0.0.0.0\na=rtcp:9 IN IP4 0.0.0.0\na=ice-ufrag:{}\na=ice-pwd:{}\na=ice-options:trickle\n\
             a=fingerprint:sha-256 {digest}\na=setup:actpass\na=mid:{mid}\n\
             a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\n\
             a=extmap:3 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\n\
             a={}\n{msid}a=rtcp-mux\na=rtcp-rsize\n",
            self.ufrag, self.pwd, self.direction
        )
    }
}

/// Random letters and digits.
pub(crate) fn token(len: usize) -> String {
    use rand::Rng as _;
    let alphabet = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let mut random = rand::rng();
    (0..len).map(|_| char::from(alphabet[random.random_range(0..alphabet.len())])).collect()
}

/// `sdp` without the lines that begin so.
pub(crate) fn without(sdp: &str, prefix: &str) -> String {
    sdp.split_inclusive('\n').filter(|line| !line.starts_with(prefix)).collect()
}

/// Only the sections of that kind, with a bundle of their own.
pub(crate) fn only(sdp: &str, kind: &str) -> String {
    let mut keep = true;
    let mid = if kind == "audio" { "0" } else { "1" };
    sdp.split_inclusive('\n')
        .filter(|line| {
            if let Some(media) = line.strip_prefix("m=") {
                keep = media.starts_with(kind);
            }
            keep
        })
        .map(|line| {
            if line.starts_with("a=group:BUNDLE") {
                format!("a=group:BUNDLE {mid}\r\n")
            } else {
                line.to_owned()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_read_back_as_they_were_written() {
        let offer = Offer::publish();
        let sdp = Sdp::read(&offer.text());
        assert_eq!(sdp.media.len(), 2);
        assert_eq!(sdp.first("ice-ufrag"), Some(&*offer.ufrag));
        assert_eq!(sdp.all("group").next(), Some("BUNDLE 0 1"));
        let video = sdp.kind("video").expect("video");
        assert_eq!(video.formats, ["96", "97", "102", "103"]);
        assert_eq!(video.codec("102"), Some("H264"));
        assert_eq!(video.fmtp("103"), Some("apt=102"));
        assert!(video.has("sendonly") && !video.has("recvonly"));
        assert!(!without(&offer.text(), "a=rtcp-mux").contains("rtcp-mux"));
        let audio = only(&offer.text(), "audio");
        assert!(audio.contains("BUNDLE 0\r\n") && !audio.contains("m=video"));
    }
}
