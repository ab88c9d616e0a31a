//! Reads any real client's SDP offer and writes wtn's answer.
