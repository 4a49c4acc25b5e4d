//! Publishing and reading, when all is well and when it is not.
#![allow(missing_docs, clippy::unwrap_used, reason = "a failed step fails the test")]

mod faulty;
mod models;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use asasr_core::model::format1::Manifest;
use asasr_store::{Error, Package, ReleaseId, Result, SigningKey, Store, Sweep};
use faulty::{Fault, Faulty};
use models::{files, pack, package};
use object_store::ObjectStoreExt as _;
use object_store::memory::InMemory;
use object_store::path::Path;
use proptest::prelude::*;

fn block<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(work)
}

/// What a reader sees: the newest release's manifest of every model, its weights read and checked.
async fn seen(store: &Store) -> Result<BTreeMap<String, String>> {
    let mut seen = BTreeMap::new();
    for (model, numbers) in store.releases().await? {
        let number = *numbers.last().unwrap();
        let release = store
            .release(&ReleaseId {
                model: model.clone(),
                number,
            })
            .await?;
        store.check_files(&release).await?;
        seen.insert(model, release.sha256);
    }
    Ok(seen)
}

async fn newest(store: &Store, model: &str) -> asasr_store::Release {
    let number = *store.releases().await.unwrap()[model].last().unwrap();
    let id = ReleaseId {
        model: model.into(),
        number,
    };
    store.release(&id).await.unwrap()
}

/// In a folder, as in memory, models come out as they went in.
#[test]
fn what_is_published_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("store");
    assert!(matches!(
        Store::open(place.to_str().unwrap()),
        Err(Error::Place { .. })
    ));
    block(async {
        let local = Store::create(place.to_str().unwrap()).unwrap();
        for store in [local, Store::in_memory()] {
            assert!(store.releases().await.unwrap().is_empty());
            for (value, number) in [(0.25, 1), (0.5, 2)] {
                let id = store.publish(&package("a", value)).await.unwrap();
                assert_eq!((id.model.as_str(), id.number), ("a", number));
            }
            store.publish(&package("b", 1.0)).await.unwrap();
            assert_eq!(
                store.releases().await.unwrap(),
                BTreeMap::from([("a".into(), vec![1, 2]), ("b".into(), vec![1])])
            );
            let release = newest(&store, "a").await;
            let (manifest, weights) = files("a", 0.5, 4);
            assert_eq!(release.manifest, manifest.clone().try_into().unwrap());
            assert_eq!(store.blob(&manifest.sha256).await.unwrap(), weights);
            let (sound, faults) = store.verify(None).await.unwrap();
            assert_eq!((sound.len(), faults.len()), (3, 0));
        }
    });
    // The same folder as a URL, and a second reader.
    let url = format!("file://{}", place.display());
    block(async { assert_eq!(seen(&Store::open(&url).unwrap()).await.unwrap().len(), 2) });
}

/// A publisher that dies after any number of writes leaves the old release whole; the next one succeeds.
#[test]
fn a_dead_publisher_changes_nothing() {
    block(async {
        let mut puts = 0;
        loop {
            let objects = Arc::new(Faulty::default());
            let store = Store::new(Arc::clone(&objects) as _);
            store.publish(&package("m", 0.25)).await.unwrap();
            let before = seen(&store).await.unwrap();
            objects.set(Fault::PutsLeft(puts));
            let published = store.publish(&package("m", 0.5)).await;
            objects.set(Fault::None);
            let after = seen(&store).await.unwrap();
            if published.is_ok() {
                assert_ne!(before, after);
                break;
            }
            assert_eq!(before, after, "after {puts} writes");
            store.publish(&package("m", 0.5)).await.unwrap();
            assert_ne!(seen(&store).await.unwrap(), before);
            puts += 1;
        }
        // Weights, manifest, release.
        assert_eq!(puts, 3);
    });
}

