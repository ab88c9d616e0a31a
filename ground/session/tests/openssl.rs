//! DTLS with OpenSSL at the other end: ECDSA and RSA certificates, both roles, and the very same keys.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;
use support::openssl::{Scratch, Talk};
use wtn_media::Ssrc;
use wtn_session::{CloseReason, DropReason, Output};

/// What GnuTLS makes by default where FFmpeg asks for a certificate.
const P224: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-224"];
const P256: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
const P384: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"];
const RSA_2048: &[&str] = &["rsa:2048"];
const RSA_4096: &[&str] = &["rsa:4096"];
const CM_AND_GCM: &str = "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM";

fn profile(name: &str) -> (ProtectionProfile, usize, usize) {
    match name {
        "SRTP_AEAD_AES_128_GCM" => (ProtectionProfile::AeadAes128Gcm, 16, 12),
        "SRTP_AES128_CM_HMAC_SHA1_80" => (ProtectionProfile::Aes128CmHmacSha1_80, 16, 14),
        other => panic!("{other} needs more than the 60 exported bytes"),
    }
}

/// openssl exported keying material; media sealed with it passes our session, and the other way round.
fn assert_same_keys(talk: &mut Talk, openssl_is_client: bool) {
    talk.until(|talk| talk.after("Keying material: ").is_some());
    let printed = talk.after("Keying material: ").unwrap();
    let keys: Vec<u8> =
        (0..120).step_by(2).map(|at| u8::from_str_radix(&printed[at..at + 2], 16).unwrap()).collect();
    let (profile, key_len, salt_len) = profile(talk.profile().unwrap());
    let provider = rtc_srtp::crypto::default_provider().unwrap();
    let context = |nth: usize| {
        let (key, salt) =
            (&keys[nth * key_len..][..key_len], &keys[2 * key_len + nth * salt_len..][..salt_len]);
        Context::new(key, salt, profile, None, None, provider.crypto()).unwrap()
    };
    let (client, server) = (context(0), context(1));
    let (mut theirs, mut ours) = if openssl_is_client { (client, server) } else { (server, client) };

    let packet = [0x80, 96, 0, 5, 0, 0, 0, 0, 0, 0, 0, 7, 1, 2, 3, 4];
    let sealed = theirs.encrypt_rtp(&packet).unwrap().to_vec();
    assert_eq!(talk.inject(sealed).as_deref(), Some(&packet[..]));
    let mut out = [0; 64];
    out[..12].copy_from_slice(&packet[..12]);
    let len = talk.session.seal_rtp(Ssrc(7), 5, 12, &packet[12..], &mut out).unwrap();
    assert_eq!(ours.decrypt_rtp(&out[..len]).unwrap(), packet[..]);
}

fn connects(name: &str, key: &[&str], arguments: &[&str], profile: &str) {
    let scratch = Scratch::new(name);
    let mut talk = Talk::with_client(&scratch.certificate(key), arguments);
    talk.until(|talk| talk.profile().is_some());
    assert_eq!(talk.profile(), Some(profile));
    assert_same_keys(&mut talk, true);
}

#[test]
fn live_08_an_ecdsa_client_connects_and_rtp_01_gcm_is_chosen() {
    connects("p256", P256, &["-use_srtp", CM_AND_GCM], "SRTP_AEAD_AES_128_GCM");
    connects("p384", P384, &["-use_srtp", CM_AND_GCM], "SRTP_AEAD_AES_128_GCM");
}

#[test]
fn a_client_on_the_curve_of_gnutls_connects() {
    connects("p224", P224, &["-use_srtp", CM_AND_GCM], "SRTP_AEAD_AES_128_GCM");
}

#[test]
fn an_rsa_client_connects() {
    connects("rsa-2048", RSA_2048, &["-use_srtp", CM_AND_GCM], "SRTP_AEAD_AES_128_GCM");
    connects("rsa-4096", RSA_4096, &["-use_srtp", CM_AND_GCM], "SRTP_AEAD_AES_128_GCM");
}

#[test]
fn an_rsa_client_with_small_fragments_connects() {
    let arguments = ["-use_srtp", CM_AND_GCM, "-mtu", "300"];
    connects("rsa-mtu", RSA_2048, &arguments, "SRTP_AEAD_AES_128_GCM");
}

