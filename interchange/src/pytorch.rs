//! The three containers that `torch.save` has written: zip (from 1.6), a row of pickles (from 0.1.10), and tar (before).

use std::collections::BTreeMap;

use rawzip::ZipArchive;

use crate::pickle::{self, At, Global, Pickle, Type, Value};
use crate::tensors::{Stored, Tensors};
use crate::{Error, Result};

/// How a file of pickles in a row begins: the first one is the number `0x1950a86a20f9469cfc6c`.
const LEGACY: [u8; 15] = [
    0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.',
];
/// Most bytes of a pickle that describes tensors.
const PICKLE: usize = 1 << 26;
/// Keys that training programs keep a network's tensors under, the best of them first.
const KEYS: [&str; 7] = [
    "model_state_dict",
    "state_dict",
    "params_ema",
    "params-ema",
    "params",
    "model",
    "net",
];

/// Whether a file begins as `PyTorch` writes them.
pub(crate) fn is_pytorch(bytes: &[u8]) -> bool {
    let pickled =
        bytes.first() == Some(&0x80) && bytes.get(1).is_some_and(|protocol| (2..=5).contains(protocol));
    bytes.starts_with(b"PK\x03\x04") || pickled || is_tar(bytes)
}

/// The tensors of a file.
///
/// # Errors
/// [`Error::Unsafe`] for a file that names anything but tensors, [`Error::CutShort`], [`Error::Damaged`], [`Error::TooLarge`].
pub(crate) fn tensors(bytes: &[u8]) -> Result<Tensors<'_>> {
    let storages = if bytes.starts_with(b"PK") {
        return zip(bytes);
    } else if is_tar(bytes) {
        return tar::tensors(bytes);
    } else if bytes.starts_with(&LEGACY) {
        legacy(bytes)?
    } else {
        // A pickle by itself may name anything; what it names tells what it is.
        pickle::read(&bytes[..bytes.len().min(PICKLE)])?;
        return Err(Error::NotAModel);
    };
    let (pickle, storages) = storages;
    state(&pickle, |storage| {
        let storage = Storage::of(&pickle, storage)?;
        let bytes = storages.get(&storage.key).copied().ok_or(Error::CutShort)?;
        Ok((storage.kind, storage.from, bytes))
    })
}

/// What a pickle says of a storage: `("storage", type, key, device, count)` and, in rows of pickles, a view `(key, from, count)`.
struct Storage {
    kind: Type,
    key: String,
    from: usize,
}

impl Storage {
    fn of(pickle: &Pickle, at: At) -> Result<Self> {
        let Value::Persistent(of) = pickle.value(at) else {
            return Err(Error::damaged("a tensor has no storage"));
        };
        let parts = pickle.sequence(*of)?;
        let [what, kind, key, _, _, rest @ ..] = parts else {
            return Err(Error::damaged("a storage is not described"));
        };
        if pickle.key(*what)? != "storage" {
            return Err(Error::Unsafe("the source of a class".into()));
        }
        let Value::Global(Global::Type(kind)) = pickle.value(*kind) else {
            return Err(Error::damaged("a storage has no type"));
        };
        let view = rest.first().map(|at| pickle.sequence(*at)).and_then(Result::ok);
        let from = match view {
            Some([_, from, ..]) => pickle.count(*from)?,
            _ => 0,
        };
        Ok(Self {
            kind: *kind,
            key: pickle.key(*key)?,
            from,
        })
    }
}

/// The network's tensors among all that a pickle holds; `storage` gives the type of the numbers, how many come first, and the bytes.
fn state<'a>(
    pickle: &Pickle,
    storage: impl Fn(At) -> Result<(Type, usize, &'a [u8])>,
) -> Result<Tensors<'a>> {
    let mut own = BTreeMap::new();
    for (key, value) in network(pickle)? {
        let Value::Tensor([of, offset, size, stride]) = pickle.value(*value) else {
            continue;
        };
        let counts = |at: At| -> Result<Vec<usize>> {
            pickle.sequence(at)?.iter().map(|n| pickle.count(*n)).collect()
        };
        let (kind, first, bytes) = storage(*of)?;
        let from = pickle
            .count(*offset)?
            .checked_add(first)
            .and_then(|n| n.checked_mul(kind.bytes()));
        let bytes = from.and_then(|from| bytes.get(from..)).ok_or(Error::CutShort)?;
        let stored = Stored {
            kind,
            shape: counts(*size)?,
            stride: counts(*stride)?,
            bytes,
        };
        own.insert(pickle.key(*key)?, stored.checked()?);
    }
    Ok(Tensors::new(own))
}

