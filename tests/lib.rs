//! What the tests across crates share: a server, a browser, a drawn image and the native result.
#![allow(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "a failed step fails the test"
)]

mod picture;
mod session;
mod site;

pub use picture::{
    Asked, drawn, drawn_natively, enlarged_natively, imported, of_one_step, of_one_step_natively,
};
pub use session::{Browser, Server, copy_folder, required};
pub use site::Site;
