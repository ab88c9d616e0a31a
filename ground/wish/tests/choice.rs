//! Which layer of the picture a viewer gets: what may be asked for, and what the engine is told.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use support::{Joined, Show, offer, refused};
use wtn_media::{Layer, LayerSelection, Rid};
use wtn_wish::{Effect, Method, Reply};

const JSON: &str = "application/json";

/// A stream with three encodings, as Chromium sends them.
struct Scene {
    show: Show,
    publisher: Joined,
    viewer: Joined,
    rids: Vec<Rid>,
    /// Of the picture.
    index: usize,
}

impl Scene {
    fn new(publisher: &str) -> Self {
        let mut show = Show::open();
        let publisher = show.publish("live", publisher);
        let viewer = show.watch("live", "play-chromium");
        let plan = &publisher.admission.plan;
        let rids = plan.tracks.iter().flat_map(|track| track.rids.clone()).collect();
        let body = offer("play-chromium");
        let mut sections = body.lines().filter(|line| line.starts_with("m="));
        let index = sections.position(|line| line.starts_with("m=video")).unwrap();
        Self { show, publisher, viewer, rids, index }
    }

    fn choose(&mut self, body: &str) -> Reply {
        let path = format!("{}/layer", self.viewer.url);
        self.show.call(Method::Post, &path).body(JSON, body.as_bytes()).send()
    }

    /// What the engine is told.
    #[track_caller]
    fn chosen(&mut self, body: &str) -> Option<LayerSelection> {
        let reply = self.choose(body);
        assert_eq!((reply.status, &*reply.body), (200, &b""[..]), "{body}: {reply:?}");
        self.told(&reply)
    }

    #[track_caller]
    fn told(&self, reply: &Reply) -> Option<LayerSelection> {
        let [Effect::Layers { session, selection }] = &reply.effects[..] else { panic!("{reply:?}") };
        assert_eq!(*session, self.viewer.id());
        *selection
    }

    fn tell_layers(&mut self, layers: &[Layer]) {
        self.show.desk.on_layers(self.publisher.admission.stream, layers);
    }
}

fn layer(rid: &str, width: u16, height: u16) -> Layer {
    Layer {
        rid: Rid::new(rid),
        spatial: None,
        temporal: None,
        bitrate: u32::from(width) * 1_000,
        width,
        height,
    }
}

fn svc(spatial: u8, temporal: u8) -> Layer {
    let width = 320 << spatial;
    Layer { rid: None, spatial: Some(spatial), temporal: Some(temporal), ..layer("x", width, width / 16 * 9) }
}

#[test]
fn whep_29_an_encoding_is_chosen_by_its_rid() {
    let mut scene = Scene::new("pub-chromium-vp8-simulcast");
    assert!(scene.rids.len() > 1);
    let (rid, index) = (scene.rids[0], scene.index);
    let expected = Some(LayerSelection { rid: Some(rid), ..LayerSelection::default() });
    for body in [
        format!("{{\"mediaId\":\"{index}\",\"rid\":\"{rid}\"}}"),
        format!("{{\"mediaId\":{index},\"rid\":\"{rid}\"}}"),
        format!("{{\"rid\":\"{rid}\",\"unknown\":[1],\"maxSpatialLayerId\":null}}"),
    ] {
        assert_eq!(scene.chosen(&body), expected, "{body}");
    }
}

#[test]
fn whep_29_l25_older_players_say_encoding_id() {
    let mut scene = Scene::new("pub-chromium-vp8-simulcast");
    let rid = scene.rids[1];
    let expected = Some(LayerSelection { rid: Some(rid), ..LayerSelection::default() });
    assert_eq!(scene.chosen(&format!("{{\"encodingId\":\"{rid}\"}}")), expected);
    assert_eq!(scene.chosen(&format!("{{\"encodingId\":\"{rid}\",\"rid\":\"{rid}\"}}")), expected);
}

#[test]
fn whep_29_obs_rids_may_be_written_as_numbers() {
    let mut scene = Scene::new("pub-obs-simulcast");
    assert!(scene.rids.contains(&Rid::new("1").unwrap()), "{:?}", scene.rids);
    let chosen = scene.chosen("{\"rid\":1}").unwrap();
    assert_eq!(chosen.rid, Rid::new("1"));
}

#[test]
fn whep_29_only_the_media_id_or_delete_means_automatic() {
    let mut scene = Scene::new("pub-chromium-vp8-simulcast");
    let index = scene.index;
    for body in [format!("{{\"mediaId\":\"{index}\"}}"), "{}".to_owned()] {
        assert_eq!(scene.chosen(&body), None, "{body}");
    }
    let path = format!("{}/layer", scene.viewer.url);
    let reply = scene.show.call(Method::Delete, &path).send();
    assert_eq!((reply.status, scene.told(&reply)), (200, None));
    let publisher = scene.publisher;
    scene.show.end(&publisher);
    let reply = scene.show.call(Method::Delete, &path).send();
    assert_eq!(reply.status, 200, "automatic is possible at any time");
}

