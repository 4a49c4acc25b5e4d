use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use asasr_core::model::{Manifest, sha256_hex};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt as _;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, memory::InMemory};

use crate::id::RELEASES;
use crate::place::{self, Place};
use crate::release::Record;
use crate::{Error, LARGEST_FILE, LARGEST_MANIFEST, Package, PublicKey, Release, ReleaseId, Result};

/// The folder of everything that is named after its hash.
pub(crate) const BLOBS: &str = "blobs";
/// A release record has at most so many bytes.
const LARGEST_RECORD: usize = 4096;

/// Release records have eight digits.
const LAST: u32 = 99_999_999;
/// Bytes a second that an upload has to reach.
const SLOWEST: usize = 50_000;

/// A release record as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Which release.
    pub id: ReleaseId,
    /// Another one where the record is another one, as after a store was emptied and filled anew.
    pub stamp: String,
}

/// A collection of models.
#[derive(Debug, Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    /// Where it is a folder of this machine.
    pub(crate) folder: Option<PathBuf>,
    patience: Duration,
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.objects.fmt(f)
    }
}

impl Store {
    /// The store at `place`, a folder or the URL of a bucket, which has to be there.
    ///
    /// # Errors
    /// [`Error::Place`]. Whether a bucket can be reached shows at the first use.
    pub fn open(place: &str) -> Result<Self> {
        Ok(Self::at(place::open(place, false)?))
    }

    /// The store at `place`; a folder is made where there is none.
    ///
    /// # Errors
    /// [`Error::Place`].
    pub fn create(place: &str) -> Result<Self> {
        Ok(Self::at(place::open(place, true)?))
    }

    fn at(place: Place) -> Self {
        Self {
            folder: place.folder,
            ..Self::new(place.objects)
        }
    }

    /// An empty one in memory.
    pub fn in_memory() -> Self {
        Self::new(Arc::new(InMemory::new()))
    }

    /// On any storage.
    pub fn new(objects: Arc<dyn ObjectStore>) -> Self {
        Self {
            objects,
            folder: None,
            patience: Duration::from_mins(1),
        }
    }

    /// How long to wait for the storage's answer to one request; at first a minute.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Every release record, ordered by model and number.
    ///
    /// # Errors
    /// [`Error::Storage`] or [`Error::Slow`].
    pub async fn listed(&self) -> Result<Vec<Listed>> {
        let metas = self.list(RELEASES).await?;
        let mut listed: Vec<Listed> = metas
            .into_iter()
            .filter_map(|meta| {
                Some(Listed {
                    id: ReleaseId::from_path(&meta.location)?,
                    stamp: format!("{} {:?}", meta.last_modified, meta.e_tag),
                })
            })
            .collect();
        listed.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(listed)
    }

    /// Every model with the numbers of its releases, which are never empty, in rising order.
    ///
    /// # Errors
    /// As [`listed`](Self::listed).
    pub async fn releases(&self) -> Result<BTreeMap<String, Vec<u32>>> {
        let mut models = BTreeMap::<String, Vec<u32>>::new();
        for Listed { id, .. } in self.listed().await? {
            models.entry(id.model).or_default().push(id.number);
        }
        Ok(models)
    }

    /// Reads a release and its manifest.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Damaged`], [`Error::Storage`] or [`Error::Slow`].
    pub async fn release(&self, id: &ReleaseId) -> Result<Release> {
        let record = self.record(id).await?;
        let json = self.verified(&record.manifest, LARGEST_MANIFEST).await?;
        let damaged = |why: String| Error::Damaged {
            object: blob(&record.manifest).to_string(),
            why,
        };
        let manifest = Manifest::from_json(&json).map_err(|e| damaged(e.to_string()))?;
        if manifest.id != id.model {
            return Err(damaged(format!(
                "it is that of {}, not of {}",
                manifest.id, id.model
            )));
        }
        Ok(Release {
            id: id.clone(),
            manifest,
            json,
            sha256: record.manifest,
            signature: record.signature,
            published: record.published,
        })
    }

    /// The bytes whose sha256 is that, of at most [`LARGEST_FILE`].
    ///
    /// # Errors
    /// [`Error::Damaged`] for other bytes, [`Error::Missing`], [`Error::Storage`] or [`Error::Slow`].
    pub async fn blob(&self, sha256: &str) -> Result<Bytes> {
        self.verified(sha256, LARGEST_FILE).await
    }