#[test]
fn an_rsa_client_may_sign_with_sha_384_or_prefer_pss() {
    for (name, schemes) in
        [("sha-384", "ECDSA+SHA256:RSA+SHA384"), ("pss-first", "ECDSA+SHA256:rsa_pss_rsae_sha256:RSA+SHA256")]
    {
        let arguments = ["-use_srtp", CM_AND_GCM, "-sigalgs", schemes];
        connects(name, RSA_2048, &arguments, "SRTP_AEAD_AES_128_GCM");
    }
}

#[test]
fn an_rsa_client_connects_though_our_flight_is_lost_twice() {
    let scratch = Scratch::new("rsa-loss");
    let mut talk = Talk::with_client(&scratch.certificate(RSA_2048), &["-use_srtp", CM_AND_GCM]);
    talk.losses = 2;
    talk.until(|talk| talk.profile().is_some());
    assert_same_keys(&mut talk, true);
}

#[test]
fn rtp_01_a_client_without_gcm_gets_sha1_80() {
    connects("cm", P256, &["-use_srtp", "SRTP_AES128_CM_SHA1_80"], "SRTP_AES128_CM_HMAC_SHA1_80");
    connects("cm-rsa", RSA_2048, &["-use_srtp", "SRTP_AES128_CM_SHA1_80"], "SRTP_AES128_CM_HMAC_SHA1_80");
}

fn assert_refused(mut talk: Talk) {
    talk.until(|talk| talk.dropped.contains(&DropReason::BadDtls));
    assert_eq!(talk.profile(), None);
    assert!(!talk.session.is_connected());
}

#[test]
fn a_weak_rsa_key_is_refused() {
    let scratch = Scratch::new("rsa-1024");
    let arguments = ["-use_srtp", CM_AND_GCM, "-cipher", "DEFAULT@SECLEVEL=0"];
    assert_refused(Talk::with_client(&scratch.certificate(&["rsa:1024"]), &arguments));
}

#[test]
fn t17_a_client_without_srtp_never_gets_media() {
    let scratch = Scratch::new("no-srtp");
    assert_refused(Talk::with_client(&scratch.certificate(P256), &[]));
}

#[test]
fn live_09_a_client_without_a_certificate_is_refused() {
    let scratch = Scratch::new("none");
    let announced = scratch.certificate(P256);
    assert_refused(Talk::with_anonymous_client(&announced, &["-use_srtp", CM_AND_GCM]));
}

#[test]
fn live_09_another_certificate_than_the_announced_ends_the_session() {
    let scratch = Scratch::new("wrong");
    for key in [P256, RSA_2048] {
        let mut certificate = scratch.certificate(key);
        certificate.fingerprint.digest[31] ^= 1;
        let mut talk = Talk::with_client(&certificate, &["-use_srtp", CM_AND_GCM]);
        talk.until(|talk| talk.events.last() == Some(&Output::Closed(CloseReason::WrongCertificate)));
        assert_eq!(talk.profile(), None);
    }
}

#[test]
fn live_15_its_close_notify_ends_the_session() {
    for (name, key) in [("close-ec", P256), ("close-rsa", RSA_2048)] {
        let scratch = Scratch::new(name);
        let mut talk = Talk::with_client(&scratch.certificate(key), &["-use_srtp", CM_AND_GCM]);
        talk.until(|talk| talk.profile().is_some());
        talk.until(|talk| talk.after("Keying material: ").is_some());
        talk.hang_up();
        talk.until(|talk| talk.events.last() == Some(&Output::Closed(CloseReason::ClosedByPeer)));
    }
}

#[test]
fn live_17_it_sees_our_close_notify() {
    let scratch = Scratch::new("close-us");
    let mut talk = Talk::with_client(&scratch.certificate(P256), &["-use_srtp", CM_AND_GCM]);
    talk.until(|talk| talk.after("Keying material: ").is_some());
    talk.close();
    talk.until(|talk| talk.after("closed").is_some());
}

#[test]
fn live_10_l10_as_dtls_client_we_connect_to_a_passive_server() {
    let scratch = Scratch::new("server");
    let mut talk = Talk::with_server(&scratch.certificate(P256), &["-use_srtp", CM_AND_GCM]);
    talk.until(|talk| talk.profile().is_some());
    assert_same_keys(&mut talk, false);
}
