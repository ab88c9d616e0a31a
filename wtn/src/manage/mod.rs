//! `wtn endpoint` and `wtn key`: the administration of a running server.

mod api;
pub mod args;
mod show;

use crate::exit::{self, FAILED, Failure};
use crate::{log, serve};
use api::Api;
use args::{EndpointArgs, EndpointVerb, KeyArgs, KeyVerb, ServerArgs, Setting};
use reqwest::Method;
use serde_json::{Value, json};
use std::fmt;
use wtn::config::LogFormat;

pub fn endpoint(args: EndpointArgs) -> Result<(), Failure> {
    done(async move {
        match args.verb {
            EndpointVerb::List { server } => list(&server).await,
            EndpointVerb::Show { name, server } => {
                let api = Api::new(&server)?;
                let view = api.send(Method::GET, &["endpoints", &name], &[], None).await?;
                print(&server, &view, show::Endpoint { api: &api, view: &view });
                Ok(())
            }
            EndpointVerb::Create { name, publish_key, play_key, set, server } => {
                let mut body = Setting::body(set);
                body["name"] = name.into();
                let wanted = [("publish", publish_key), ("play", play_key)];
                let keys = wanted.into_iter().filter(|(_, wanted)| *wanted);
                body["keys"] = keys.map(|(allows, _)| json!({ "allows": allows })).collect();
                let api = Api::new(&server)?;
                let view = api.send(Method::POST, &["endpoints"], &[], Some(&body)).await?;
                print(&server, &view, show::Endpoint { api: &api, view: &view });
                Ok(())
            }
            EndpointVerb::Change { name, set, server } => {
                let api = Api::new(&server)?;
                let body = Setting::body(set);
                let view = api.send(Method::PATCH, &["endpoints", &name], &[], Some(&body)).await?;
                print(&server, &view, show::Endpoint { api: &api, view: &view });
                Ok(())
            }
            EndpointVerb::Destroy { name, server } => {
                Api::new(&server)?.send(Method::DELETE, &["endpoints", &name], &[], None).await?;
                print(&server, &Value::Null, format_args!("{name} is gone, and its sessions have ended\n"));
                Ok(())
            }
        }
    })
}

pub fn key(args: KeyArgs) -> Result<(), Failure> {
    done(async move {
        match args.verb {
            KeyVerb::Create { endpoint, allows, more, server } => {
                let body = more.add_to(json!({ "allows": allows.word() }));
                let path = ["endpoints", &endpoint, "keys"];
                let made = Api::new(&server)?.send(Method::POST, &path, &[], Some(&body)).await?;
                print(&server, &made, show::FreshKey(&made));
                Ok(())
            }
            KeyVerb::List { endpoint, server } => {
                let path = ["endpoints", &endpoint, "keys"];
                let list = Api::new(&server)?.send(Method::GET, &path, &[], None).await?;
                print(&server, &list["keys"], show::Keys(&list["keys"]));
                Ok(())
            }
            KeyVerb::Revoke { endpoint, id, server } => {
                let path = ["endpoints", &endpoint, "keys", &id];
                Api::new(&server)?.send(Method::DELETE, &path, &[], None).await?;
                print(&server, &Value::Null, format_args!("{id} opens nothing any more\n"));
                Ok(())
            }
            KeyVerb::Rotate { endpoint, id, overlap, more, server } => {
                let overlap = overlap.map(|seconds| json!({ "overlap_seconds": seconds }));
                let body = more.add_to(overlap.unwrap_or_else(|| json!({})));
                let path = ["endpoints", &endpoint, "keys", &id, "rotate"];
                let made = Api::new(&server)?.send(Method::POST, &path, &[], Some(&body)).await?;
                print(&server, &made, show::FreshKey(&made));
                Ok(())
            }
        }
    })
}

async fn list(server: &ServerArgs) -> Result<(), Failure> {
    let api = Api::new(server)?;
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let query = [("limit", "1000"), ("after", &*after)];
        let mut page = api.send(Method::GET, &["endpoints"], &query, None).await?;
        if let Value::Array(endpoints) = page["endpoints"].take() {
            all.extend(endpoints);
        }
        match page["next"].as_str() {
            Some(next) if next > &*after => after = next.to_owned(),
            _ => break,
        }
    }
    let all = Value::Array(all);
    print(server, &all, show::Endpoints(&all));
    Ok(())
}

fn done(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    log::start(LogFormat::Text, log::CLIENT);
    let stop = async { tokio::signal::ctrl_c().await };
    serve::runtime()?.block_on(async {
        tokio::select! {
            done = work => done,
            _ = stop => Err(Failure::new(FAILED, "stopped")),
        }
    })
}

fn print(server: &ServerArgs, answer: &Value, text: impl fmt::Display) {
    match server.json {
        true if answer.is_null() => {}
        true => exit::print(format_args!("{answer:#}\n")),
        false => exit::print(text),
    }
}
