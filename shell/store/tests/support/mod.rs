//! A folder of its own, and endpoints to put into it.

use std::fs;
use std::path::PathBuf;
use wtn_store::{Allows, Digest, StoredEndpoint, StoredKey};
use wtn_wish::PolicyOverrides;

/// Gone with the value.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An endpoint whose every part follows from its number.
pub fn endpoint(name: &str, number: u64) -> StoredEndpoint {
    let key = |index: u64| StoredKey {
        id: format!("k{index}"),
        allows: if index.is_multiple_of(2) { Allows::Publish } else { Allows::Play },
        label: Some(format!("{name} {number}")),
        digest: Digest::of(&format!("{name}/{number}/{index}")),
        created_at: number,
        expires_at: None,
    };
    StoredEndpoint {
        name: name.to_owned(),
        created_at: 1,
        changed_at: number,
        keys: (0..number % 5).map(key).collect(),
        ice_servers: None,
        policy: PolicyOverrides { max_viewers: Some(number as u32), ..PolicyOverrides::default() },
    }
}
