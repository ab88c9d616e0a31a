//! One peer session: ICE-lite, DTLS and SRTP between the server and one publisher or subscriber.
//!
//! Sans-IO: datagrams and time go in, plain RTP and RTCP come out; what must be sent is polled. A session
//! never learns what a stream is.
