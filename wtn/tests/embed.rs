//! The server as a part of somebody else's program.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wtn::config::Secret;
use wtn::{Builder, Server, StartError};

fn loopback() -> Builder {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    Server::builder().http(any).media(any).shards(2)
}

async fn get(addr: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn a_server_that_nobody_could_publish_to_does_not_start() {
    let error = loopback().start().await.unwrap_err();
    assert!(matches!(error, StartError::NoKeys), "{error}");
    assert!(loopback().publish_key(Secret::new("stage").unwrap()).start().await.is_ok());
}

#[tokio::test]
async fn two_servers_live_side_by_side_and_end_apart() {
    let (first, second) =
        (loopback().open().start().await.unwrap(), loopback().open().start().await.unwrap());
    let (gone, left) = (first.http_addr(), second.http_addr());
    assert_ne!(first.media_addr(), second.media_addr());
    assert_eq!(first.shards(), 2);
    first.shutdown().await;
    assert!(get(gone, "/readyz").await.is_err());
    assert!(get(left, "/readyz").await.unwrap().starts_with("HTTP/1.0 200 OK"));
    second.shutdown().await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_that_names_its_owner() {
    let running = loopback().open().start().await.unwrap();
    let error = loopback().http(running.http_addr()).open().start().await.unwrap_err();
    assert!(matches!(error, StartError::Http { owner: Some(_), .. }), "{error}");
    let error = loopback().media(running.media_addr()).open().start().await.unwrap_err();
    assert!(matches!(error, StartError::Media(_)), "{error}");
    assert_eq!(error.exit_code(), 69);
}

#[tokio::test]
async fn a_server_that_is_dropped_is_gone() {
    let running = loopback().open().start().await.unwrap();
    let (http, media) = (running.http_addr(), running.media_addr());
    drop(running);
    let free = async {
        while get(http, "/livez").await.is_ok() || std::net::UdpSocket::bind(media).is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), free).await.unwrap();
}