    /// Publishes a model: its files, its manifest, and last the release that names them. Every file is written even where
    /// it is there, so that a damaged one is mended and none is old enough to be swept away.
    ///
    /// # Errors
    /// [`Error::Raced`] when another publisher was quicker, [`Error::Storage`] or [`Error::Slow`]. What was served before
    /// is untouched then, unless the storage failed after the release was written: the model is whole in any case.
    pub async fn publish(&self, package: &Package) -> Result<ReleaseId> {
        self.publish_at(package, Utc::now()).await
    }

    /// As [`publish`](Self::publish), for what was published at another time.
    ///
    /// # Errors
    /// As there.
    pub async fn publish_at(&self, package: &Package, published: DateTime<Utc>) -> Result<ReleaseId> {
        let sha256 = package.manifest_hash();
        let record = Record::new(sha256.clone(), package.signature.clone(), published);
        let manifest = (sha256, package.json.clone());
        let blobs: Vec<&(String, Bytes)> = package.files.iter().chain([&manifest]).collect();
        for (sha256, bytes) in &blobs {
            self.put(&blob(sha256), bytes.clone(), PutMode::Overwrite).await?;
        }
        let id = self.flip(&package.manifest.id, &record).await?;
        // A sweep that began long ago may have taken what was old before it was written again.
        for (sha256, bytes) in &blobs {
            let path = blob(sha256);
            if self.last_modified(&path).await?.is_none() {
                self.put(&path, bytes.clone(), PutMode::Overwrite).await?;
            }
        }
        Ok(id)
    }

    /// Serves an older release's manifest again: `number`'s, or the newest that is sound and differs from what is served; with
    /// a `key` it has to be signed. Its files are checked, and written again.
    ///
    /// # Errors
    /// [`Error::Unsigned`] for a release without the key's signature, [`Error::Unknown`] where there is none such, else as [`publish`](Self::publish) and [`release`](Self::release).
    pub async fn roll_back(
        &self,
        model: &str,
        number: Option<u32>,
        key: Option<&PublicKey>,
    ) -> Result<(ReleaseId, ReleaseId)> {
        let models = self.releases().await?;
        let numbers = models.get(model).ok_or_else(|| Error::Unknown {
            wanted: format!("the model {model}"),
            there: listed(models.keys()),
        })?;
        let of = |number| ReleaseId {
            model: model.to_owned(),
            number,
        };
        let unknown = |wanted: String| Error::Unknown {
            wanted,
            there: format!("the releases {}", listed(numbers)),
        };
        let mut found = None;
        if let Some(number) = number {
            if !numbers.contains(&number) {
                return Err(unknown(of(number).to_string()));
            }
            let package = self.package(&of(number)).await?;
            key.map_or(Ok(()), |key| package.check_signature(key))?;
            found = Some((of(number), package));
        } else if let Some((newest, before)) = numbers.split_last() {
            // What is damaged is what one wants to get away from: it is passed over.
            let served = self.record(&of(*newest)).await.ok().map(|r| r.manifest);
            for id in before.iter().rev().map(|n| of(*n)) {
                match self.package(&id).await {
                    Ok(package)
                        if Some(package.manifest_hash()) != served
                            && key.is_none_or(|key| package.check_signature(key).is_ok()) =>
                    {
                        found = Some((id, package));
                        break;
                    }
                    _ => {}
                }
            }
        }
        let (id, package) = found.ok_or_else(|| unknown(format!("an older sound manifest of {model}")))?;
        Ok((id, self.publish(&package).await?))
    }

    /// A release with everything it names, checked.
    async fn package(&self, id: &ReleaseId) -> Result<Package> {
        let release = self.release(id).await?;
        let mut files = BTreeMap::new();
        for file in release.manifest.files() {
            files.insert(file.name.to_owned(), self.blob(file.sha256).await?);
        }
        Package::new(&id.to_string(), release.json, release.signature, |name| {
            files
                .get(name)
                .cloned()
                .ok_or_else(|| Error::Missing { object: name.into() })
        })
    }

    /// Reads every weights file of a release and checks that it is what the manifest says.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Damaged`], [`Error::Storage`] or [`Error::Slow`].
    pub async fn check_files(&self, release: &Release) -> Result<()> {
        for file in release.manifest.files() {
            let bytes = self.blob(file.sha256).await?;
            file.open(&bytes).map_err(|e| Error::Damaged {
                object: blob(file.sha256).to_string(),
                why: e.to_string(),
            })?;
        }
        Ok(())
    }

    async fn record(&self, id: &ReleaseId) -> Result<Record> {
        Record::read(id, &self.get(&id.path(), LARGEST_RECORD).await?)
    }

