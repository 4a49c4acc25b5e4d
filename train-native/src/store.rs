//! `asasr weights`: what a server serves.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use asasr_store::{MANIFEST, Package, PublicKey, ReleaseId, SIGNATURE, SigningKey, Store, Sweep};

use crate::cli::{self, StoreCommand};
use crate::community;
use crate::error::{Error, Result};
use crate::files;

pub(crate) fn run(command: &StoreCommand) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::new(format!("no runtime: {e}")))?;
    match command {
        StoreCommand::Import(args) => community::run(args),
        StoreCommand::Publish(args) => runtime.block_on(publish(args)),
        StoreCommand::List(args) => runtime.block_on(list(args)),
        StoreCommand::Verify(args) => runtime.block_on(verify(args)),
        StoreCommand::Rollback(args) => runtime.block_on(roll_back(args)),
        StoreCommand::Gc(args) => runtime.block_on(sweep(args)),
        StoreCommand::Keygen(args) => keygen(&args.output),
        StoreCommand::Sign(args) => sign(args),
    }
}

fn key(text: Option<&String>) -> Result<Option<PublicKey>> {
    Ok(text.map(|t| PublicKey::read(t)).transpose()?)
}

async fn publish(args: &cli::Publish) -> Result<()> {
    // Everything is checked before anything is written.
    let package = Package::from_folder(&args.model)?;
    if let Some(key) = key(args.public_key.as_ref())? {
        package.check_signature(&key)?;
    }
    let release = Store::create(&args.to)?.publish(&package).await?;
    say!(
        "{release} is in {}: {}",
        args.to,
        megabytes(package.size() as u64)
    );
    Ok(())
}

async fn list(args: &cli::StoreList) -> Result<()> {
    let store = Store::open(&args.store.place)?;
    let releases = store.releases().await?;
    if releases.is_empty() {
        say!(
            "no models; `asasr weights publish DIR --to {}` puts one there",
            args.store.place
        );
        return Ok(());
    }
    say!(
        "{:24} {:>7}  {:20} {:>8}  {:12} {:6}  licence",
        "model",
        "release",
        "published",
        "size",
        "manifest",
        "signed"
    );
    for (model, numbers) in releases {
        for &number in numbers.iter().rev() {
            let id = ReleaseId {
                model: model.clone(),
                number,
            };
            match store.release(&id).await {
                Ok(release) => {
                    let size = release.manifest.files().iter().map(|f| f.bytes as u64).sum();
                    say!(
                        "{model:24} {number:>7}  {:20} {:>8}  {:12} {:6}  {}",
                        release.published.format("%Y-%m-%d %H:%M:%S"),
                        megabytes(size),
                        &release.sha256[..12],
                        if release.signature.is_some() { "yes" } else { "no" },
                        release.manifest.licence
                    );
                }
                Err(why) => say!("{model:24} {number:>7}  {why}"),
            }
        }
    }
    Ok(())
}

async fn verify(args: &cli::StoreVerify) -> Result<()> {
    let store = Store::open(&args.store.place)?;
    let (sound, faults) = store.verify(key(args.public_key.as_ref())?.as_ref()).await?;
    for release in &sound {
        say!("{}: sound", release.id);
    }
    for fault in &faults {
        let state = if fault.current {
            ", which is the newest"
        } else {
            ""
        };
        say!("{}{state}: {}", fault.release, fault.error);
    }
    match faults.len() {
        0 if sound.is_empty() => Err(Error::new(format!(
            "{}: no models are in the store",
            args.store.place
        ))),
        0 => Ok(()),
        n => Err(Error::new(format!(
            "{n} of {} releases cannot be served: {}",
            n + sound.len(),
            if faults.iter().any(|f| f.current) {
                "`asasr weights rollback` serves a sound one"
            } else {
                "none of them is served now"
            }
        ))),
    }
}

async fn roll_back(args: &cli::Rollback) -> Result<()> {
    let store = Store::open(&args.store.place)?;
    let key = key(args.public_key.as_ref())?;
    let (from, release) = store.roll_back(&args.model, args.release, key.as_ref()).await?;
    say!("{release} serves again what {from} did");
    Ok(())
}

async fn sweep(args: &cli::StoreSweep) -> Result<()> {
    let store = Store::open(&args.store.place)?;
    let sweep = Sweep {
        keep: args.keep,
        grace: Duration::from_hours(u64::from(args.hours)),
        dry: args.dry_run,
    };
    let swept = store.sweep(sweep).await?;
    let did = if args.dry_run { "would delete" } else { "deleted" };
    for release in &swept.releases {
        say!("{did} {release}");
    }
    say!("{did} {} files, {}", swept.blobs.len(), megabytes(swept.bytes));
    Ok(())
}

fn keygen(path: &Path) -> Result<()> {
    let public = path.with_extension("pub.pem");
    // A secret key without its public one would be of no use.
    for path in [path, &public] {
        if path.symlink_metadata().is_ok() {
            return Err(Error::at(
                path,
                "exists already: name another file for the new key",
            ));
        }
    }
    let key = SigningKey::generate()?;
    write_new(path, &key.to_pem()?, true)?;
    let text = key.public().to_pem()?;
    write_new(&public, &text, false)?;
    let line: String = text.lines().filter(|l| !l.starts_with('-')).collect();
    say!(
        "{}: keep it secret\n{}: for everyone; in one line: {line}",
        path.display(),
        public.display()
    );
    Ok(())
}

/// Never over a file that is there: a lost key cannot be had again.
fn write_new(path: &Path, text: &str, secret: bool) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if secret {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _ = secret;
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|e| Error::at(path, e))
}

fn sign(args: &cli::Sign) -> Result<()> {
    let key = SigningKey::read(&args.key)?;
    // Nobody wants to have signed what cannot be published.
    Package::from_folder(&args.model)?;
    let manifest = args.model.join(MANIFEST);
    let json = fs::read(&manifest).map_err(|e| Error::at(&manifest, e))?;
    let path = args.model.join(SIGNATURE);
    files::write(&path, format!("{}\n", key.sign(&json)).as_bytes())?;
    say!("{}", path.display());
    Ok(())
}

fn megabytes(bytes: u64) -> String {
    format!("{:.2} MB", bytes as f64 / 1e6)
}
