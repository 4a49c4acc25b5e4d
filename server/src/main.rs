//! `asasr-server`: one program that serves the page and the weights.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use asasr_server::{Models, Page, router};
use clap::Parser;

/// Serve the ASASR page and its models.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Args {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Folder of the built page
    #[arg(long, default_value = "dist")]
    page: PathBuf,
    /// Folder of models, each in a folder of its own, instead of the built-in ones
    #[arg(long)]
    weights: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: Args) -> Result<(), String> {
    let page = Page::new(&args.page)?;
    let models = args
        .weights
        .as_deref()
        .map_or_else(Models::embedded, Models::from_folder)?;
    let names = models.ids().collect::<Vec<_>>().join(", ");
    let app = router(&page, models);
    let listener = tokio::net::TcpListener::bind(args.listen)
        .await
        .map_err(|e| format!("{}: {e}: choose another address with --listen", args.listen))?;
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    println!("serving {names} at http://{address}/");
    axum::serve(listener, app)
        .with_graceful_shutdown(interrupted())
        .await
        .map_err(|e| e.to_string())
}

async fn interrupted() {
    // Without a handler the system ends the program on its own.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
