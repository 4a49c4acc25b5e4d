//! What is served: a picture of the store that is whole at any time and replaced at once.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use asasr_store::{Error, Listed, PublicKey, Release, ReleaseId, Role, Store};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use serde::Serialize;
use tracing::{debug, error, info, warn};

use crate::asset::Asset;

/// Older releases of a model whose files can still be downloaded: clients may have read their manifest a moment ago.
const OLDER: usize = 4;
/// Releases of one model that are tried at a refresh, whatever comes of it.
const TRIED: usize = 8;
/// Models that are read at a time.
const AT_ONCE: usize = 8;
/// The storage is asked for its health at most this often.
const CHECK: Duration = Duration::from_secs(5);

/// A release that is served.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) release: Release,
    /// The record's, in the listing.
    stamp: String,
    pub(crate) manifest: Asset,
    pub(crate) signature: Option<Asset>,
}

/// One state of the store.
#[derive(Debug)]
pub(crate) struct Picture {
    /// Offers of each model, the one that is served first.
    models: BTreeMap<String, Vec<Arc<Offer>>>,
    pub(crate) list: Asset,
}

impl Picture {
    fn new(models: BTreeMap<String, Vec<Arc<Offer>>>) -> Self {
        let entries: Vec<Entry<'_>> = models
            .values()
            .filter_map(|o| Some(Entry::new(o.first()?)))
            .collect();
        let json = serde_json::to_vec_pretty(&entries).unwrap_or_default();
        let list = Asset::hashed(json.into(), "application/json").compressed();
        Self { models, list }
    }

    /// Every release of a model that can be downloaded, the current one first; none for a model that is not there.
    pub(crate) fn offers(&self, model: &str) -> &[Arc<Offer>] {
        self.models.get(model).map_or(&[], Vec::as_slice)
    }

    /// Whether these are the very offers.
    fn same(&self, models: &BTreeMap<String, Vec<Arc<Offer>>>) -> bool {
        let offers = |models: &BTreeMap<String, Vec<Arc<Offer>>>| -> Vec<*const Offer> {
            models.values().flatten().map(Arc::as_ptr).collect()
        };
        offers(&self.models) == offers(models)
    }

    /// A model's release whose manifest has that hash, or without one the current release.
    pub(crate) fn offer(&self, model: &str, manifest: Option<&str>) -> Option<&Offer> {
        let fits = |o: &&Arc<Offer>| manifest.is_none_or(|sha256| o.release.sha256 == sha256);
        self.offers(model).iter().find(fits).map(Arc::as_ref)
    }

    fn current(&self) -> impl Iterator<Item = &Release> {
        self.models.values().filter_map(|o| Some(&o.first()?.release))
    }
}

/// A line of the list.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    id: &'a str,
    release: u32,
    published: String,
    licence: &'a str,
    scale: usize,
    modes: Vec<&'static str>,
    /// Addresses are relative to the server's root.
    manifest: String,
    manifest_sha256: &'a str,
    signed: bool,
    bytes: usize,
    files: Vec<FileEntry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    community: Option<Community<'a>>,
}

/// Where a community's network is from.
#[derive(Debug, Serialize)]
struct Community<'a> {
    architecture: &'a str,
    author: &'a str,
    licence: &'a str,
}

#[derive(Debug, Serialize)]
struct FileEntry<'a> {
    file: &'a str,
    address: String,
    bytes: usize,
    sha256: &'a str,
}

impl<'a> Entry<'a> {
    fn new(offer: &'a Offer) -> Self {
        let Release { id, manifest, .. } = &offer.release;
        let folder = format!("v1/models/{}", manifest.id);
        let files: Vec<FileEntry<'_>> = manifest
            .files()
            .iter()
            .map(|f| FileEntry {
                file: f.name,
                address: format!("{folder}/{}?sha256={}", f.name, f.sha256),
                bytes: f.bytes,
                sha256: f.sha256,
            })
            .collect();
        Self {
            id: &manifest.id,
            release: id.number,
            published: offer
                .release
                .published
                .to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            licence: &manifest.licence,
            scale: manifest.scale().unwrap_or_default(),
            modes: manifest.modes().map(asasr_store::Mode::name).collect(),
            manifest: format!("{folder}/manifest.json"),
            manifest_sha256: &offer.release.sha256,
            signed: offer.release.signature.is_some(),
            bytes: files.iter().map(|f| f.bytes).sum(),
            files,
            community: manifest
                .network(Role::Community)
                .ok()
                .and_then(|part| part.provenance.as_ref())
                .map(|from| Community {
                    architecture: from.architecture.as_deref().unwrap_or_default(),
                    author: &from.author,
                    licence: &from.licence,
                }),
        }
    }
}

