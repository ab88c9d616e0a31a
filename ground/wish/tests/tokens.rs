//! Signed tokens, made by Node's crypto (tests/fixtures/jwt/make.mjs): what is believed, and every attack that
//! has worked elsewhere.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use support::{SDP, Show, code, config, offer};
use wtn_wish::{DeskConfig, Effect, Ending, Guards, JwtKey, JwtRules, KeySet, Method, Question, Reply};

const SECRET: &str = "a secret of at least thirty-two bytes";
const NOW: u64 = 1_800_000_000;

fn file(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/jwt");
    fs::read_to_string(folder.join(name)).unwrap()
}

fn token(name: &str) -> String {
    let tokens: HashMap<String, String> = serde_json::from_str(&file("tokens.json")).unwrap();
    format!("Bearer {}", tokens[name])
}

fn pem(name: &str) -> JwtKey {
    JwtKey::from_pem(&file(name)).unwrap()
}

fn secret() -> JwtKey {
    JwtKey::from_secret(SECRET).unwrap()
}

fn rules(keys: Vec<JwtKey>) -> JwtRules {
    JwtRules {
        keys,
        has_key_set: false,
        audiences: vec!["wtn".to_owned()],
        issuers: vec!["https://id.example".to_owned()],
        guards: Guards::BOTH,
    }
}

fn desk(rules: JwtRules) -> DeskConfig {
    let mut config = config();
    config.auth.jwt = Some(rules);
    config
}

fn post_at(show: &mut Show, unix_now: u64, stream: &str, header: &str) -> Reply {
    let (path, body) = (format!("/whip/{stream}"), offer("pub-obs"));
    let mut call = show.call(Method::Post, &path).body(SDP, body.as_bytes()).key(header);
    call.request.unix_now = unix_now;
    call.send()
}

fn status(rules: &JwtRules, name: &str) -> u16 {
    post_at(&mut Show::new(desk(rules.clone())), NOW, "studio-1", &token(name)).status
}

#[test]
fn auth_06_every_kind_of_signature_opens_with_its_own_key_and_with_no_other() {
    let keys =
        [("hs256", secret()), ("rs256", pem("rsa.pem")), ("es256", pem("ec.pem")), ("eddsa", pem("ed.pem"))];
    for (name, _) in &keys {
        for (of, key) in &keys {
            assert_eq!(
                status(&rules(vec![key.clone()]), name),
                if name == of { 201 } else { 401 },
                "{name} by {of}"
            );
        }
    }
    let all = rules(keys.into_iter().map(|(_, key)| key).collect());
    for name in ["hs256", "rs256", "es256", "eddsa", "rs256_kid"] {
        assert_eq!(status(&all, name), 201, "{name}");
    }
}

#[test]
fn auth_06_no_token_chooses_its_own_algorithm_or_key() {
    let public = vec![pem("rsa.pem"), pem("ec.pem"), pem("ed.pem")];
    let mut all = public.clone();
    all.push(secret());
    for name in [
        "none",
        "none_capital",
        "hs256_by_rsa_pem",
        "hs256_by_rsa_der",
        "hs256_kid_by_rsa_pem",
        "hs256_by_ec_pem",
        "hs256_by_empty",
        "hs256_unsigned",
        "rs256_by_other",
        "own_jwk",
        "jku",
    ] {
        assert_eq!(status(&rules(public.clone()), name), 401, "{name}, public keys");
        assert_eq!(status(&rules(all.clone()), name), 401, "{name}, all keys");
    }
}

#[test]
fn auth_06_one_wrong_claim_is_enough() {
    let rules = rules(vec![secret()]);
    for name in [
        "expired",
        "no_exp",
        "exp_text",
        "not_yet",
        "other_aud",
        "no_aud",
        "other_iss",
        "no_iss",
        "crit",
        "deep",
        "twice",
    ] {
        assert_eq!(status(&rules, name), 401, "{name}");
    }
    for name in ["just_expired", "nearly", "kid_path"] {
        assert_eq!(status(&rules, name), 201, "{name}");
    }
    assert_eq!(status(&rules, "no_rights"), 403);
    let lax = JwtRules { audiences: Vec::new(), issuers: Vec::new(), ..rules };
    for name in ["other_aud", "no_aud", "other_iss", "no_iss"] {
        assert_eq!(status(&lax, name), 201, "{name}");
    }
}

#[test]
fn auth_06_a_token_opens_the_streams_that_it_names() {
    let mut show = Show::new(desk(rules(vec![secret()])));
    assert_eq!(post_at(&mut show, NOW, "studio-2", &token("hs256")).status, 201);
    let other = post_at(&mut show, NOW, "kitchen", &token("hs256"));
    assert_eq!((other.status, &*code(&other)), (403, "wrong_scope"));
    assert!(other.header("WWW-Authenticate").unwrap().contains("insufficient_scope"));
    let expired = post_at(&mut show, NOW, "studio-2", &token("expired"));
    assert_eq!((expired.status, &*code(&expired)), (401, "key_expired"));
    let bad = post_at(&mut show, NOW, "studio-2", &token("hs256_unsigned"));
    assert_eq!((bad.status, &*code(&bad)), (401, "bad_token"));
    assert!(bad.header("WWW-Authenticate").unwrap().contains("invalid_token"));
    assert_eq!(code(&post_at(&mut show, NOW, "studio-2", "Basic eA==")), "no_token");
    let lax = JwtRules { audiences: Vec::new(), issuers: Vec::new(), ..rules(vec![secret()]) };
    let mut show = Show::new(desk(lax));
    assert_eq!(post_at(&mut show, NOW, "cam12", &token("mediamtx")).status, 201);
    assert_eq!(post_at(&mut show, NOW, "cam12x", &token("mediamtx")).status, 403);
}