#[test]
fn a_failing_storage_is_an_error_and_never_other_bytes() {
    block(async {
        let objects = Arc::new(Faulty::default());
        let store = Store::new(Arc::clone(&objects) as _).with_patience(Duration::from_millis(50));
        store.publish(&package("m", 0.25)).await.unwrap();
        let sha256 = files("m", 0.25, 4).0.sha256;
        for (fault, fits) in [
            (
                Fault::Down,
                (|e| matches!(e, Error::Storage { .. })) as fn(&Error) -> bool,
            ),
            (Fault::Hanging, |e| matches!(e, Error::Slow { .. })),
            (Fault::Short, |e| matches!(e, Error::Damaged { .. })),
            (Fault::Cut, |e| matches!(e, Error::Storage { .. })),
            (Fault::Flipped, |e| matches!(e, Error::Damaged { .. })),
        ] {
            objects.set(fault);
            let why = store.blob(&sha256).await.unwrap_err();
            assert!(fits(&why), "{fault:?}: {why}");
            assert!(seen(&store).await.is_err(), "{fault:?}");
            objects.set(Fault::None);
            store.blob(&sha256).await.unwrap();
        }
        objects.set(Fault::Full);
        let why = store.publish(&package("m", 0.5)).await.unwrap_err().to_string();
        assert!(why.contains("storage failed"), "{why}");
    });
}

/// A sweep that listed the files when they were old takes them while they are published again: the publisher puts them back.
#[test]
fn what_a_sweep_took_meanwhile_is_put_back() {
    block(async {
        let objects = Arc::new(Faulty::default());
        let store = Store::new(Arc::clone(&objects) as _);
        store.publish(&package("m", 0.25)).await.unwrap();
        store.publish(&package("m", 0.5)).await.unwrap();
        objects.set(Fault::Swept);
        store.publish(&package("m", 0.25)).await.unwrap();
        objects.set(Fault::None);
        assert_eq!(seen(&store).await.unwrap().len(), 1);
        // So does one who rolls back, from what it read before.
        store.publish(&package("m", 0.5)).await.unwrap();
        objects.set(Fault::Swept);
        store.roll_back("m", Some(3), None).await.unwrap();
        objects.set(Fault::None);
        assert_eq!(seen(&store).await.unwrap().len(), 1);
    });
}

/// Of publishers at the same moment each gets a number of its own or is told that it was too late.
#[test]
fn publishers_do_not_overwrite_each_other() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let store = Store::in_memory();
    let tasks: Vec<_> = (0..24_u8)
        .map(|i| {
            let store = store.clone();
            runtime.spawn(async move { store.publish(&package("m", f32::from(i))).await })
        })
        .collect();
    let mut numbers = Vec::new();
    for task in tasks {
        match runtime.block_on(task).unwrap() {
            Ok(id) => numbers.push(id.number),
            Err(why) => assert!(matches!(why, Error::Raced(_)), "{why}"),
        }
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=numbers.len() as u32).collect::<Vec<_>>());
}

#[test]
fn rolling_back_serves_the_older_model_again() {
    block(async {
        let store = Store::in_memory();
        let unknown = store.roll_back("m", None, None).await.unwrap_err();
        assert!(matches!(unknown, Error::Unknown { .. }), "{unknown}");
        store.publish(&package("m", 0.25)).await.unwrap();
        let first = newest(&store, "m").await.sha256;
        // The same model published twice is nothing to go back to.
        store.publish(&package("m", 0.25)).await.unwrap();
        assert!(store.roll_back("m", None, None).await.is_err());
        store.publish(&package("m", 0.5)).await.unwrap();
        let (from, id) = store.roll_back("m", None, None).await.unwrap();
        assert_eq!((from.number, id.number), (2, 4));
        assert_eq!(newest(&store, "m").await.sha256, first);
        let (from, id) = store.roll_back("m", Some(3), None).await.unwrap();
        assert_eq!((from.number, id.number), (3, 5));
        let why = store.roll_back("m", Some(9), None).await.unwrap_err().to_string();
        assert!(
            why.contains("release 9") && why.contains("1, 2, 3, 4, 5"),
            "{why}"
        );
    });
}