    /// Writes the release that follows the newest.
    async fn flip(&self, model: &str, record: &Record) -> Result<ReleaseId> {
        let newest = self.releases().await?.get(model).and_then(|n| n.last().copied());
        let id = ReleaseId {
            model: model.to_owned(),
            number: newest.unwrap_or(0) + 1,
        };
        let path = id.path();
        if id.number > LAST {
            return Err(Error::Damaged {
                object: path.to_string(),
                why: format!(
                    "there is a record with the number {}, after which none can follow: remove it",
                    id.number - 1
                ),
            });
        }
        let json = serde_json::to_vec_pretty(record).map_err(|e| Error::Damaged {
            object: path.to_string(),
            why: e.to_string(),
        })?;
        let put = self.put(&path, json.into(), PutMode::Create).await;
        // A storage that is asked twice, or answers too late, may have written it all the same; and one that does not know
        // conditions may have written another's over it.
        let there = self.record(&id).await;
        if there.as_ref().is_ok_and(|there| there == record) {
            return Ok(id);
        }
        let Err(why) = put else {
            return there.and(Err(Error::Raced(id)));
        };
        Err(match why {
            Error::Storage {
                source: object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. },
                ..
            } => Error::Raced(id),
            other => other,
        })
    }

    async fn verified(&self, sha256: &str, largest: usize) -> Result<Bytes> {
        let path = blob(sha256);
        let bytes = self.get(&path, largest).await?;
        let actual = sha256_hex(&bytes);
        if actual != sha256 {
            return Err(Error::Damaged {
                object: path.to_string(),
                why: format!("its {} bytes have the sha256 {actual}", bytes.len()),
            });
        }
        Ok(bytes)
    }

    async fn get(&self, path: &Path, largest: usize) -> Result<Bytes> {
        self.in_time(path, 0, async {
            let result = self.objects.get(path).await?;
            let size = result.meta.size;
            if size > largest as u64 {
                return Ok(Err(format!(
                    "it has {size} bytes, and at most {largest} are read"
                )));
            }
            result.bytes().await.map(Ok)
        })
        .await?
        .map_err(|why| Error::Damaged {
            object: path.to_string(),
            why,
        })
    }

    async fn put(&self, path: &Path, bytes: Bytes, mode: PutMode) -> Result<()> {
        let size = bytes.len();
        let put = self.objects.put_opts(path, bytes.into(), PutOptions::from(mode));
        self.in_time(path, size, put).await.map(drop)
    }

    pub(crate) async fn list(&self, folder: &str) -> Result<Vec<object_store::ObjectMeta>> {
        // A folder that is gone would list as an empty one.
        if let Some(root) = self.folder.as_deref().filter(|f| !f.is_dir()) {
            return Err(Error::Place {
                place: root.display().to_string(),
                why: "the store's folder is not there any more".into(),
            });
        }
        let folder = Path::from(folder);
        self.in_time(&folder, 0, self.objects.list(Some(&folder)).try_collect())
            .await
    }

    /// When an object was written; none where it is gone.
    pub(crate) async fn last_modified(&self, path: &Path) -> Result<Option<DateTime<Utc>>> {
        match self.in_time(path, 0, self.objects.head(path)).await {
            Ok(meta) => Ok(Some(meta.last_modified)),
            Err(Error::Missing { .. }) => Ok(None),
            Err(why) => Err(why),
        }
    }

    pub(crate) async fn delete(&self, path: &Path) -> Result<()> {
        match self.in_time(path, 0, self.objects.delete(path)).await {
            Err(Error::Missing { .. }) => Ok(()),
            done => done,
        }
    }

    /// `size` is how many bytes go out: on a slow line they take their time.
    async fn in_time<T>(
        &self,
        path: &Path,
        size: usize,
        work: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T> {
        let object = || path.to_string();
        let patience = self.patience + Duration::from_secs((size / SLOWEST) as u64);
        match tokio::time::timeout(patience, work).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(object_store::Error::NotFound { .. })) => Err(Error::Missing { object: object() }),
            Ok(Err(source)) => Err(Error::Storage {
                object: object(),
                source,
            }),
            Err(_) => Err(Error::Slow {
                object: object(),
                seconds: patience.as_secs(),
            }),
        }
    }
}

pub(crate) fn blob(sha256: &str) -> Path {
    Path::from_iter([BLOBS, sha256])
}

fn listed<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|i| i.to_string()).collect();
    if items.is_empty() {
        "nothing".into()
    } else {
        items.join(", ")
    }
}
