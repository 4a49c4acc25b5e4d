//! `asasr-server`: one program that serves the page and the weights.

use std::process::ExitCode;

use asasr_server::{Config, Invocation, run};

#[tokio::main]
async fn main() -> ExitCode {
    let config = match Config::read(std::env::args_os()) {
        Ok(Invocation::Serve(config)) => *config,
        Ok(Invocation::Print(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(why) => why.exit(),
    };
    match run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}
