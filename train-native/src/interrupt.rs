//! Ctrl-C as a flag that the long loops look at, so that they leave no half-written file; and a limit on the size of files as an
//! error of the file that reaches it.

use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);

/// Turns Ctrl-C and a request to terminate into the flag, and takes the signal of a file that is too large, which would end the program.
pub(crate) fn listen() {
    // Where no handler can be set, Ctrl-C keeps its usual meaning.
    let _ = ctrlc::set_handler(|| STOP.store(true, Ordering::SeqCst));
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    take_size_limit();
}

/// The signal's handler stays when the runtime goes; that it was taken is enough, for the write then fails.
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn take_size_limit() {
    use tokio::signal::unix::{SignalKind, signal};

    /// SIGXFSZ, on all processors but MIPS.
    const TOO_LARGE: i32 = 25;
    if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() {
        let _inside = runtime.enter();
        let _ = signal(SignalKind::from_raw(TOO_LARGE));
    }
}

/// Whether Ctrl-C was pressed.
pub(crate) fn requested() -> bool {
    STOP.load(Ordering::SeqCst)
}
