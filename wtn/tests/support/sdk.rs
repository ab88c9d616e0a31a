//! A client that speaks HTTP as TALWTN's SDK does, shortcomings and all: HTTP/1.0 on a connection of its own for
//! each request, a `Host` without its port, names of response headers in one spelling only, a body as long as
//! `Content-Length` says or until the connection ends, and no idea of chunks. It never sends PATCH.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

const WITHIN: std::time::Duration = std::time::Duration::from_secs(60);

/// One session of the SDK.
#[derive(Default)]
pub struct Sdk {
    /// Sent with every request of the session; the type of content changes.
    headers: BTreeMap<String, String>,
    /// The session's URL.
    pub resource: String,
}

/// What a request came to.
#[derive(Debug)]
pub struct Response {
    pub code: u16,
    /// By their names as on the wire.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Sdk {
    /// Publishes or subscribes: the offer is POSTed, a 307 followed with the same headers and body.
    pub fn start(&mut self, url: &str, offer: &str) -> Response {
        self.headers.clear();
        self.set("Content-Type", "application/sdp");
        let query = url.split_once('?').map_or("", |(_, query)| query);
        let value = |name: &str| {
            query
                .split('&')
                .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
                .map(|(_, v)| v)
        };
        match (value("Token"), value("TokenType")) {
            (Some(token), Some(kind)) => self.set("Authorization", &format!("{kind} {token}")),
            (Some(token), None) => self.set("Authorization", token),
            _ => {}
        }
        let mut response = self.send("POST", url, offer);
        while response.code == 307 {
            let target = response.headers.get("Location").expect("a Location, spelt so").clone();
            response = self.send("POST", &target, offer);
        }
        if response.code == 201
            && let Some(location) = response.headers.get("Location")
        {
            self.resource.clone_from(location);
        }
        response
    }

    /// Destroys the session. Success is 200 and nothing else.
    pub fn stop(&mut self) -> u16 {
        self.set("Content-Type", "application/sdp");
        self.send("DELETE", &self.resource.clone(), "").code
    }

    pub fn mute_audio(&mut self, mute: bool) -> u16 {
        self.mute(&format!("{{\"MuteAudio\":{mute}}}"))
    }

    pub fn mute_video(&mut self, mute: bool) -> u16 {
        self.mute(&format!("{{\"MuteVideo\":{mute}}}"))
    }

    fn mute(&mut self, json: &str) -> u16 {
        self.set("Content-Type", "application/json");
        self.send("POST", &self.resource.clone(), json).code
    }

    fn set(&mut self, name: &str, value: &str) {
        self.headers.insert(name.to_owned(), value.to_owned());
    }

    fn send(&self, method: &str, url: &str, body: &str) -> Response {
        let rest = url.strip_prefix("http://").expect("an absolute URL");
        let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let (host, port) = authority.split_once(':').unwrap_or((authority, "80"));
        let mut headers = self.headers.clone();
        for (name, value) in [("Accept", "*/*"), ("Connection", "close"), ("Host", host)] {
            headers.insert(name.to_owned(), value.to_owned());
        }
        if method == "POST" {
            headers.insert("Content-Length".to_owned(), body.len().to_string());
        }
        let mut request = format!("{method} {path} HTTP/1.0\r\n");
        for (name, value) in &headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += "\r\n";
        request += body;
        let mut stream = TcpStream::connect((host, port.parse::<u16>().unwrap())).unwrap();
        stream.set_read_timeout(Some(WITHIN)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        read(&mut stream)
    }
}

fn read(stream: &mut TcpStream) -> Response {
    let mut bytes = Vec::new();
    let mut more = |bytes: &mut Vec<u8>| {
        let mut piece = [0; 4096];
        let len = stream.read(&mut piece).expect("the server answers or closes");
        bytes.extend_from_slice(&piece[..len]);
        len > 0
    };
    let end = loop {
        match bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            Some(at) => break at + 4,
            None => assert!(more(&mut bytes), "the head is not complete"),
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap();
    assert!(status.starts_with("HTTP/"), "{status}");
    let code = status.split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = BTreeMap::new();
    for line in lines {
        // The value begins two characters behind the name, whatever the second is.
        if let Some(at) = line.find(':') {
            headers.insert(line[..at].to_owned(), line.get(at + 2..).unwrap_or_default().to_owned());
        }
    }
    // Without a length, or with nothing to come, it waits for the end of the connection.
    let len = headers.get("Content-Length").map_or(0, |len| len.parse().unwrap_or(0));
    while !(bytes.len() - end == len && len > 0) && more(&mut bytes) {}
    Response { code, headers, body: String::from_utf8(bytes[end..].to_vec()).unwrap() }
}
