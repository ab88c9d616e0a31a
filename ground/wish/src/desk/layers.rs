//! Which layer of the picture a viewer gets (the draft's "Video Layer Selection extension").

use super::Desk;
use super::feeds::read_json;
use super::table::Stream;
use crate::reply::{Effect, JSON};
use crate::{Method, Problem, Reply, Request};
use serde::Deserialize;
use wtn_media::{Layer, LayerSelection, Rid};

/// What a player wants, in the draft's words. What it does not say, it leaves to us.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Choice {
    /// The `m=` line.
    media_id: Option<Name>,
    rid: Option<Name>,
    /// How older servers and players call it.
    encoding_id: Option<Name>,
    spatial_layer_id: Option<u64>,
    temporal_layer_id: Option<u64>,
    max_spatial_layer_id: Option<u64>,
    max_temporal_layer_id: Option<u64>,
    max_width: Option<u64>,
    max_height: Option<u64>,
}

/// Names are texts; OBS calls its encodings 0 to 3, and who reads that as a number may write one.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Name {
    Text(String),
    Number(u64),
}

impl Name {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

impl Desk {
    pub(super) fn at_layer(&mut self, id: &str, request: &Request<'_>) -> Result<Reply, Problem> {
        const ALLOW: &str = "OPTIONS, POST, DELETE";
        if request.method == Method::Options {
            return Ok(Reply::new(200).with("Allow", ALLOW).with("Accept-Post", JSON));
        }
        let session = self.authorized_viewer(id, request)?;
        let entry = self.table.session(session).ok_or_else(Problem::not_found)?;
        let picture = entry.picture.ok_or_else(Problem::not_found)?;
        let selection = match request.method {
            // What older players send for "automatic".
            Method::Delete => None,
            Method::Post => {
                // An array would do for a struct otherwise.
                let fields: serde_json::Map<String, serde_json::Value> =
                    read_json(request, Problem::bad_layer)?;
                let choice: Choice = serde_json::from_value(fields.into())
                    .map_err(|error| Problem::bad_layer(format!("The body cannot be read: {error}.")))?;
                if let Some(media) = &choice.media_id
                    && !is_picture(media, picture)
                {
                    return Err(Problem::no_such_media(picture));
                }
                let name = self.table.name_of(entry.stream).unwrap_or_default();
                self.table.stream(name).map(|stream| selection(choice, stream)).transpose()?.flatten()
            }
            _ => return Err(Problem::method_not_allowed(ALLOW)),
        };
        Ok(Reply::new(200).with_effect(Effect::Layers { session, selection }))
    }
}

fn is_picture(media: &Name, picture: u8) -> bool {
    match media {
        Name::Text(text) => text.parse() == Ok(picture),
        Name::Number(number) => *number == u64::from(picture),
    }
}

/// What the choice means for the stream as it is now; `None`: nothing in particular.
fn selection(choice: Choice, stream: &Stream) -> Result<Option<LayerSelection>, Problem> {
    let rid = choice.rid.or(choice.encoding_id).map(Name::text);
    let exact = |number: Option<u64>| {
        number.map(|number| u8::try_from(number).map_err(|_| Problem::no_such_layer(stream))).transpose()
    };
    // A limit above all there is limits nothing.
    let limit = |number: Option<u64>| number.and_then(|number| u8::try_from(number).ok());
    let mut selection = LayerSelection {
        rid: rid.map(|rid| known_rid(&rid, stream)).transpose()?,
        spatial: exact(choice.spatial_layer_id)?,
        temporal: exact(choice.temporal_layer_id)?,
        max_spatial: limit(choice.max_spatial_layer_id),
        max_temporal: limit(choice.max_temporal_layer_id),
    };
    if choice.max_width.is_some() || choice.max_height.is_some() {
        let fits = |layer: &Layer| {
            u64::from(layer.width) <= choice.max_width.unwrap_or(u64::MAX)
                && u64::from(layer.height) <= choice.max_height.unwrap_or(u64::MAX)
        };
        selection = within_size(selection, stream, fits)?;
    }
    if !is_there(&selection, stream) {
        return Err(Problem::no_such_layer(stream));
    }
    Ok((selection != LayerSelection::default()).then_some(selection))
}

/// An encoding that the publisher has negotiated, or sends.
fn known_rid(rid: &str, stream: &Stream) -> Result<Rid, Problem> {
    let is_known = |rid: &Rid| {
        stream.live.is_some()
            && (stream.rids.contains(rid) || stream.layers.iter().any(|layer| layer.rid == Some(*rid)))
    };
    Rid::new(rid).filter(is_known).ok_or_else(|| Problem::no_such_layer(stream))
}

/// The largest layer that fits is wanted then, if any is known to fit.
fn within_size(
    selection: LayerSelection,
    stream: &Stream,
    fits: impl Fn(&Layer) -> bool,
) -> Result<LayerSelection, Problem> {
    let is_known = |layer: &&Layer| layer.width > 0 && layer.height > 0;
    let fitting = stream.layers.iter().filter(is_known).filter(|layer| fits(layer) && has(layer, &selection));
    let largest =
        fitting.max_by_key(|layer| (u32::from(layer.width) * u32::from(layer.height), layer.bitrate));
    let largest = largest.ok_or_else(|| Problem::no_such_layer(stream))?;
    let lower = |number: Option<u8>, limit: Option<u8>| limit.into_iter().chain(number).min();
    Ok(LayerSelection {
        rid: largest.rid,
        max_spatial: lower(largest.spatial, selection.max_spatial),
        ..selection
    })
}

/// Whether the layer is one of those that are exactly asked for.
fn has(layer: &Layer, selection: &LayerSelection) -> bool {
    let is_asked = |wanted: Option<u8>, number: Option<u8>| wanted.is_none() || wanted == number;
    (selection.rid.is_none() || selection.rid == layer.rid)
        && is_asked(selection.spatial, layer.spatial)
        && is_asked(selection.temporal, layer.temporal)
}

/// Whether the numbers that are asked for are there. A rid may be known before anything of it has come.
fn is_there(selection: &LayerSelection, stream: &Stream) -> bool {
    let has_numbers = selection.spatial.is_some() || selection.temporal.is_some();
    !has_numbers || stream.layers.iter().any(|layer| has(layer, selection))
}

impl Problem {
    fn bad_layer(detail: String) -> Self {
        let fix = "Send a JSON object such as {\"mediaId\": \"0\", \"rid\": \"h\"}; with the mediaId alone, the choice is ours.";
        Self::new(400, "bad_layer", "Not a choice of layer", detail, fix)
    }

    fn no_such_media(picture: u8) -> Self {
        Self::new(
            422,
            "no_such_layer",
            "No such layer",
            "The mediaId is not that of the picture, and nothing else has layers.",
            format!("Send \"mediaId\": \"{picture}\", which is the picture's m= line, or leave it out."),
        )
    }

    fn no_such_layer(stream: &Stream) -> Self {
        let detail = match (stream.live, &*stream.rids) {
            (None, _) => "Nobody is publishing, so there are no layers to choose from.".to_owned(),
            (_, []) if stream.layers.is_empty() => {
                "The publisher sends its picture in one layer only.".to_owned()
            }
            (_, []) => "The stream has no such layer.".to_owned(),
            (_, rids) => {
                let rids: Vec<_> = rids.iter().map(Rid::as_str).collect();
                format!("The stream has no such layer. Its encodings are {}.", rids.join(", "))
            }
        };
        let fix = "Choose one that the last \"layers\" event lists.";
        Self::new(422, "no_such_layer", "No such layer", detail, fix)
    }
}
