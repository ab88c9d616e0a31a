//! An HTTP answer and its parts, read without mending anything. Nothing here does I/O: the fuzzer takes this file too.

/// What came back, as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub status: u16,
    /// Names as the server spells them.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Bytes after the end of the body.
    pub surplus: Vec<u8>,
    pub chunked: bool,
    /// Whether the server closed the connection.
    pub closed: bool,
}

impl Answer {
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(each, _)| each.eq_ignore_ascii_case(name))
            .map(|(_, value)| &**value)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(each, _)| each.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether a comma-separated header lists `member`, in any case.
    pub fn lists(&self, name: &str, member: &str) -> bool {
        self.all(name).flat_map(|value| value.split(',')).any(|each| each.trim().eq_ignore_ascii_case(member))
    }

    /// `409 (stream_taken)`, for sentences.
    pub fn brief(&self) -> String {
        let problem: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        match problem.get("code").or_else(|| problem.get("title")).and_then(|code| code.as_str()) {
            Some(code) => format!("{} ({code})", self.status),
            None => self.status.to_string(),
        }
    }
}

/// The ICE server of one `Link` line: its URL, and what follows it.
pub(crate) fn ice_server(link: &str) -> Option<(String, String)> {
    let (url, rest) = link.split_once('>').unwrap_or((link, ""));
    let is_server = link.contains("rel=\"ice-server\"") || link.contains("rel=ice-server");
    is_server.then(|| (url.trim_start_matches('<').to_owned(), rest.to_owned()))
}

/// An extension that a `Link` line announces: its URL, its name, and what stands in each parameter behind it. `Err`: there is
/// something between them that is no `;` (RFC 8288 §3).
pub(crate) fn extension(link: &str) -> Result<Option<Extension>, String> {
    let Some((url, rest)) = link.trim_start().strip_prefix('<').and_then(|link| link.split_once('>')) else {
        return Ok(None);
    };
    let mut found = Extension { url: url.to_owned(), ..Extension::default() };
    let mut rest = rest.trim();
    while !rest.is_empty() {
        rest = rest.strip_prefix(';').ok_or_else(|| format!("no ; before {rest:?}"))?.trim_start();
        let (name, value) = rest.split_once('=').ok_or_else(|| format!("no value in {rest:?}"))?;
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or_else(|| format!("no end of {value:?}"))?,
            None => value.split_at(value.find(';').unwrap_or(value.len())),
        };
        match name.trim() {
            "rel" => value.clone_into(&mut found.relation),
            "events" => found.events = value.split(',').map(|each| each.trim().to_owned()).collect(),
            _ => {}
        }
        rest = after.trim_start();
    }
    Ok(Some(found))
}

/// What an extension's `Link` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extension {
    pub url: String,
    pub relation: String,
    pub events: Vec<String>,
}

/// `None` while something is missing; at `eof` a body may end where the bytes do.
pub(crate) fn parse(bytes: &[u8], method: &str, eof: bool) -> Option<Answer> {
    let mut rest = bytes;
    loop {
        let end = rest.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&rest[..end]).into_owned();
        rest = &rest[end + 4..];
        let mut lines = head.split("\r\n");
        let status: u16 = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        if (100..200).contains(&status) {
            continue;
        }
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        let mut answer = Answer { status, headers, ..Answer::default() };
        answer.chunked = answer.lists("Transfer-Encoding", "chunked");
        let length = answer.header("Content-Length").and_then(|length| length.parse::<usize>().ok());
        let (body, surplus) = if method == "HEAD" || status == 204 || status == 304 {
            (Vec::new(), rest)
        } else if answer.chunked {
            dechunk(rest)?
        } else {
            match length {
                Some(length) if rest.len() < length => return None,
                Some(length) => (rest[..length].to_vec(), &rest[length..]),
                None if eof => (rest.to_vec(), &rest[rest.len()..]),
                None => return None,
            }
        };
        answer.body = body;
        answer.surplus = surplus.to_vec();
        return Some(answer);
    }
}

fn dechunk(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        rest = &rest[end + 2..];
        let chunk = rest.get(..size)?;
        body.extend(chunk);
        rest = rest.get(size + 2..)?;
        if size == 0 {
            return Some((body, rest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_extensions_are_read_by_the_grammar() {
        let read =
            |link| extension(link).map(|found| found.map(|found| (found.url, found.relation, found.events)));
        let whole = ("/e".to_owned(), "urn:x".to_owned(), vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(read("</e>; rel=\"urn:x\"; events=\"a, b\""), Ok(Some(whole.clone())));
        assert_eq!(read("</e>;rel=urn:x;x=1;events=\"a,b\""), Ok(Some(whole)));
        assert!(read("</e>; rel=\"urn:x\" events=\"a,b\"").is_err(), "as in the draft's example");
        assert_eq!(read("/e"), Ok(None));
    }

    #[test]
    fn answers_are_read_as_they_are() {
        let text = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nETag: \"a\"\r\nContent-Length: 3\r\n\r\nabcX";
        let answer = parse(text, "POST", false).expect("whole");
        assert_eq!((answer.status, &*answer.body, &*answer.surplus), (201, &b"abc"[..], &b"X"[..]));
        assert_eq!(answer.header("etag"), Some("\"a\""));
        assert!(parse(&text[..text.len() - 2], "POST", false).is_none());

        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        let answer = parse(chunked, "GET", false).expect("whole");
        assert!(answer.chunked && answer.body == b"abc" && answer.surplus.is_empty());

        let endless = b"HTTP/1.0 200 OK\r\n\r\nabc";
        assert!(parse(endless, "GET", false).is_none());
        assert_eq!(parse(endless, "GET", true).expect("at its end").body, b"abc");
    }
}
