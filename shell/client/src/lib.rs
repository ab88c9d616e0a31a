//! WHIP client and WHEP player on str0m.