/// The dictionary of the network's tensors: under the first of [`KEYS`] that is there, or the only dictionary there is.
fn network(pickle: &Pickle) -> Result<&[(At, At)]> {
    let dict = |at: At| match pickle.value(at) {
        Value::Dict(items) => Some(items.as_slice()),
        _ => None,
    };
    let mut items = dict(pickle.root).ok_or(Error::NotAModel)?;
    // Wrapped twice at most, in what is known.
    for _ in 0..2 {
        let is_tensor =
            |(_, value): &(At, At)| matches!(pickle.value(*value), Value::Tensor(_) | Value::Persistent(_));
        if items.iter().any(is_tensor) {
            break;
        }
        let under = |key: &str| {
            let (_, value) = items
                .iter()
                .find(|(k, _)| pickle.key(*k).is_ok_and(|k| k == key))?;
            dict(*value)
        };
        let only = || {
            let mut dicts = items.iter().filter_map(|(_, value)| dict(*value));
            dicts.next().filter(|_| dicts.next().is_none())
        };
        items = KEYS
            .iter()
            .find_map(|key| under(key))
            .or_else(only)
            .ok_or(Error::NotAModel)?;
    }
    Ok(items)
}

fn zip(bytes: &[u8]) -> Result<Tensors<'_>> {
    let bad = |e: rawzip::Error| Error::damaged(e.to_string());
    // A whole file ends with its table of contents.
    let archive = ZipArchive::from_slice(bytes).map_err(|_| Error::CutShort)?;
    let mut entries: BTreeMap<String, &[u8]> = BTreeMap::new();
    for entry in archive.entries() {
        let entry = entry.map_err(bad)?;
        let name = String::from_utf8_lossy(entry.file_path().as_bytes()).into_owned();
        // The folder is named after the file.
        let Some((_, name)) = name.split_once('/') else {
            return Err(Error::NotAModel);
        };
        if name.starts_with("code/") {
            return Err(Error::Program);
        }
        if entry.compression_method() != rawzip::CompressionMethod::STORE {
            return Err(Error::TooLarge(format!(
                "{name} in it is compressed: save it anew with PyTorch"
            )));
        }
        let (from, to) = archive
            .get_entry(entry.wayfinder())
            .map_err(bad)?
            .compressed_data_range();
        let data = bytes.get(from as usize..to as usize).ok_or(Error::CutShort)?;
        entries.insert(name.into(), data);
    }
    let order = entries.get("byteorder").copied().unwrap_or(b"little");
    if order != b"little" {
        return Err(Error::TooLarge("its numbers have the other byte order".into()));
    }
    let described = entries.get("data.pkl").ok_or(Error::NotAModel)?;
    if described.len() > PICKLE {
        return Err(Error::TooLarge("its description is larger than 64 MB".into()));
    }
    let pickle = pickle::read(described)?;
    state(&pickle, |storage| {
        let storage = Storage::of(&pickle, storage)?;
        let data = entries.get(&format!("data/{}", storage.key));
        Ok((storage.kind, storage.from, data.copied().ok_or(Error::CutShort)?))
    })
}

type Storages<'a> = BTreeMap<String, &'a [u8]>;

/// A row of pickles: the magic number, the version, the system, the tensors, the storages' keys; then each storage's count and numbers.
fn legacy(bytes: &[u8]) -> Result<(Pickle, Storages<'_>)> {
    let mut rest = bytes;
    let mut next = || -> Result<(Pickle, &[u8])> {
        let pickle = pickle::read(&rest[..rest.len().min(PICKLE)])?;
        rest = &rest[pickle.end..];
        Ok((pickle, rest))
    };
    for _ in 0..3 {
        next()?;
    }
    let (described, _) = next()?;
    let (keys, mut rest) = next()?;
    let mut kinds = BTreeMap::new();
    // All of them, an optimiser's too: each is as long as its type says.
    for at in described.persistent() {
        let storage = Storage::of(&described, at)?;
        kinds.insert(storage.key, storage.kind);
    }
    let mut storages = BTreeMap::new();
    for key in keys.sequence(keys.root)? {
        let key = keys.key(*key)?;
        let kind = kinds
            .get(&key)
            .ok_or_else(|| Error::damaged("a storage is not described"))?;
        let data = counted(&mut rest, kind.bytes())?;
        storages.insert(key, data);
    }
    Ok((described, storages))
}

/// A count of 64 bits and so many numbers after it, taken from `rest`.
fn counted<'a>(rest: &mut &'a [u8], each: usize) -> Result<&'a [u8]> {
    let (count, after) = rest.split_first_chunk().ok_or(Error::CutShort)?;
    let bytes = usize::try_from(i64::from_le_bytes(*count))
        .ok()
        .and_then(|n| n.checked_mul(each));
    let (data, after) = bytes
        .and_then(|n| after.split_at_checked(n))
        .ok_or(Error::CutShort)?;
    *rest = after;
    Ok(data)
}

fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(257..262) == Some(b"ustar")
}

/// Archives of four files: `sys_info`, `storages`, `tensors`, and `pickle`, which names tensors by their keys.
mod tar {
    use super::{
        At, BTreeMap, Error, Global, Pickle, Result, Stored, Tensors, Type, Value, counted, network, pickle,
    };

    /// The files of an archive: blocks of 512 bytes, each file's first naming it (POSIX.1-1988, `ustar`).
    fn files(mut bytes: &[u8]) -> Result<BTreeMap<String, &[u8]>> {
        let mut files = BTreeMap::new();
        while let Some((head, rest)) = bytes.split_first_chunk::<512>() {
            if head[0] == 0 {
                break;
            }
            let field = |from: usize, n: usize| {
                let text = head[from..from + n].split(|b| *b == 0).next().unwrap_or_default();
                String::from_utf8_lossy(text).trim().to_string()
            };
            let size =
                usize::from_str_radix(&field(124, 12), 8).map_err(|_| Error::damaged("a size is none"))?;
            let data = rest.get(..size).ok_or(Error::CutShort)?;
            files.insert(field(0, 100).trim_start_matches("./").into(), data);
            bytes = rest.get(size.next_multiple_of(512)..).unwrap_or_default();
        }
        Ok(files)
    }

    /// The next pickle, taken from `rest`.
    fn next(rest: &mut &[u8]) -> Result<Pickle> {
        let pickle = pickle::read(rest)?;
        *rest = &rest[pickle.end..];
        Ok(pickle)
    }

    fn number(rest: &mut &[u8]) -> Result<usize> {
        let (bytes, after) = rest.split_first_chunk().ok_or(Error::CutShort)?;
        *rest = after;
        usize::try_from(i64::from_le_bytes(*bytes)).map_err(|_| Error::damaged("a size is negative"))
    }

    pub(super) fn tensors(bytes: &[u8]) -> Result<Tensors<'_>> {
        let files = files(bytes)?;
        let file = |name: &str| files.get(name).copied().ok_or(Error::NotAModel);
        let mut rest = file("storages")?;
        let count = next(&mut rest)?;
        let mut storages: BTreeMap<String, (Type, &[u8])> = BTreeMap::new();
        for _ in 0..count.count(count.root)? {
            let of = next(&mut rest)?;
            let [key, _, kind] = of.sequence(of.root)? else {
                return Err(Error::damaged("a storage is not described"));
            };
            let Value::Global(Global::Type(kind)) = of.value(*kind) else {
                return Err(Error::damaged("a storage has no type"));
            };
            let data = counted(&mut rest, kind.bytes())?;
            storages.insert(of.key(*key)?, (*kind, data));
        }
        let mut rest = file("tensors")?;
        let count = next(&mut rest)?;
        let mut tensors = BTreeMap::new();
        for _ in 0..count.count(count.root)? {
            let of = next(&mut rest)?;
            let [key, storage, _] = of.sequence(of.root)? else {
                return Err(Error::damaged("a tensor is not described"));
            };
            let storage = of.key(*storage)?;
            let (kind, data) = *storages.get(&storage).ok_or(Error::CutShort)?;
            // The number of dimensions has 32 bits, and 32 more mean nothing.
            let (dimensions, after) = rest.split_first_chunk::<8>().ok_or(Error::CutShort)?;
            let [a, b, c, d, ..] = *dimensions;
            let dimensions = u32::from_le_bytes([a, b, c, d]) as usize;
            rest = after;
            let mut counts = |n: usize| (0..n).map(|_| number(&mut rest)).collect::<Result<Vec<_>>>();
            let (shape, stride) = (counts(dimensions)?, counts(dimensions)?);
            let from = number(&mut rest)?.checked_mul(kind.bytes());
            let bytes = from.and_then(|from| data.get(from..)).ok_or(Error::CutShort)?;
            let stored = Stored {
                kind,
                shape,
                stride,
                bytes,
            };
            tensors.insert(of.key(*key)?, stored.checked()?);
        }
        let described = pickle::read(file("pickle")?)?;
        let mut own = BTreeMap::new();
        for (key, value) in network(&described)? {
            if let Some(of) = key_of(&described, *value)
                && let Some(stored) = tensors.get(&of)
            {
                own.insert(described.key(*key)?, stored.clone());
            }
        }
        Ok(Tensors::new(own))
    }

    /// The key of what lies in the archive's other files.
    fn key_of(pickle: &Pickle, at: At) -> Option<String> {
        match pickle.value(at) {
            Value::Persistent(of) => pickle.key(*of).ok(),
            _ => None,
        }
    }
}
