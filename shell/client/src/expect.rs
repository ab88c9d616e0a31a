//! `--expect h264+opus`: what must arrive for a player to be content.

use std::fmt;
use std::str::FromStr;
use wtn_media::{Codec, MediaKind};

/// What must arrive. [`Expectation::default`] is content with any track.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expectation {
    wanted: Vec<Wanted>,
}

/// One track that must arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// In this codec.
    Codec(Codec),
    /// In whichever codec.
    Kind(MediaKind),
}

impl Wanted {
    /// The track it is about.
    pub fn kind(self) -> MediaKind {
        match self {
            Self::Codec(codec) => codec.kind(),
            Self::Kind(kind) => kind,
        }
    }
}

impl Expectation {
    /// The tracks that must arrive, at most one a kind; empty if any will do.
    pub fn wanted(&self) -> &[Wanted] {
        &self.wanted
    }
}

/// An expectation that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadExpectation {
    /// Neither a codec nor a kind of track.
    #[error(
        "{0:?} is no codec; known are h264, h265, vp8, vp9, av1, opus, pcmu, pcma, g722, video and audio"
    )]
    Unknown(String),
    /// A stream has one track a kind.
    #[error("two {0} tracks are expected, but a stream has at most one")]
    Twice(MediaKind),
}

impl FromStr for Expectation {
    type Err = BadExpectation;

    /// Names of codecs, or `video` and `audio`, joined by `+`, in any order and case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut wanted: Vec<Wanted> = Vec::new();
        for name in text.split('+').map(str::trim) {
            let one = MediaKind::ALL
                .into_iter()
                .find(|kind| kind.name().eq_ignore_ascii_case(name))
                .map(Wanted::Kind)
                .or_else(|| Codec::from_name(name).map(Wanted::Codec))
                .ok_or_else(|| BadExpectation::Unknown(name.to_owned()))?;
            if wanted.iter().any(|other| other.kind() == one.kind()) {
                return Err(BadExpectation::Twice(one.kind()));
            }
            wanted.push(one);
        }
        Ok(Self { wanted })
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Codec(codec) => codec.fmt(f),
            Self::Kind(kind) => kind.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_order_and_case() {
        let read = |text: &str| text.parse::<Expectation>().map(|expected| expected.wanted().to_vec());
        let h264_opus = vec![Wanted::Codec(Codec::H264), Wanted::Codec(Codec::Opus)];
        assert_eq!(read("h264+opus"), Ok(h264_opus.clone()));
        assert_eq!(read("H264 + Opus"), Ok(h264_opus));
        assert_eq!(read("audio"), Ok(vec![Wanted::Kind(MediaKind::Audio)]));
        assert_eq!(read("h264+video"), Err(BadExpectation::Twice(MediaKind::Video)));
        assert_eq!(read("theora"), Err(BadExpectation::Unknown("theora".into())));
        assert!(read("").is_err());
    }
}