/// What is damaged is found, named, and gone around.
#[test]
fn a_damaged_store_is_told_and_mended() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(folder.path().to_str().unwrap()).unwrap();
    block(async {
        store.publish(&package("m", 0.25)).await.unwrap();
        store.publish(&package("m", 0.5)).await.unwrap();
        let blob = |value| folder.path().join("blobs").join(files("m", value, 4).0.sha256);
        let whole = fs::read(blob(0.5)).unwrap();
        fs::write(blob(0.5), &whole[1..]).unwrap();
        let (sound, faults) = store.verify(None).await.unwrap();
        assert_eq!(sound.len(), 1);
        assert!(
            faults[0].current && matches!(faults[0].error, Error::Damaged { .. }),
            "{faults:?}"
        );
        // The older one is sound and can be served again; a file that is missing cannot.
        store.roll_back("m", None, None).await.unwrap();
        assert_eq!(seen(&store).await.unwrap().len(), 1);
        fs::remove_file(blob(0.5)).unwrap();
        assert!(matches!(
            store.roll_back("m", Some(2), None).await,
            Err(Error::Missing { .. })
        ));
        // What is damaged is passed over, be it the newest record itself.
        fs::write(folder.path().join("releases/m/00000004.json"), "{").unwrap();
        let (from, id) = store.roll_back("m", None, None).await.unwrap();
        assert_eq!((from.number, id.number), (3, 5));
        fs::remove_file(folder.path().join("releases/m/00000004.json")).unwrap();
        // Publishing again mends it.
        store.publish(&package("m", 0.5)).await.unwrap();
        assert!(store.verify(None).await.unwrap().1.is_empty());
        // What is no record, and a record of another layout.
        fs::write(folder.path().join("releases/m/notes.txt"), "mine").unwrap();
        fs::write(folder.path().join("releases/m/00000009.json"), "{}").unwrap();
        let (_, faults) = store.verify(None).await.unwrap();
        assert_eq!(faults.len(), 1);
        assert!(
            store.sweep(all(1)).await.is_err(),
            "nobody knows what release 9 needs"
        );
        let why = store.sweep(all(1)).await.unwrap_err().to_string();
        assert!(why.contains("release 9 of m") && why.contains("--keep"), "{why}");
        let huge = fs::File::create(folder.path().join("releases/m/00000009.json")).unwrap();
        huge.set_len(1 << 40).unwrap();
        assert!(matches!(
            store.verify(None).await.unwrap().1[0].error,
            Error::Damaged { .. }
        ));
        fs::write(folder.path().join("releases/m/99999999.json"), "{}").unwrap();
        let why = store.publish(&package("m", 0.5)).await.unwrap_err().to_string();
        assert!(why.contains("99999999") && why.contains("remove"), "{why}");
        // A folder that is gone is no empty store.
        fs::remove_dir_all(folder.path()).unwrap();
        assert!(matches!(store.releases().await, Err(Error::Place { .. })));
    });
}

fn all(keep: u32) -> Sweep {
    Sweep {
        keep,
        grace: Duration::ZERO,
        dry: false,
    }
}

#[test]
fn sweeping_takes_what_nobody_needs() {
    block(async {
        let store = Store::in_memory();
        for value in [0.25, 0.5, 0.75] {
            store.publish(&package("m", value)).await.unwrap();
        }
        let before = seen(&store).await.unwrap();
        let dry = store.sweep(Sweep { dry: true, ..all(2) }).await.unwrap();
        assert_eq!((dry.releases.len(), dry.blobs.len()), (1, 2));
        assert_eq!(store.releases().await.unwrap()["m"], [1, 2, 3]);
        // What was written a moment ago may belong to someone who is publishing now.
        let young = Sweep {
            grace: Duration::from_mins(1),
            ..all(2)
        };
        let swept = store.sweep(young).await.unwrap();
        assert_eq!((swept.releases.len(), swept.blobs.len()), (1, 0));
        let swept = store.sweep(all(2)).await.unwrap();
        assert_eq!((swept.releases.len(), swept.blobs.len()), (0, 2));
        assert_eq!(swept.bytes, dry.bytes);
        assert_eq!(seen(&store).await.unwrap(), before);
        assert!(store.verify(None).await.unwrap().1.is_empty());
    });
}

