//! WHIP and WHEP rules as data: request and state in, response and effects out.
