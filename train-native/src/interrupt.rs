//! Ctrl-C as a flag that the long loops look at, so that they leave no half-written file.

use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);

/// Turns Ctrl-C and a request to terminate into the flag.
pub(crate) fn listen() {
    // Where no handler can be set, Ctrl-C keeps its usual meaning.
    let _ = ctrlc::set_handler(|| STOP.store(true, Ordering::SeqCst));
}

/// Whether Ctrl-C was pressed.
pub(crate) fn requested() -> bool {
    STOP.load(Ordering::SeqCst)
}
