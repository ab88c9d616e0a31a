//! Fake clock, fake network and scripted clients for simulated-time tests.
