//! An image in a process of its own: where memory is not enough, no more than that image is lost.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use std::{env, fs, io, thread};

use super::Failed;
use super::plan::Job;
use crate::cli::Upscale;
use crate::error::{Error, code};
use crate::{files, interrupt};

/// Enlarges one image, which tells its own notes and errors.
pub(super) fn run(args: &Upscale, Job { input, maps, .. }: &Job, target: &Path) -> Result<(), Failed> {
    let fail = |e: io::Error| {
        let why = format!("this large image has a process of its own, which cannot be started ({e})");
        Some(Error::at(&input.name, why))
    };
    let program = env::current_exe().map_err(fail)?;
    let one = Upscale {
        inputs: vec![input.name.clone()],
        output: Some(target.to_path_buf()),
        consistency: maps.consistency.clone(),
        spread: maps.spread.clone(),
        recursive: false,
        alone: true,
        ..args.clone()
    };
    let mut command = Command::new(program);
    let mut child = command
        .args(one.words())
        .stdin(Stdio::null())
        .spawn()
        .map_err(fail)?;
    let status = end(&mut child).map_err(fail)?;
    match status.code() {
        Some(0) => Ok(()),
        // Told by the process.
        Some(1) => Err(None),
        _ => {
            files::sweep(files::folder_of(target));
            let (code, why) = if interrupt::requested() {
                (code::CANCELLED, "stopped".into())
            } else {
                let why = format!(
                    "its work was broken off ({status}), most likely for want of memory: make it smaller, choose a smaller --tile, or \
                     end other programs"
                );
                (code::NO_MEMORY, why)
            };
            Err(Some(Error::at(&input.name, why).coded(code)))
        }
    }
}

/// Waits for the end, which comes at once when the user wants to stop.
fn end(child: &mut Child) -> io::Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if interrupt::requested() {
            child.kill()?;
            return child.wait();
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Asks the system to end this process before others when memory is short.
pub(super) fn be_the_first_to_go() {
    if cfg!(target_os = "linux") {
        // Where that cannot be asked, it chooses by itself.
        let _ = fs::write("/proc/self/oom_score_adj", "500");
    }
}
