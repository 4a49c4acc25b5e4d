//! A storage that fails when it is told to.
#![allow(
    dead_code,
    missing_docs,
    clippy::unwrap_used,
    reason = "shared by several tests, each of which uses a part"
)]

use std::fmt;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Fault {
    #[default]
    None,
    /// Every answer is an error.
    Down,
    /// No answer comes for an hour.
    Hanging,
    /// Objects end early, and the storage says nothing.
    Short,
    /// Objects end early with an error.
    Cut,
    /// A byte of every object is another.
    Flipped,
    /// So many more objects are written, then none.
    PutsLeft(usize),
    /// There is no room.
    Full,
    /// Every blob is gone as soon as a release is written, as if a sweep had taken them for old.
    Swept,
    /// Answers take a while.
    Late,
}

#[derive(Debug, Default)]
pub(crate) struct Faulty {
    pub(crate) inner: InMemory,
    /// Objects read.
    pub(crate) gets: AtomicUsize,
    fault: Mutex<Fault>,
}

impl Faulty {
    pub(crate) fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    fn fault(&self) -> Fault {
        *self.fault.lock().unwrap()
    }

    async fn meet(&self) -> Result<Fault> {
        let fault = self.fault();
        match fault {
            Fault::Down => Err(broken("down")),
            Fault::Hanging => {
                tokio::time::sleep(Duration::from_hours(1)).await;
                Err(broken("hung up"))
            }
            Fault::Late => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Ok(fault)
            }
            other => Ok(other),
        }
    }
}

fn broken(why: &'static str) -> object_store::Error {
    object_store::Error::Generic {
        store: "test",
        source: why.into(),
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a faulty storage")
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        match self.meet().await? {
            Fault::PutsLeft(0) => return Err(broken("the publisher is dead")),
            Fault::PutsLeft(n) => self.set(Fault::PutsLeft(n - 1)),
            Fault::Full => {
                return Err(object_store::Error::Generic {
                    store: "test",
                    source: io::Error::from(io::ErrorKind::StorageFull).into(),
                });
            }
            _ => {}
        }
        let put = self.inner.put_opts(location, payload, opts).await;
        if location.as_ref().starts_with("releases") && self.fault() == Fault::Swept {
            let blobs = self
                .inner
                .list(Some(&Path::from("blobs")))
                .map_ok(|m| m.location)
                .boxed();
            self.inner.delete_stream(blobs).try_collect::<Vec<_>>().await?;
        }
        put
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(broken("not used"))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.gets.fetch_add(1, Ordering::Relaxed);
        let fault = self.meet().await?;
        let result = self.inner.get_opts(location, options).await?;
        let (meta, range, attributes, extensions) = (
            result.meta.clone(),
            result.range.clone(),
            result.attributes.clone(),
            result.extensions.clone(),
        );
        let mut bytes = result.bytes().await?.to_vec();
        let parts: Vec<Result<bytes::Bytes>> = match fault {
            Fault::Short => vec![Ok(bytes[..bytes.len() / 2].to_vec().into())],
            Fault::Cut => vec![
                Ok(bytes[..bytes.len() / 2].to_vec().into()),
                Err(broken("cut off")),
            ],
            Fault::Flipped => {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                vec![Ok(bytes.into())]
            }
            _ => vec![Ok(bytes.into())],
        };
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::iter(parts).boxed()),
            meta,
            range,
            attributes,
            extensions,
        })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match *self.fault.lock().unwrap() {
            Fault::Down => stream::once(async { Err(broken("down")) }).boxed(),
            Fault::Hanging => stream::pending().boxed(),
            _ => self.inner.list(prefix),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
