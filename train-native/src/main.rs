//! `asasr`: train, evaluate and use faithful super-resolution networks.
#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "println! ends the program when nobody reads: say! and note! do not"
)]

#[macro_use]
mod say;

mod bench;
mod bench_kernels;
mod bench_model;
mod bench_ops;
mod cli;
mod community;
mod degrade;
mod device;
mod drawn;
mod encode;
mod error;
mod eval;
mod executor;
mod files;
#[cfg(feature = "wgpu")]
mod gpu;
mod graphs;
mod help;
mod html;
mod interrupt;
mod memory;
mod model;
mod pack;
mod pairs;
mod results;
mod sheet;
mod store;
mod train;
mod upscale;
mod video;

use std::process::ExitCode;

use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command = match cli::Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => {
            // What clap prints itself, and its exit code.
            let _ = error.print();
            if let Some(hint) = cli::hint(&error) {
                note!("{hint}");
            }
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    let only_tells = command.only_tells();
    // On one of the pool's threads, so that the pool is not woken for every operation of a network.
    let done = rayon::scope(|_| run(command));
    match done.and_then(|()| if only_tells { say::check() } else { Ok(()) }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: cli::Command) -> error::Result<()> {
    match command {
        cli::Command::Upscale(args) => upscale::run(&args),
        cli::Command::Video(args) => video::run(&args),
        cli::Command::Eval(args) => eval::run(&args),
        cli::Command::Results(args) => results::run(&args),
        cli::Command::Degrade(args) => pairs::run(&args),
        cli::Command::Bench(cli::Bench::Train(args)) => bench::train(&args),
        cli::Command::Bench(cli::Bench::Kernels(args)) => bench_kernels::run(&args),
        cli::Command::Bench(cli::Bench::Ops(args)) => bench_ops::run(&args),
        cli::Command::Bench(cli::Bench::Model(args)) => bench_model::run(&args),
        cli::Command::Pack(args) => pack::run(&args),
        cli::Command::Weights(command) => store::run(&command),
        cli::Command::Train(command) => train::run(&command),
        cli::Command::Completions(args) => {
            help::completions(&args);
            Ok(())
        }
        cli::Command::Manual(args) => help::manual(&args),
    }
}
