//! Ctrl-C as a flag that the long loops look at, so that they can tidy up.

use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);

/// Turns Ctrl-C into the flag; a second one ends the program at once.
pub(crate) fn listen() {
    // Where no handler can be set, Ctrl-C keeps its usual meaning.
    let _ = ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    });
}

/// Whether Ctrl-C was pressed.
pub(crate) fn requested() -> bool {
    STOP.load(Ordering::SeqCst)
}
