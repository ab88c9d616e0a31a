//! Server-sent events, read without mending anything. Nothing here does I/O: the fuzzer takes this file too.

/// No event of this protocol is longer; what is longer does not end.
const LEN_MAX: usize = 256 * 1024;

/// One event, or a comment, as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    /// What stands after `event:`.
    pub name: String,
    /// What stands after each `data:`.
    pub data: Vec<String>,
}

/// A body that goes on.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    chunked: bool,
    raw: Vec<u8>,
    text: Vec<u8>,
    /// The last chunk has come, or none that can be read.
    pub is_over: bool,
}

impl Feed {
    /// A body, in chunks or as it is.
    pub fn new(chunked: bool) -> Self {
        Self { chunked, ..Self::default() }
    }

    /// More of it.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.chunked {
            self.text.extend(bytes);
        } else {
            self.raw.extend(bytes);
            while self.take_chunk() {}
        }
        self.is_over |= self.raw.len().max(self.text.len()) > LEN_MAX;
    }

    fn take_chunk(&mut self) -> bool {
        let Some(end) = self.raw.windows(2).position(|two| two == b"\r\n") else { return false };
        let size = std::str::from_utf8(&self.raw[..end]).ok().and_then(|size| size.split(';').next());
        let size = size.and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
        let Some(size) = size.filter(|size| (1..=LEN_MAX).contains(size) && !self.is_over) else {
            self.is_over = true;
            return false;
        };
        let begin = end + 2;
        let Some(chunk) = self.raw.get(begin..begin + size + 2) else { return false };
        self.text.extend(&chunk[..size]);
        self.raw.drain(..begin + size + 2);
        true
    }

    /// The next whole event; comments alone are passed over.
    pub fn next(&mut self) -> Option<Block> {
        loop {
            let end = self.text.windows(2).position(|two| two == b"\n\n")?;
            let text: Vec<u8> = self.text.drain(..end + 2).collect();
            let block = read(&String::from_utf8_lossy(&text));
            if block != Block::default() {
                return Some(block);
            }
        }
    }
}

fn read(text: &str) -> Block {
    let mut block = Block::default();
    for line in text.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut block.name),
            "data" => block.data.push(value.to_owned()),
            _ => {}
        }
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_they_are_cut() {
        let body = b"9\r\n:\n\nevent:\r\n19\r\n a\ndata: {}\n\nevent: b\ndat\r\n8\r\na:1\ndata\r\n7\r\n: \n\n:\n\n\r\n0\r\n\r\n";
        for step in [1, 3, 7, body.len()] {
            let mut feed = Feed::new(true);
            let mut blocks = Vec::new();
            for part in body.chunks(step) {
                feed.push(part);
                blocks.extend(std::iter::from_fn(|| feed.next()));
            }
            let of = |name: &str, data: &[&str]| Block {
                name: name.to_owned(),
                data: data.iter().map(|line| (*line).to_owned()).collect(),
            };
            assert_eq!(blocks, [of("a", &["{}"]), of("b", &["1", ""])], "by {step}");
            assert!(feed.is_over);
        }
    }
}