#[test]
fn auth_03_garbage_and_giants_are_refused_before_the_body_is_read() {
    let mut show = Show::new(desk(rules(vec![secret(), pem("rsa.pem")])));
    let giant = format!("Bearer ey{}.e30.x", "a".repeat(9_000));
    for garbage in
        [&*giant, "Bearer ..", "Bearer ey.ey.ey", "Bearer eyJ9.e30.", "Bearer ey\u{7f}.a.b", "Bearer a.b.c.d"]
    {
        let mut call = show.call(Method::Post, "/whip/studio-1").body(SDP, b"garbage").key(garbage);
        call.request.unix_now = NOW;
        assert_eq!(call.send().status, 401, "{garbage:.40}");
    }
}

#[test]
fn auth_06_keys_of_a_url_come_when_a_token_needs_them_and_may_change() {
    let mut url = rules(Vec::new());
    url.has_key_set = true;
    let mut show = Show::new(desk(url));
    let ask = |show: &Show, name: &str| {
        let header = token(name);
        let mut elsewhere = Show::open();
        let mut request = elsewhere.call(Method::Post, "/whip/studio-1").request;
        (request.authorization, request.unix_now) = (Some(&*header), NOW);
        matches!(show.desk.question(&request, false), Some(Question::KeySet))
    };
    assert!(ask(&show, "rs256_kid"));
    let early = post_at(&mut show, NOW, "studio-1", &token("rs256_kid"));
    assert_eq!(
        (early.status, &*code(&early)),
        (503, "key_set_missing"),
        "not open, and not the client's fault"
    );

    let set = KeySet::from_json(file("jwks.json").as_bytes()).unwrap();
    assert_eq!(set.len(), 3, "neither secrets, nor keys for encryption, nor unknown kinds");
    show.desk.set_key_set(set);
    for name in ["rs256_kid", "es256_kid", "eddsa_kid", "rs256"] {
        assert!(!ask(&show, name), "{name}");
        assert_eq!(post_at(&mut show, NOW, "studio-1", &token(name)).status, 201, "{name}");
    }
    for name in ["hs256", "hs256_kid_by_rsa_pem", "rs256_by_other"] {
        assert_eq!(post_at(&mut show, NOW, "studio-1", &token(name)).status, 401, "{name}");
    }

    assert!(ask(&show, "rs256_new_kid"), "signed with a key that came later");
    assert_eq!(post_at(&mut show, NOW, "studio-1", &token("rs256_new_kid")).status, 401);
    show.desk.set_key_set(KeySet::from_json(file("jwks-rotated.json").as_bytes()).unwrap());
    assert_eq!(post_at(&mut show, NOW, "studio-1", &token("rs256_new_kid")).status, 201);
    assert_eq!(post_at(&mut show, NOW, "studio-1", &token("rs256_kid")).status, 401, "the old key is gone");
    show.desk.forget_key_set();
    assert_eq!(post_at(&mut show, NOW, "studio-1", &token("rs256_new_kid")).status, 503, "another URL");
}

#[test]
fn documents_that_hold_no_keys_say_so() {
    for bad in [
        "",
        "{}",
        r#"{"keys": []}"#,
        r#"{"keys": [{"kty": "oct", "k": "AAAA"}]}"#,
        "<html>",
        &"[".repeat(100_000),
    ] {
        assert!(KeySet::from_json(bad.as_bytes()).is_err(), "{bad:.20}");
    }
    assert!(JwtKey::from_secret("short").is_none());
    assert!(JwtKey::from_pem("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n").is_none());
    assert!(!format!("{:?}", secret()).contains("thirty"));
}

#[test]
fn sess_29_a_newer_token_of_the_same_subject_opens_the_session_too() {
    let mut show = Show::new(desk(rules(vec![secret()])));
    let delete = |show: &mut Show, made_with: &str, shown: &str| {
        let reply = post_at(show, NOW, "studio-1", &token(made_with));
        let (url, header) = (reply.header("Location").unwrap().to_owned(), token(shown));
        let mut call = show.call(Method::Delete, &url).key(&header);
        call.request.unix_now = NOW + 1;
        call.send().status
    };
    assert_eq!(delete(&mut show, "hs256", "hs256"), 200);
    assert_eq!(delete(&mut show, "hs256", "anna_again"), 200);
    assert_eq!(delete(&mut show, "hs256", "ben"), 403);
    assert_eq!(delete(&mut show, "hs256", "expired"), 401, "the same subject, but not good");
    assert_eq!(delete(&mut show, "no_sub", "no_sub_again"), 403, "without a subject they are strangers");
}

#[test]
fn auth_06_running_sessions_end_with_their_token_if_the_policy_says_so() {
    for (end_on_revoke, endings) in [(true, 1), (false, 0)] {
        let mut config = desk(rules(vec![secret()]));
        config.policy.end_on_revoke = end_on_revoke;
        let mut show = Show::new(config);
        let reply = post_at(&mut show, NOW, "studio-1", &token("hs256"));
        assert_eq!(reply.status, 201);
        assert!(show.desk.tick(show.now, NOW + 3_600 + 29).is_empty(), "the leeway is over in a second");
        let effects = show.desk.tick(show.now, NOW + 3_600 + 30);
        assert_eq!(effects.len(), endings);
        assert!(effects.iter().all(|effect| matches!(effect, Effect::End(_, Ending::Expired))));
        assert_eq!(show.desk.session_count(), 1 - endings);
    }
}
