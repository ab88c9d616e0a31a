//! An SDP offer, typed.

use crate::SdpFault;

/// An SDP offer, read and typed: all that an answer depends on.
#[derive(Clone, Debug)]
pub struct Offer {}

impl Offer {
    /// Reads an offer.
    ///
    /// # Errors
    /// [`FaultKind::Malformed`](crate::FaultKind) if it is no SDP; `Unacceptable` past a limit.
    pub fn parse(body: &[u8]) -> Result<Self, SdpFault> {
        let _ = body;
        Err(SdpFault::malformed("empty", "No offer."))
    }
}