#[test]
fn signatures_are_checked_where_a_key_is_given() {
    let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let (manifest, bytes) = files("m", 0.25, 4);
    let signature = key.sign(manifest.to_json().unwrap().as_bytes());
    block(async {
        let store = Store::in_memory();
        let signed = pack(&manifest, &bytes, Some(signature)).unwrap();
        signed.check_signature(&key.public()).unwrap();
        assert!(matches!(
            signed.check_signature(&other.public()),
            Err(Error::Unsigned { .. })
        ));
        store.publish(&signed).await.unwrap();
        assert!(store.verify(Some(&key.public())).await.unwrap().1.is_empty());
        assert_eq!(store.verify(Some(&other.public())).await.unwrap().1.len(), 1);
        let unsigned = pack(&manifest, &bytes, None).unwrap();
        store.publish(&unsigned).await.unwrap();
        assert_eq!(store.verify(Some(&key.public())).await.unwrap().1.len(), 1);
        // Nobody goes back to what servers with the key would not show.
        let other = package("m", 0.5);
        store.publish(&other).await.unwrap();
        let why = store
            .roll_back("m", Some(2), Some(&key.public()))
            .await
            .unwrap_err();
        assert!(matches!(why, Error::Unsigned { .. }), "{why}");
        let (from, _) = store.roll_back("m", None, Some(&key.public())).await.unwrap();
        assert_eq!(from.number, 1);
    });
}

#[test]
fn what_cannot_be_served_is_not_published() {
    let wrong = |change: &dyn Fn(&mut Manifest, &mut Vec<u8>), word: &str| {
        let (mut manifest, mut bytes) = files("m", 0.25, 4);
        change(&mut manifest, &mut bytes);
        let why = pack(&manifest, &bytes, None).unwrap_err().to_string();
        assert!(why.contains(word), "{why}");
    };
    wrong(&|m, _| m.licence = String::new(), "SPDX");
    wrong(&|m, _| m.licence = "do what you like; really?".into(), "SPDX");
    wrong(&|m, _| m.bytes = 65 << 20, "at most");
    wrong(&|m, _| m.bytes += 1, "bytes");
    wrong(&|_, b| b[9] ^= 1, "sha256");
    wrong(&|m, _| m.id = "../m".into(), "plain name");
    // Right hash, wrong shapes.
    wrong(
        &|m, b| {
            *b = files("m", 0.25, 8).1;
            (m.bytes, m.sha256) = (b.len(), asasr_store::sha256_hex(b));
        },
        "weights",
    );
    let folder = tempfile::tempdir().unwrap();
    let why = Package::from_folder(folder.path()).unwrap_err().to_string();
    assert!(why.contains("manifest.json") && why.contains("missing"), "{why}");
}

/// What somebody else put into a store is refused where it is read: its texts go to terminals, logs and pages.
#[test]
fn texts_that_would_act_on_a_terminal_are_refused() {
    let (manifest, bytes) = files("m", 0.25, 4);
    let sound = manifest.to_json().unwrap();
    for (field, from, to) in [
        ("licence", "CC0-1.0", "CC0-1.0\\u001b[2J"),
        ("licence", "CC0-1.0", "CC0-1.0\\nMIT"),
        (
            "training.command",
            "\"command\": \"none",
            "\"command\": \"none\\u202e",
        ),
    ] {
        let json = sound.replace(from, to);
        assert_ne!(json, sound);
        let json = bytes::Bytes::from(json.into_bytes());
        let why = Package::new("test", json.clone(), None, |_| Ok(bytes.clone().into())).unwrap_err();
        assert!(why.to_string().contains(&format!("its {field} ")), "{why}");
        block(async {
            let objects = Arc::new(InMemory::new());
            let store = Store::new(objects.clone());
            let id = store.publish(&package("m", 0.25)).await.unwrap();
            let sha256 = asasr_store::sha256_hex(&json);
            let record = objects
                .get(&Path::from("releases/m/00000001.json"))
                .await
                .unwrap();
            let record = String::from_utf8(record.bytes().await.unwrap().to_vec()).unwrap();
            let before = asasr_store::sha256_hex(sound.as_bytes());
            let record = record.replace(&before, &sha256);
            for (path, bytes) in [
                (format!("blobs/{sha256}"), json.clone()),
                ("releases/m/00000001.json".into(), record.into_bytes().into()),
            ] {
                objects.put(&Path::from(path), bytes.into()).await.unwrap();
            }
            let why = store.release(&id).await.unwrap_err();
            assert!(matches!(why, Error::Damaged { .. }), "{why:?}");
            let why = why.to_string();
            assert!(why.contains(&format!("its {field} ")), "{why}");
            assert!(
                !why.contains(|c: char| c.is_control() || c == '\u{202e}'),
                "{why:?}"
            );
        });
    }
}

