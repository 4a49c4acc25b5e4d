//! Files as `PyTorch` writes them, and files that are none.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use asasr_interchange::{Error, File, Model, read};
use proptest::prelude::*;

const FILES: [(&str, &[u8]); 6] = [
    ("zip.pth", include_bytes!("fixtures/zip.pth")),
    ("legacy.pth", include_bytes!("fixtures/legacy.pth")),
    ("half.pth", include_bytes!("fixtures/half.pth")),
    ("bfloat16.pth", include_bytes!("fixtures/bfloat16.pth")),
    ("double.pth", include_bytes!("fixtures/double.pth")),
    ("views.pth", include_bytes!("fixtures/views.pth")),
];

fn open(bytes: &[u8]) -> Result<Model, Error> {
    let name = "model.pth";
    read(&[File { name, bytes }])
}

/// Whatever the container, the type and the wrapping, it is one network with one set of weights.
#[test]
fn every_container_holds_the_same() {
    let first = open(FILES[0].1).unwrap();
    assert_eq!(first.architecture, "Compact 2nf 1nc");
    for (name, bytes) in FILES {
        let model = open(bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(model.graph.graph(), first.graph.graph(), "{name}");
        let within = match name {
            "half.pth" => 1e-3,
            "bfloat16.pth" => 8e-3,
            _ => 0.0,
        };
        for (tensor, values) in model.weights.iter() {
            let theirs = &first.weights.get(tensor).unwrap().values;
            for (a, b) in values.values.iter().zip(theirs) {
                assert!((a - b).abs() <= within, "{name}: {tensor}: {a} {b}");
            }
        }
    }
}

/// A tar archive as `PyTorch` wrote before 0.1.10, put together by hand.
#[test]
fn the_oldest_container_is_read() {
    let first = open(FILES[0].1).unwrap();
    let mut storages = pickled(first.weights.iter().count() as u32);
    let mut tensors = storages.clone();
    let mut state = vec![0x80, 2, b'}', b'('];
    for (i, (name, tensor)) in first.weights.iter().enumerate() {
        let (storage, key) = (100 + i as u8, i as u8);
        // (key, "cpu", torch.FloatStorage)
        storages.extend([0x80, 2, b'K', storage, b'U', 3]);
        storages.extend(b"cpuctorch\nFloatStorage\n\x87.");
        storages.extend((tensor.values.len() as i64).to_le_bytes());
        storages.extend(tensor.values.iter().flat_map(|v| v.to_le_bytes()));
        // (key, storage, torch.FloatTensor), dimensions, sizes, strides, offset
        tensors.extend([0x80, 2, b'K', key, b'K', storage]);
        tensors.extend(b"ctorch\nFloatTensor\n\x87.");
        tensors.extend((tensor.shape.len() as i32).to_le_bytes());
        tensors.extend([0xff; 4]);
        let strides = (0..tensor.shape.len()).map(|d| tensor.shape[d + 1..].iter().product::<usize>());
        for n in tensor.shape.iter().copied().chain(strides).chain([0]) {
            tensors.extend((n as i64).to_le_bytes());
        }
        state.extend([b'U', name.len() as u8]);
        state.extend(name.bytes().chain([b'K', key, b'Q']));
    }
    storages.extend([0x80, 2, b']', b'.']);
    state.extend(b"u.");
    let mut tar = Vec::new();
    for (name, data) in [
        ("./storages", storages),
        ("./tensors", tensors),
        ("./pickle", state),
    ] {
        let mut head = vec![0; 512];
        head[..name.len()].copy_from_slice(name.as_bytes());
        let size = format!("{:011o}", data.len());
        head[124..135].copy_from_slice(size.as_bytes());
        head[257..262].copy_from_slice(b"ustar");
        let padding = data.len().next_multiple_of(512) - data.len();
        tar.extend(head.into_iter().chain(data).chain(vec![0; padding]));
    }
    tar.extend([0; 1024]);
    let model = open(&tar).unwrap();
    assert_eq!(model.weights, first.weights);
    for cut in (0..tar.len() - 1024 - 512).step_by(97) {
        assert!(open(&tar[..cut]).is_err(), "{cut}");
    }
}

/// A pickle of one number.
fn pickled(n: u32) -> Vec<u8> {
    vec![0x80, 2, b'K', n as u8, b'.']
}

#[test]
fn what_may_be_a_program_is_refused_by_name() {
    let whole = |body: &[u8]| [&[0x80, 2], body].concat();
    for (body, name) in [
        // os.system("id"), as it is written for a system with a shell
        (&b"cposix\nsystem\nU\x02id\x85R."[..], "posix.system"),
        (b"c__builtin__\neval\nU\x011\x85R.", "__builtin__.eval"),
        (b"\x8c\x05posix\x8c\x06system\x93.", "posix.system"),
        (b"(U\x02idios\nsystem\n.", "os.system"),
        (b"c__main__\nModel\n)\x81.", "__main__.Model"),
        (b"ctorch\nLoadable\n.", "torch.Loadable"),
        (
            b"cnumpy.core.multiarray\nscalar\n.",
            "numpy.core.multiarray.scalar",
        ),
        (b"\x82\x01.", "an extension"),
        (b"Pname\n.", "an object by name"),
    ] {
        let error = open(&whole(body)).unwrap_err();
        assert!(
            matches!(&error, Error::Unsafe(n) if n == name),
            "{name}: {error:?}"
        );
        let told = error.to_string();
        assert!(told.contains(name) && told.contains("safetensors"), "{told}");
    }
}

/// One tensor of an attribute that is not as it should be, in a file that is else whole.
#[test]
fn hostile_files_get_a_sentence() {
    let legacy = FILES[1].1;
    let replaced = |from: &[u8], to: &[u8]| {
        let at = legacy
            .windows(from.len())
            .position(|w| w == from)
            .expect("is there");
        let mut bytes = legacy.to_vec();
        bytes.splice(at..at + from.len(), to.iter().copied());
        open(&bytes).unwrap_err()
    };
    // A type of storage that is none of weights.
    let quantised = replaced(b"FloatStorage", b"QInt8Storage");
    assert!(
        matches!(&quantised, Error::Type { is, .. } if is == "QInt8"),
        "{quantised:?}"
    );
    // A value takes more memory than its byte.
    let many = [b"\x80\x02".as_slice(), &b"N".repeat(1 << 22), b"."].concat();
    assert!(matches!(open(&many), Err(Error::TooLarge(_))));
    // A size of a billion: (2, 3, 3, 3) as it is written.
    let huge = replaced(b"(K\x02K\x03K\x03K\x03t", b"(J\x00\xca\x9a\x3bK\x03K\x03K\x03t");
    assert!(matches!(huge, Error::Damaged(_)), "{huge:?}");
    let negative = replaced(b"(K\x02K\x03K\x03K\x03t", b"(J\xff\xff\xff\xffK\x03K\x03K\x03t");
    assert!(matches!(negative, Error::Damaged(_)), "{negative:?}");
    // A shape that is not the network's.
    let other = replaced(b"(K\x02K\x03K\x03K\x03t", b"(K\x02K\x03K\x03K\x01t");
    assert!(matches!(other, Error::Tensor { .. }), "{other:?}");
    // A program with its weights.
    let script = include_bytes!("fixtures/script.pt");
    assert!(matches!(open(script), Err(Error::Program)));
    assert!(matches!(open(b""), Err(Error::NotAModel)));
    assert!(matches!(open(b"\xff\xd8\xff\xe0 a photo"), Err(Error::NotAModel)));
    // A list that is in itself, and one dictionary made over and over.
    let mut again = b"\x80\x02]q\x00h\x00a(".to_vec();
    again.extend(b"ccollections\nOrderedDict\nq\x01(".iter());
    again.extend(b"(K\x01K\x02t".repeat(100));
    again.extend(b"lq\x02".iter());
    again.extend(b"h\x01h\x02\x85R0".repeat(1000));
    again.push(b'.');
    assert!(open(&again).is_err());
}

#[test]
fn files_cut_short_are_refused() {
    for (name, bytes) in FILES {
        // The end of a zip file is a table that may be followed by nothing.
        for cut in (0..bytes.len()).step_by(13) {
            assert!(open(&bytes[..cut]).is_err(), "{name} at {cut}");
        }
    }
}

proptest! {
    #[test]
    fn damaged_files_never_panic(which in 0..FILES.len(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = FILES[which].1.to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = open(&bytes);
    }

    #[test]
    fn arbitrary_pickles_never_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = open(&[&[0x80, 2], body.as_slice()].concat());
        let _ = open(&body);
    }
}