/// Bytes that are freed with their last user.
struct Shared(Arc<Bytes>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The store as the server sees it.
#[derive(Debug)]
pub struct Catalogue {
    store: Store,
    key: Option<PublicKey>,
    picture: ArcSwap<Picture>,
    blobs: Cache<String, Arc<Asset>>,
    health: tokio::sync::Mutex<Option<(Instant, Result<(), String>)>>,
    /// Releases that could not be served, so that each is complained of once.
    refused: Mutex<HashMap<ReleaseId, String>>,
    /// Weights that are in the cache or on their way to a client.
    live: Mutex<HashMap<String, Weak<Bytes>>>,
}

impl Catalogue {
    /// Nothing is read yet. With a `key`, only manifests that it signed are served. Weights take at most `memory` bytes.
    pub fn new(store: Store, key: Option<PublicKey>, memory: u64) -> Self {
        let blobs = Cache::builder()
            .max_capacity(memory)
            // Popularity would keep old releases in and a new one out.
            .eviction_policy(EvictionPolicy::lru())
            .weigher(|_, asset: &Arc<Asset>| u32::try_from(asset.size()).unwrap_or(u32::MAX))
            .build();
        Self {
            store,
            key,
            picture: ArcSwap::from_pointee(Picture::new(BTreeMap::new())),
            blobs,
            health: tokio::sync::Mutex::new(None),
            refused: Mutex::default(),
            live: Mutex::default(),
        }
    }

    /// Looks for new releases. A release is served once its manifest and every file of it were read and are what their
    /// hashes say; until then the one before it stays.
    ///
    /// # Errors
    /// When the store cannot be listed; what was served is served on.
    pub async fn refresh(&self) -> Result<(), Error> {
        let listed = self.store.listed().await;
        let health = listed.as_ref().map(drop).map_err(ToString::to_string);
        *self.health.lock().await = Some((Instant::now(), health));
        let before = self.picture.load_full();
        let mut releases = BTreeMap::<String, Vec<Listed>>::new();
        for release in listed? {
            releases
                .entry(release.id.model.clone())
                .or_default()
                .push(release);
        }
        if releases.is_empty() && !before.models.is_empty() {
            // More often the storage is another one for a while than somebody wants nothing served.
            let why = "it has no models any more: what was read is served on until a restart".to_owned();
            *self.health.lock().await = Some((Instant::now(), Err(why.clone())));
            return Err(Error::Place {
                place: self.store.to_string(),
                why,
            });
        }
        let read = releases.into_iter().map(|(model, releases)| {
            let known = before.offers(&model).to_vec();
            async move { (model, self.offers(&known, releases).await) }
        });
        let read: Vec<_> = stream::iter(read).buffer_unordered(AT_ONCE).collect().await;
        let (mut models, mut refused) = (BTreeMap::new(), HashMap::new());
        for (model, (offers, faults)) in read {
            refused.extend(faults);
            if !offers.is_empty() {
                models.insert(model, offers);
            }
        }
        self.complain(refused);
        if before.same(&models) {
            return Ok(());
        }
        let after = Picture::new(models);
        for release in after.current() {
            if !before.current().any(|r| r.id == release.id) {
                info!(
                    model = release.id.model,
                    release = release.id.number,
                    sha256 = release.sha256,
                    "serving a release"
                );
            }
        }
        for release in before.current() {
            if after.offers(&release.id.model).is_empty() {
                warn!(model = release.id.model, "the store has the model no longer");
            }
        }
        self.picture.store(Arc::new(after));
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.retain(|_, bytes| bytes.strong_count() > 0);
        Ok(())
    }

    /// What of a model's releases can be served, the newest first, and why the others cannot.
    async fn offers(
        &self,
        known: &[Arc<Offer>],
        releases: Vec<Listed>,
    ) -> (Vec<Arc<Offer>>, Vec<(ReleaseId, String)>) {
        let (mut offers, mut faults) = (Vec::<Arc<Offer>>::new(), Vec::new());
        for listed in releases.into_iter().rev().take(TRIED) {
            if offers.len() > OLDER {
                break;
            }
            let same = |o: &&Arc<Offer>| o.release.id == listed.id && o.stamp == listed.stamp;
            if let Some(offer) = known.iter().find(same) {
                offers.push(Arc::clone(offer));
                continue;
            }
            match self.offer(&listed, offers.is_empty()).await {
                Ok(offer) => offers.push(Arc::new(offer)),
                // What is older than what is served is nobody's loss.
                Err(why) if !offers.is_empty() => {
                    debug!(
                        model = listed.id.model,
                        release = listed.id.number,
                        why,
                        "an older release cannot be served"
                    );
                }
                Err(why) => faults.push((listed.id, why)),
            }
        }
        // A storage that fails for a moment takes no model away.
        if offers.is_empty() {
            offers = known.to_vec();
        }
        (offers, faults)
    }

    async fn offer(&self, listed: &Listed, newest: bool) -> Result<Offer, String> {
        let id = &listed.id;
        let release = self.store.release(id).await.map_err(|e| e.to_string())?;
        if let Some(key) = &self.key {
            release.check_signature(key).map_err(|e| e.to_string())?;
        }
        if newest {
            for file in release.manifest.files() {
                self.weights(file.sha256)
                    .await
                    .map_err(|why| format!("{}: {why}", file.name))?;
            }
        }
        let signature = release.signature.as_ref().map(|s| format!("{s}\n").into_bytes());
        Ok(Offer {
            manifest: Asset::new(release.json.clone(), &release.sha256, "application/json").compressed(),
            signature: signature.map(|s| Asset::hashed(s.into(), "text/plain; charset=utf-8")),
            stamp: listed.stamp.clone(),
            release,
        })
    }

    fn complain(&self, refused: HashMap<ReleaseId, String>) {
        let mut known = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, why) in &refused {
            if known.get(id) == Some(why) {
                debug!(
                    model = id.model,
                    release = id.number,
                    why,
                    "a release still cannot be served"
                );
            } else {
                error!(
                    model = id.model,
                    release = id.number,
                    why,
                    "a release cannot be served"
                );
            }
        }
        *known = refused;
    }

    pub(crate) fn picture(&self) -> Arc<Picture> {
        self.picture.load_full()
    }

    /// The file of that hash, read from the storage and checked where it is not in memory. Many who wait for one file wait
    /// for one reading.
    pub(crate) async fn weights(&self, sha256: &str) -> Result<Arc<Asset>, Arc<Error>> {
        if let Some(asset) = self.blobs.get(sha256).await {
            return Ok(asset);
        }
        let read = async {
            // What left the cache may still be on its way to a slow client: it is in memory once, not once for each.
            let live = || self.live.lock().unwrap_or_else(PoisonError::into_inner);
            let known = live().get(sha256).and_then(Weak::upgrade);
            let bytes = match known {
                Some(bytes) => bytes,
                None => Arc::new(self.store.blob(sha256).await?),
            };
            live().insert(sha256.to_owned(), Arc::downgrade(&bytes));
            let bytes = Bytes::from_owner(Shared(bytes));
            Ok(Arc::new(Asset::new(bytes, sha256, "application/octet-stream")))
        };
        self.blobs.try_get_with(sha256.to_owned(), read).await
    }

    /// Whether models were read and the storage answers now.
    ///
    /// # Errors
    /// A sentence that says what is missing.
    pub async fn ready(self: &Arc<Self>) -> Result<(), String> {
        if self.picture().models.is_empty() {
            return Err(match self.refused() {
                0 => "no model is read yet".into(),
                n => format!("{n} releases are refused"),
            });
        }
        // To its end even if the client goes, so that the next one finds the answer.
        let this = Arc::clone(self);
        let asked = tokio::spawn(async move {
            let mut health = this.health.lock().await;
            match &*health {
                Some((when, result)) if when.elapsed() < CHECK => result.clone(),
                _ => {
                    let result = this.store.listed().await.map(drop).map_err(|e| e.to_string());
                    *health = Some((Instant::now(), result.clone()));
                    result
                }
            }
        });
        asked.await.map_err(|e| e.to_string())?
    }

    /// Names of the models that are served.
    pub fn ids(&self) -> Vec<String> {
        self.picture().models.keys().cloned().collect()
    }

    /// Releases that are newer than what is served and cannot be.
    pub(crate) fn refused(&self) -> usize {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Bytes of weights in memory.
    pub(crate) fn memory(&self) -> u64 {
        self.blobs.weighted_size()
    }
}
