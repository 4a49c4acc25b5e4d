//! Looking over a whole store: what is damaged, what is no longer needed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::Utc;

use crate::id::RELEASES;
use crate::store::{BLOBS, Store};
use crate::{Error, PublicKey, Release, ReleaseId, Result};

/// What is wrong with a release.
#[derive(Debug)]
pub struct Fault {
    /// Which one.
    pub release: ReleaseId,
    /// Whether it is what is served now.
    pub current: bool,
    /// What is wrong.
    pub error: Error,
}

/// What to keep.
#[derive(Debug, Clone, Copy)]
pub struct Sweep {
    /// Newest releases of each model, at least one.
    pub keep: u32,
    /// Blobs that were written in this time are kept though no release names them: someone may be publishing them.
    pub grace: Duration,
    /// Only tell what would be deleted.
    pub dry: bool,
}

/// What was deleted.
#[derive(Debug, Default)]
pub struct Swept {
    /// Release records.
    pub releases: Vec<ReleaseId>,
    /// Hashes of weights and manifests.
    pub blobs: Vec<String>,
    /// Their bytes together.
    pub bytes: u64,
}

impl Store {
    /// Reads everything that any release names, and checks it; with a `key` the signatures too.
    ///
    /// # Errors
    /// When releases cannot be listed. What is wrong with one of them is among the faults.
    pub async fn verify(&self, key: Option<&PublicKey>) -> Result<(Vec<Release>, Vec<Fault>)> {
        let (mut sound, mut faults) = (Vec::new(), Vec::new());
        for (model, numbers) in self.releases().await? {
            for &number in &numbers {
                let id = ReleaseId {
                    model: model.clone(),
                    number,
                };
                match self.verify_one(&id, key).await {
                    Ok(release) => sound.push(release),
                    Err(error) => faults.push(Fault {
                        release: id,
                        current: numbers.last() == Some(&number),
                        error,
                    }),
                }
            }
        }
        Ok((sound, faults))
    }

    async fn verify_one(&self, id: &ReleaseId, key: Option<&PublicKey>) -> Result<Release> {
        let release = self.release(id).await?;
        key.map_or(Ok(()), |key| release.check_signature(key))?;
        self.check_files(&release).await?;
        Ok(release)
    }

    /// Deletes old releases, and blobs that no release names.
    ///
    /// # Errors
    /// When a release that stays cannot be read, for then nobody knows what it needs: nothing is deleted. Else
    /// [`Error::Storage`] or [`Error::Slow`]; what is left then is swept the next time.
    pub async fn sweep(&self, sweep: Sweep) -> Result<Swept> {
        // Blobs before releases: what is published in between is in the second list. What is written again in between is seen
        // below, and what is written again at that very moment its publisher looks after.
        let blobs = self.list(BLOBS).await?;
        let mut swept = Swept::default();
        let mut needed = BTreeSet::new();
        for (model, numbers) in self.releases().await? {
            let old = numbers.len().saturating_sub(sweep.keep.max(1) as usize);
            for (i, &number) in numbers.iter().enumerate() {
                let id = ReleaseId {
                    model: model.clone(),
                    number,
                };
                if i < old {
                    swept.releases.push(id);
                    continue;
                }
                let release = self.release(&id).await.map_err(|e| Error::Unswept {
                    release: id,
                    why: e.to_string(),
                })?;
                needed.extend(release.manifest.files().iter().map(|f| f.sha256.to_owned()));
                needed.insert(release.sha256);
            }
        }
        // A record goes before what it names, so that none ever names what is not there.
        for id in &swept.releases {
            if !sweep.dry {
                self.delete(&id.path()).await?;
            }
        }
        let grace = chrono::Duration::from_std(sweep.grace).unwrap_or(chrono::Duration::MAX);
        let now = Utc::now();
        for blob in blobs {
            let name = blob.location.filename().unwrap_or_default().to_owned();
            if needed.contains(&name) || now.signed_duration_since(blob.last_modified) < grace {
                continue;
            }
            match self.last_modified(&blob.location).await? {
                Some(when) if now.signed_duration_since(when) >= grace => {}
                _ => continue,
            }
            if !sweep.dry {
                self.delete(&blob.location).await?;
            }
            swept.bytes += blob.size;
            swept.blobs.push(name);
        }
        if let Some(folder) = &self.folder {
            for path in half_written(folder, sweep.grace) {
                swept.bytes += path.metadata().map_or(0, |m| m.len());
                if !sweep.dry {
                    fs::remove_file(&path).map_err(|e| Error::Place {
                        place: path.display().to_string(),
                        why: e.to_string(),
                    })?;
                }
                swept.blobs.push(
                    path.file_name()
                        .unwrap_or_default()
                        .to_string_lossy()
                        .into_owned(),
                );
            }
        }
        Ok(swept)
    }
}

/// What publishers that were killed left in a folder: the storage writes `NAME#NUMBER` first and then names it, and lists no
/// such files itself.
fn half_written(folder: &Path, grace: Duration) -> Vec<PathBuf> {
    let entries = |folder: &Path| {
        fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.path())
    };
    let models = entries(&folder.join(RELEASES));
    let folders = models.chain([folder.join(BLOBS)]);
    let half = |path: &PathBuf| {
        let number = path.file_name().and_then(|n| n.to_str()?.rsplit_once('#'));
        let old = path
            .metadata()
            .and_then(|m| m.modified())
            .is_ok_and(|t| t.elapsed().is_ok_and(|t| t >= grace));
        old && number.is_some_and(|(_, n)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    folders
        .flat_map(|f| entries(&f).collect::<Vec<_>>())
        .filter(half)
        .collect()
}
