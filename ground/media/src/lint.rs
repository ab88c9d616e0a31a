//! What may be wrong with what a publisher sends: the words for it. `docs/lint.md` explains each.

use std::fmt::Write as _;

/// One kind of trouble with what a publisher sends. Viewers get it all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LintCode {
    /// Pictures come in another order than that in which they are shown.
    BFrames,
    /// Keyframes come seldom, and cannot be asked for.
    KeyframesFarApart,
    /// Keyframes come at uneven times, and cannot be asked for.
    KeyframesIrregular,
    /// There are keyframes, and no parameter sets to decode them with.
    ParameterSetsMissing,
    /// Parameter sets came once, and not with later keyframes.
    ParameterSetsNotRepeated,
    /// The sound is not Opus.
    AudioNotOpus,
    /// The picture takes more than the endpoint allows.
    BitrateOverPolicy,
    /// Timestamps run faster or slower than time does.
    ClockDrift,
    /// No sender reports: nobody can tell which sound belongs to which picture.
    NoSenderReports,
    /// Packets are lost between the publisher and here.
    UplinkLoss,
}

impl LintCode {
    /// Every code.
    pub const ALL: [Self; 10] = [
        Self::BFrames,
        Self::KeyframesFarApart,
        Self::KeyframesIrregular,
        Self::ParameterSetsMissing,
        Self::ParameterSetsNotRepeated,
        Self::AudioNotOpus,
        Self::BitrateOverPolicy,
        Self::ClockDrift,
        Self::NoSenderReports,
        Self::UplinkLoss,
    ];

    /// A stable code for logs, metrics and the API.
    pub const fn code(self) -> &'static str {
        match self {
            Self::BFrames => "b_frames",
            Self::KeyframesFarApart => "keyframes_far_apart",
            Self::KeyframesIrregular => "keyframes_irregular",
            Self::ParameterSetsMissing => "parameter_sets_missing",
            Self::ParameterSetsNotRepeated => "parameter_sets_not_repeated",
            Self::AudioNotOpus => "audio_not_opus",
            Self::BitrateOverPolicy => "bitrate_over_policy",
            Self::ClockDrift => "clock_drift",
            Self::NoSenderReports => "no_sender_reports",
            Self::UplinkLoss => "uplink_loss",
        }
    }

    /// What is wrong, in a sentence that a broadcaster understands. What `value` counts depends on the code.
    pub fn sentence(self, value: i64) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = match self {
            Self::BFrames => {
                write!(text, "The encoder uses B-frames, which browsers show out of order or not at all.")
            }
            Self::KeyframesFarApart => write!(
                text,
                "Keyframes come {} apart, and the encoder does not send one when it is asked to: after a loss, \
                 viewers wait that long for a picture.",
                seconds(value)
            ),
            Self::KeyframesIrregular => write!(
                text,
                "Keyframes come at uneven times, up to {} apart, and the encoder does not send one when it is asked to.",
                seconds(value)
            ),
            Self::ParameterSetsMissing => {
                write!(
                    text,
                    "No keyframe has the parameter sets (SPS, PPS) without which nobody can decode it."
                )
            }
            Self::ParameterSetsNotRepeated => write!(
                text,
                "The parameter sets (SPS, PPS) came once and not with later keyframes: a player that missed them \
                 shows nothing."
            ),
            Self::AudioNotOpus => {
                write!(text, "The sound is not Opus, but a telephone codec that sounds like one.")
            }
            Self::BitrateOverPolicy => {
                write!(text, "The picture takes {value} kbit/s, which is more than this endpoint allows.")
            }
            Self::ClockDrift => write!(
                text,
                "The encoder's clock runs {} by {}.{} ms a second: sound and picture will stutter or lag behind.",
                if value > 0 { "fast" } else { "slow" },
                value.unsigned_abs() / 1000,
                value.unsigned_abs() % 1000 / 100
            ),
            Self::NoSenderReports => write!(
                text,
                "The encoder sends no RTCP sender reports, by which players keep sound and picture together."
            ),
            Self::UplinkLoss => {
                write!(
                    text,
                    "{}.{} % of the packets are lost on the way to the server.",
                    value / 10,
                    value % 10
                )
            }
        };
        text
    }

    /// What to do about it.
    pub const fn fix(self) -> &'static str {
        match self {
            Self::BFrames => {
                "Set B-frames to 0 (x264: -bf 0 or tune zerolatency), or choose the baseline profile."
            }
            Self::KeyframesFarApart => {
                "Set the keyframe interval to 1 or 2 s (FFmpeg: -g with one or two seconds of frames)."
            }
            Self::KeyframesIrregular => {
                "Set a fixed keyframe interval of 1 or 2 s, and switch scene-cut keyframes off (x264: sc_threshold 0)."
            }
            Self::ParameterSetsMissing => {
                "Have the encoder send SPS and PPS in the stream (x264: repeat-headers=1; GStreamer: config-interval=-1)."
            }
            Self::ParameterSetsNotRepeated => {
                "Have SPS and PPS repeated with every keyframe (x264: repeat-headers=1; GStreamer: config-interval=-1)."
            }
            Self::AudioNotOpus => "Choose Opus as the audio codec.",
            Self::BitrateOverPolicy => {
                "Lower the encoder's bitrate, or raise the endpoint's max_bitrate_kbps."
            }
            Self::ClockDrift => {
                "Check that frame rate and sample rate are what the encoder is told (29.97 is not 30); update its driver."
            }
            Self::NoSenderReports => "Update the encoder: RTP senders send these reports by themselves.",
            Self::UplinkLoss => {
                "Use a cable instead of wireless, lower the bitrate, or see what else uses the line."
            }
        }
    }
}

fn seconds(ms: i64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_every_code_with_its_fix_and_no_other() {
        let document = include_str!("../../../docs/lint.md");
        let rows: Vec<_> = document.lines().filter(|line| line.starts_with("| <a id=")).collect();
        let expected =
            LintCode::ALL.map(|code| (format!("| <a id=\"{0}\"></a>`{0}` | ", code.code()), code.fix()));
        assert_eq!(rows.len(), expected.len());
        for (row, (head, fix)) in rows.iter().zip(&expected) {
            assert!(
                row.starts_with(head) && row.ends_with(&format!(" | {fix} |")),
                "{row}\n{head}… | {fix} |"
            );
        }
    }

    #[test]
    fn every_code_has_words_of_its_own() {
        let mut codes: Vec<_> = LintCode::ALL.iter().map(|code| code.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), LintCode::ALL.len());
        for code in LintCode::ALL {
            let (sentence, fix) = (code.sentence(12_345), code.fix());
            assert!(sentence.ends_with('.') && fix.ends_with('.'), "{sentence} {fix}");
        }
        assert!(LintCode::KeyframesFarApart.sentence(8_340).contains(" 8.3 s "));
        assert!(LintCode::ClockDrift.sentence(-1_250).contains("slow by 1.2 ms"));
        assert!(LintCode::UplinkLoss.sentence(37).starts_with("3.7 %"));
    }
}