/// A release record that was copied to another model's name serves nothing there, signed or not.
#[test]
fn a_model_under_another_ones_name_is_refused() {
    let key = SigningKey::generate().unwrap();
    let (manifest, bytes) = files("weak", 0.25, 4);
    let signature = key.sign(manifest.to_json().unwrap().as_bytes());
    block(async {
        let objects = Arc::new(InMemory::new());
        let store = Store::new(objects.clone());
        store
            .publish(&pack(&manifest, &bytes, Some(signature)).unwrap())
            .await
            .unwrap();
        let record = |model: &str| Path::from(format!("releases/{model}/00000001.json"));
        objects.copy(&record("weak"), &record("strong")).await.unwrap();
        let id = |model: &str| ReleaseId {
            model: model.into(),
            number: 1,
        };
        let sound = store.release(&id("weak")).await.unwrap();
        sound.check_signature(&key.public()).unwrap();
        let why = store.release(&id("strong")).await.unwrap_err();
        assert!(matches!(why, Error::Damaged { .. }), "{why:?}");
        assert!(why.to_string().contains("that of weak, not of strong"), "{why}");
        let why = store
            .roll_back("strong", Some(1), Some(&key.public()))
            .await
            .unwrap_err();
        assert!(why.to_string().contains("that of weak, not of strong"), "{why}");
        let (_, faults) = store.verify(Some(&key.public())).await.unwrap();
        assert_eq!(faults.len(), 1);
    });
}

#[test]
fn places_that_are_none_say_what_would_be() {
    for (place, word) in [
        ("/nowhere/at/all", "publish"),
        ("ftp://host/path", "s3://"),
        ("s3://key:secret@bucket/path", "environment"),
        ("file://relative", "three slashes"),
        ("", "folder"),
    ] {
        let why = Store::open(place).unwrap_err().to_string();
        assert!(why.contains(word), "{place}: {why}");
    }
}

/// What is done to a store.
#[derive(Debug, Clone)]
enum Deed {
    Publish(bool, u8),
    RollBack(bool),
    Sweep(u32),
    Die(bool, u8, usize),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        (any::<bool>(), any::<u8>()).prop_map(|(m, v)| Deed::Publish(m, v)),
        any::<bool>().prop_map(Deed::RollBack),
        (0..4_u32).prop_map(Deed::Sweep),
        (any::<bool>(), any::<u8>(), 0..3_usize).prop_map(|(m, v, puts)| Deed::Die(m, v, puts)),
    ];
    prop::collection::vec(deed, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever was published, rolled back, swept or broken off, in any order: every release is whole.
    #[test]
    fn every_release_is_whole_at_any_time(deeds in deeds()) {
        block(async {
            let objects = Arc::new(Faulty::default());
            let store = Store::new(Arc::clone(&objects) as _);
            let name = |second| if second { "b" } else { "a" };
            for deed in deeds {
                let before = seen(&store).await.unwrap();
                match deed {
                    Deed::Publish(m, value) => {
                        store.publish(&package(name(m), f32::from(value))).await.unwrap();
                    }
                    Deed::RollBack(m) => drop(store.roll_back(name(m), None, None).await),
                    Deed::Sweep(keep) => {
                        store.sweep(all(keep)).await.unwrap();
                        assert_eq!(seen(&store).await.unwrap(), before);
                    }
                    Deed::Die(m, value, puts) => {
                        objects.set(Fault::PutsLeft(puts));
                        store.publish(&package(name(m), f32::from(value))).await.unwrap_err();
                        objects.set(Fault::None);
                        assert_eq!(seen(&store).await.unwrap(), before);
                    }
                }
                assert!(store.verify(None).await.unwrap().1.is_empty());
            }
        });
    }
}