#[test]
fn whep_29_what_is_not_there_is_refused() {
    let mut scene = Scene::new("pub-chromium-vp8-simulcast");
    let (rid, other) = (scene.rids[0], 1 - scene.index);
    for body in [
        "{\"rid\":\"nope\"}".to_owned(),
        "{\"rid\":\"\"}".to_owned(),
        format!("{{\"rid\":\"{}\"}}", "x".repeat(60_000)),
        "{\"rid\":\"a b\\n\"}".to_owned(),
        format!("{{\"rid\":\"{rid}\",\"spatialLayerId\":1}}"),
        "{\"temporalLayerId\":0}".to_owned(),
        "{\"temporalLayerId\":256}".to_owned(),
        "{\"maxWidth\":640}".to_owned(),
        format!("{{\"mediaId\":\"{other}\",\"rid\":\"{rid}\"}}"),
        format!("{{\"mediaId\":\"x\",\"rid\":\"{rid}\"}}"),
    ] {
        refused(&scene.choose(&body), 422, "no_such_layer");
    }
    for body in
        ["", "[]", "\"h\"", "{", "{\"rid\":[]}", "{\"spatialLayerId\":-1}", "{\"spatialLayerId\":\"1\"}"]
    {
        refused(&scene.choose(body), 400, "bad_layer");
    }
    let path = format!("{}/layer", scene.viewer.url);
    refused(&scene.show.call(Method::Post, &path).body("text/plain", b"{}").send(), 415, "wrong_media_type");
    refused(&scene.show.call(Method::Get, &path).send(), 405, "method_not_allowed");
    let huge = format!("{{\"rid\":\"{}\"}}", "x".repeat(70_000));
    refused(&scene.choose(&huge), 413, "body_too_large");
    let publisher = scene.publisher;
    scene.publisher = scene.show.publish("other", "pub-obs");
    scene.show.end(&publisher);
    refused(&scene.choose(&format!("{{\"rid\":\"{rid}\"}}")), 422, "no_such_layer");
}

#[test]
fn whep_29_a_picture_in_one_layer_leaves_no_choice() {
    let mut scene = Scene::new("pub-obs");
    let reply = scene.choose("{\"rid\":\"h\"}");
    refused(&reply, 422, "no_such_layer");
    assert!(String::from_utf8_lossy(&reply.body).contains("one layer only"));
    assert_eq!(scene.chosen("{}"), None);
}

#[test]
fn whep_29_layers_of_one_encoding_are_chosen_by_number() {
    let mut scene = Scene::new("pub-obs");
    scene.tell_layers(&[svc(1, 1), svc(1, 0), svc(0, 1), svc(0, 0)]);
    let none = LayerSelection::default();
    let body = "{\"spatialLayerId\":0,\"temporalLayerId\":1}";
    assert_eq!(scene.chosen(body), Some(LayerSelection { spatial: Some(0), temporal: Some(1), ..none }));
    let body = "{\"maxSpatialLayerId\":0,\"maxTemporalLayerId\":9}";
    let expected = LayerSelection { max_spatial: Some(0), max_temporal: Some(9), ..none };
    assert_eq!(scene.chosen(body), Some(expected));
    assert_eq!(scene.chosen("{\"maxSpatialLayerId\":1000}"), None, "above all there is, it limits nothing");
    refused(&scene.choose("{\"spatialLayerId\":2}"), 422, "no_such_layer");
    let expected = LayerSelection { max_spatial: Some(0), ..none };
    assert_eq!(scene.chosen("{\"maxWidth\":400}"), Some(expected));
}

#[test]
fn whep_29_a_size_picks_the_largest_layer_that_fits() {
    let mut scene = Scene::new("pub-chromium-vp8-simulcast");
    let [a, b, c] = [scene.rids[0], scene.rids[1], scene.rids[2]].map(|rid| rid.to_string());
    scene.tell_layers(&[layer(&a, 1280, 720), layer(&b, 640, 360), layer(&c, 320, 180)]);
    for (body, rid) in [
        ("{\"maxWidth\":1000}", &b),
        ("{\"maxHeight\":720}", &a),
        ("{\"maxWidth\":9999,\"maxHeight\":200}", &c),
    ] {
        assert_eq!(scene.chosen(body).unwrap().rid, Rid::new(rid), "{body}");
    }
    refused(&scene.choose("{\"maxHeight\":100}"), 422, "no_such_layer");
}

/// Its reports are asked for, and cost it some of its line, only where there is a choice to be made by them.
#[test]
fn rtp_22_a_viewer_of_one_encoding_in_layers_is_asked_about_its_line() {
    let asks = |layers: &[Layer]| {
        let mut scene = Scene::new("pub-obs");
        scene.tell_layers(layers);
        let viewer = scene.show.watch("live", "play-chromium");
        viewer.admission.plan.tracks.iter().any(|track| track.feedback.transport_cc)
    };
    assert!(!asks(&[]) && !asks(&[svc(0, 0)]));
    assert!(asks(&[svc(0, 0), svc(0, 1)]));
}
