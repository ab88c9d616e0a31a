//! WHIP, WHEP and the web pages over HTTP.
