//! `If-Match` (RFC 9110 §13.1.1), read as clients write it.

/// Whether `if_match` admits the current `tag` (given without quotes).
///
/// Strong comparison, any member of a list. Two leniencies: `"*"`, the RFC's own example (RFC 9725 §4.3.3),
/// means `*`; a tag without its quotes (vue-wish) means the tag.
pub(crate) fn admits(if_match: &str, tag: &str) -> bool {
    if_match.split(',').map(str::trim).any(|member| {
        let bare = member.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(member);
        bare == "*" || bare == tag
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sess_05_06_07_what_admits_and_what_does_not() {
        for good in ["\"abc\"", "abc", "*", "\"*\"", " \"abc\" ", "\"x\", \"abc\"", "W/\"abc\", abc"] {
            assert!(admits(good, "abc"), "{good}");
        }
        for bad in ["", "\"ab\"", "W/\"abc\"", "\"abc", "ABC", "\"\"", ","] {
            assert!(!admits(bad, "abc"), "{bad}");
        }
    }
}
