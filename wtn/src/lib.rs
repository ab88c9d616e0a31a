//! The WebRTC Transmission Network server: WHIP in, WHEP out.
//!
//! The program `wtn` is a thin shell around [`Server`], which any program may embed:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), wtn::StartError> {
//! let running = wtn::Server::builder()
//!     .http("127.0.0.1:0".parse().expect("an address"))
//!     .media("127.0.0.1:0".parse().expect("an address"))
//!     .open()
//!     .start()
//!     .await?;
//! println!("publish to http://{}/whip/live", running.http_addr());
//! println!("watch at http://{}/watch/live", running.http_addr());
//! running.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod access;
pub mod config;
mod load;
mod reload;
mod server;
mod start_error;

pub use load::Budgets;
pub use server::{Builder, Running, Server};
pub use start_error::StartError;
pub use wtn_http::Limits as HttpLimits;
