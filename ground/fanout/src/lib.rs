//! Stream, publisher, subscriber: one packet in, one decision per subscriber out.
