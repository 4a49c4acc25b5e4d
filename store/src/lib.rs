//! Where models are kept for serving, on any storage that keeps objects: a folder, S3 and what speaks like it, Google
//! Cloud Storage, Azure, memory.
//!
//! ```text
//! blobs/{sha256}                      weights and manifests, under the hash of their bytes
//! releases/{id}/{number}.json         which manifest a model's release has; the highest number is what is served
//! ```
//!
//! Objects are written once and never changed. A release is written last and only where its number is free, which every
//! storage does at once or not at all: readers see a model's old release or the whole new one, a publisher that dies
//! leaves nothing but blobs that [`Store::sweep`] takes away, and of two publishers one is told that the other was first.
//! Rolling back writes one more release with an older manifest, so what was served when stays on record.
//!
//! Every byte that comes out is checked against its hash; [`Store::blob`] has no other way.

mod error;
mod id;
mod package;
mod place;
mod release;
mod signature;
mod store;
mod sweep;

pub use asasr_core::model::{Mode, Role, sha256_hex};
pub use error::{Error, Result};
pub use id::ReleaseId;
pub use package::{LARGEST_FILE, LARGEST_MANIFEST, MANIFEST, Package, SIGNATURE, check_licence};
pub use place::redacted;
pub use release::Release;
pub use signature::{PublicKey, Signature, SigningKey};
pub use store::{Listed, Store};
pub use sweep::{Fault, Sweep, Swept};
