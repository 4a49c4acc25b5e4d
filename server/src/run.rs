//! The program: settings to a running server.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use asasr_store::{MANIFEST, Package, PublicKey, Store, redacted};
use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tracing::{error, info, warn};

use crate::listen::bind;
use crate::{Catalogue, Config, Listening, PageSource, Service, admin_router, log};

/// What could not be read is tried again so soon, or after the time for new releases where that is shorter.
const AGAIN: Duration = Duration::from_secs(5);

/// A store in memory with the models that are built into the program.
///
/// # Errors
/// When one of them is damaged.
pub async fn embedded() -> Result<Store, asasr_store::Error> {
    let store = Store::in_memory();
    // The same for every copy of the program.
    let released = asasr_weights::RELEASED
        .parse::<DateTime<Utc>>()
        .unwrap_or_default();
    for model in asasr_weights::ALL {
        let read = |file: &str| Ok(model.sampler(file).unwrap_or(model.weights).into());
        let package = Package::new("a built-in model", model.manifest.into(), None, read)?;
        store.publish_at(&package, released).await?;
    }
    Ok(store)
}

/// Serves as the settings say until the process is told to end.
///
/// # Errors
/// A sentence that names the setting at fault.
pub async fn run(config: Config) -> Result<(), String> {
    log::begin(&config)?;
    // Every connection is a file; systems give programs few of them at first and more when asked.
    #[cfg(unix)]
    if let Err(why) = rlimit::increase_nofile_limit(u64::from(config.connections) + 1000) {
        warn!(%why, "the limit of open files cannot be raised");
    }
    let key = config.public_key.as_deref().map(PublicKey::read).transpose();
    let key = key.map_err(|e| e.to_string())?;
    let store = match &config.store {
        Some(place) => Store::open(place),
        None => embedded().await,
    };
    let store = store
        .map_err(|e| e.to_string())?
        .with_patience(config.storage_timeout.0);
    if config.store.is_none() && key.is_some() {
        return Err("--public-key needs --store: the built-in models are not signed".into());
    }
    let catalogue = Catalogue::new(store, key, u64::from(config.cache_mb) * 1_000_000);
    let source = PageSource::choose(config.page.as_deref());
    if matches!(source, PageSource::Absent) {
        warn!("no page is in ./dist: only the models are served; `cargo xtask page` builds the page");
    }
    let service = Service::new(source, catalogue, &config)?;
    let listening = Listening::bind(&config).await?;
    let admin = match config.admin_listen {
        Some(address) => Some(bind(address, "--admin-listen").await?),
        None => None,
    };
    // A storage that takes its time is no reason not to answer at all.
    let first = config.storage_timeout.0.min(Duration::from_secs(2));
    match tokio::time::timeout(first, service.catalogue().refresh()).await {
        Ok(Ok(())) if service.catalogue().ids().is_empty() && service.catalogue().refused() == 0 => {
            let place = config.store.as_deref().map(redacted).unwrap_or_default();
            if Path::new(&place).join(MANIFEST).is_file() {
                warn!(
                    "{place} is a model's folder and no store: `asasr weights publish {place} --to STORE` makes one"
                );
            } else {
                warn!(
                    "the store {place} has no models: `asasr weights publish DIR --to {place}` puts one there"
                );
            }
        }
        Ok(Ok(())) => {}
        Ok(Err(why)) => error!(%why, "the models cannot be read; trying again until they can"),
        Err(_) => warn!("the storage takes long; the models are served as soon as they are read"),
    }
    let (stop, hangups) = (told_to_end(), hangups());
    println!(
        "serving {} at {}",
        named(&service.catalogue().ids()),
        listening.url()
    );
    if let Some(admin) = admin {
        info!(address = %config.admin_listen.map(|a| a.to_string()).unwrap_or_default(), "metrics are served");
        let app = admin_router(&service);
        tokio::spawn(async move { axum::serve(admin, app).await });
    }
    let certificates = listening.certificates(&config);
    let look = Arc::new(Notify::new());
    tokio::spawn(tidy(Arc::clone(&service)));
    tokio::spawn(heed(
        Arc::clone(&service),
        hangups,
        certificates,
        Arc::clone(&look),
    ));
    tokio::spawn(keep_up(Arc::clone(&service), config.refresh.0, look));
    listening.serve(service, &config, stop).await;
    info!("ended");
    Ok(())
}

fn named(ids: &[String]) -> String {
    if ids.is_empty() {
        "no models".into()
    } else {
        ids.join(", ")
    }
}

/// Looks for new releases every so often, and when told so.
async fn keep_up(service: Arc<Service>, every: Duration, look: Arc<Notify>) {
    let mut read = !service.catalogue().ids().is_empty();
    loop {
        let wait = if read { every } else { every.min(AGAIN) };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = look.notified() => {}
        }
        let refreshed = service.catalogue().refresh().await;
        read = refreshed.is_ok() && !service.catalogue().ids().is_empty();
        if let Err(why) = refreshed {
            service.metrics.refreshes_failed.inc();
            error!(%why, "the models stay as they were");
        }
    }
}

/// Reads everything again that may have changed, when told so.
async fn heed(
    service: Arc<Service>,
    mut told: Hangups,
    certificates: impl Fn() -> Result<(), String> + Send + 'static,
    look: Arc<Notify>,
) {
    loop {
        told.next().await;
        info!("reading page, certificate and models again");
        if let Err(why) = service.reload_page() {
            error!(why, "the page stays as it was");
        }
        if let Err(why) = certificates() {
            error!(why, "the certificate stays as it was");
        }
        info!("page and certificate were read");
        look.notify_one();
    }
}

/// Forgets clients that are quiet.
async fn tidy(service: Arc<Service>) {
    loop {
        tokio::time::sleep(Duration::from_secs(30)).await;
        service.limits.tidy();
    }
}

#[cfg(unix)]
struct Hangups(Option<tokio::signal::unix::Signal>);
#[cfg(not(unix))]
struct Hangups;

fn hangups() -> Hangups {
    #[cfg(unix)]
    return Hangups(tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok());
    #[cfg(not(unix))]
    Hangups
}

impl Hangups {
    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.0
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}

/// Listens for the signals from now on; the future ends at the first.
fn told_to_end() -> impl Future<Output = ()> {
    #[cfg(unix)]
    let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    #[cfg(unix)]
    let interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt());
    async move {
        // Without a handler the system ends the program on its own.
        #[cfg(unix)]
        if let (Ok(mut terminate), Ok(mut interrupt)) = (terminate, interrupt) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        } else {
            std::future::pending::<()>().await;
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
