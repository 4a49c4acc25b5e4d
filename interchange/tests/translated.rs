//! ncnn's and ONNX's files, translated: values against their own programs, and files from anywhere.
//!
//! `fixtures/make_ncnn.py` and `fixtures/make_onnx.py` made the files and the results.
#![allow(missing_docs, clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs;
use std::path::PathBuf;

use asasr_core::graph::{Shape, Size, Tensor, reference};
use asasr_core::model::Weights;
use asasr_interchange::{Error, File, Model, read};
use proptest::prelude::*;

const CASES: u32 = 3000;

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    fs::read(path).unwrap()
}

fn onnx(bytes: &[u8]) -> Result<Model, Error> {
    let name = "model.onnx";
    read(&[File { name, bytes }])
}

fn ncnn(param: &[u8], bin: &[u8]) -> Result<Model, Error> {
    read(&[
        File {
            name: "model.param",
            bytes: param,
        },
        File {
            name: "model.bin",
            bytes: bin,
        },
    ])
}

/// The largest difference of what a model makes of the image from what it should, in parts of the largest value.
fn difference(model: &Model, results: &Weights, name: &str, clamped: bool) -> f64 {
    let (image, wanted) = (results.get("image").unwrap(), results.get(name).unwrap());
    let size = Size::new(image.shape[2], image.shape[1]);
    let shape: Shape = model.graph.shapes(size).unwrap()[0];
    let image = Tensor::new(shape, image.values.iter().map(|v| f64::from(*v)).collect()).unwrap();
    let made = reference::run(&model.graph, &model.weights, &[image]).unwrap();
    assert_eq!(made[0].data().len(), wanted.values.len(), "{name}");
    let held = |v: f64| if clamped { v.clamp(0.0, 1.0) } else { v };
    let wanted: Vec<f64> = wanted.values.iter().map(|v| f64::from(*v)).collect();
    let largest = wanted.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
    let pairs = made[0].data().iter().zip(&wanted);
    pairs.fold(0.0, |m: f64, (a, b)| m.max((held(*a) - b).abs())) / largest
}

#[test]
fn onnx_models_compute_what_onnxruntime_does() {
    let results = Weights::from_safetensors(&fixture("onnx.safetensors")).unwrap();
    for (name, architecture) in [
        ("compact-11", "Compact 4nf 1nc"),
        ("compact-18", "Compact 4nf 1nc"),
        ("esrgan-14", "ESRGAN 4nf 1nb"),
        ("span-17", "SPAN 4nf"),
        ("plksr-11", "PLKSR 8dim 1nb 5ks"),
        ("plksr-18", "PLKSR 8dim 1nb 5ks"),
        ("realplksr-16", "RealPLKSR 8dim 1nb 5ks"),
        ("realplksr-18", "RealPLKSR 8dim 1nb 5ks"),
        ("parts-17", "ONNX network"),
        ("parts-20", "ONNX network"),
        ("blocks", "ONNX network"),
        ("half", "Compact 4nf 1nc"),
    ] {
        let model = onnx(&fixture(&format!("{name}.onnx"))).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(model.architecture, architecture, "{name}");
        let off = difference(&model, &results, name, name.starts_with("parts"));
        assert!(off < 1e-5, "{name}: {off}");
    }
}

#[test]
fn ncnn_models_compute_what_ncnn_does() {
    let results = Weights::from_safetensors(&fixture("ncnn.safetensors")).unwrap();
    for (name, architecture) in [("compact-half", "Compact 5nf 1nc"), ("parts", "ncnn network")] {
        let [param, bin] = ["param", "bin"].map(|end| fixture(&format!("{name}.{end}")));
        let model = ncnn(&param, &bin).unwrap();
        assert_eq!(model.architecture, architecture);
        let off = difference(&model, &results, name, false);
        assert!(off < 1e-5, "{name}: {off}");
        // Whatever they are called, and in any order.
        let renamed = ["b", "a"].into_iter().zip([&bin, &param]);
        let files: Vec<File<'_>> = renamed.map(|(name, bytes)| File { name, bytes }).collect();
        assert_eq!(read(&files).unwrap().weights, model.weights);
    }
}

#[test]
fn one_of_ncnns_files_asks_for_the_other() {
    let [param, bin] = ["compact-half.param", "compact-half.bin"].map(fixture);
    for (name, bytes, missing) in [
        ("a.param", &param, ".bin"),
        ("x", &param, ".bin"),
        ("a.bin", &bin, ".param"),
    ] {
        let Err(Error::Partner(partner)) = read(&[File { name, bytes }]) else {
            panic!("{name} is no model by itself")
        };
        assert!(partner.starts_with(missing));
    }
    assert_eq!(ncnn(&bin, &bin).unwrap_err(), Error::damaged_text());
}

trait Text {
    fn damaged_text() -> Error;
}

impl Text for Error {
    /// What a `.param` that is not text is.
    fn damaged_text() -> Error {
        Error::Damaged("the .param is no text".into())
    }
}

/// The error of the small ncnn model with one text in place of another.
fn changed(from: &str, to: &str) -> Error {
    let param = String::from_utf8(fixture("compact-half.param")).unwrap();
    let other = param.replace(from, to);
    assert_ne!(param, other);
    ncnn(other.as_bytes(), &fixture("compact-half.bin")).unwrap_err()
}

#[test]
fn ncnn_files_that_contradict_themselves_are_refused_by_name() {
    for (from, to, says) in [
        ("1=3 4=1", "1=3 3=2 4=1", "Convolution (first) with a stride of 2"),
        ("1=3 4=1", "1=3 2=2 4=1", "a dilation of 2"),
        ("1=3 4=1", "1=3 11=1 4=1", "an oblong kernel"),
        ("1=3 4=1", "1=3 4=1 15=2", "the padding [1, 2, 1, 1]"),
        (
            "Interp resize 1 1 b i 0=1",
            "Interp resize 1 1 b i 0=3",
            "cubic interpolation",
        ),
        (
            "1=2.000000e+00 2=2.000000e+00",
            "1=1.500000e+00 2=2.000000e+00",
            "Interp (resize) by 1.5 and 2",
        ),
        (
            "PReLU slope1",
            "Softmax slope1",
            "the ncnn layer Softmax (slope1)",
        ),
        (
            "PixelShuffle shuffle 1 1 g h 0=2",
            "PixelShuffle shuffle 1 1 g h 0=0",
            "the factor",
        ),
        (
            "BinaryOp sum 2 1 h i output",
            "BinaryOp sum 2 1 h x output",
            "nothing makes",
        ),
        (
            "BinaryOp sum 2 1 h i output",
            "BinaryOp sum 2 1 h i h",
            "made twice",
        ),
        ("0=5 1=3", "0=999999999 1=3", "cut short"),
        ("6=135", "6=99999999999999999999", "cut short"),
        ("6=135", "6=-5", "counts -5"),
        ("6=135", "6=x", "the parameter 6 of the layer first is x"),
        ("6=135", "-23306=4,1", "a parameter that is none"),
        ("7767517", "7767516", "begin with 7767517"),
        ("10 11", "4000000000 11", "cut short"),
    ] {
        let error = changed(from, to).to_string();
        assert!(error.contains(says), "{from} to {to}: {error}");
    }
    let [param, bin] = ["compact-half.param", "compact-half.bin"].map(fixture);
    let with = |mark: u32| {
        let mut other = bin.clone();
        other[..4].copy_from_slice(&mark.to_le_bytes());
        ncnn(&param, &other).unwrap_err().to_string()
    };
    assert!(with(0x000d_4b38).contains("Convolution (first) with weights of 8 bits"));
    assert!(with(0x0002_c056).contains("scaled weights"));
    assert!(with(7).contains("quantised weights"));
    assert_eq!(ncnn(&param, &bin[..bin.len() - 1]).unwrap_err(), Error::CutShort);
    let longer = [&bin[..], &[0; 4]].concat();
    assert!(
        ncnn(&param, &longer)
            .unwrap_err()
            .to_string()
            .contains("4 bytes more")
    );
}

/// A field of a message: bytes, or a number.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    out.extend(varint(bytes.len() as u64));
    out.extend(bytes);
    out
}

fn int(number: u8, value: i64) -> Vec<u8> {
    let mut out = vec![number << 3];
    out.extend(varint(value as u64));
    out
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// A node from `reads` to `makes`, with attributes that are messages.
fn node(kind: &str, reads: &[&str], makes: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let reads: Vec<u8> = reads.iter().flat_map(|name| field(1, name.as_bytes())).collect();
    let attributes: Vec<u8> = attributes.iter().flat_map(|a| field(5, a)).collect();
    let own = [
        reads,
        field(2, makes.as_bytes()),
        field(4, kind.as_bytes()),
        attributes,
    ]
    .concat();
    field(1, &own)
}

fn ints(name: &str, values: &[i64]) -> Vec<u8> {
    let packed: Vec<u8> = values.iter().flat_map(|v| varint(*v as u64)).collect();
    [field(1, name.as_bytes()), field(8, &packed)].concat()
}

fn text(name: &str, value: &str) -> Vec<u8> {
    [field(1, name.as_bytes()), field(4, value.as_bytes())].concat()
}

/// A tensor of `dims` whose fields but the name are `rest`.
fn tensor(name: &str, dims: &[i64], kind: i64, rest: &[u8]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|d| int(1, *d)).collect();
    [dims, int(2, kind), field(8, name.as_bytes()), rest.to_vec()].concat()
}

fn floats(values: &[f32]) -> Vec<u8> {
    field(
        9,
        &values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>(),
    )
}

fn longs(values: &[i64]) -> Vec<u8> {
    field(
        9,
        &values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>(),
    )
}

/// The model of nodes and tensors, from `image` to `result`.
fn model(nodes: &[Vec<u8>], tensors: &[Vec<u8>]) -> Vec<u8> {
    let tensors: Vec<u8> = tensors.iter().flat_map(|t| field(5, t)).collect();
    let ends = [field(11, &field(1, b"image")), field(12, &field(1, b"result"))].concat();
    let graph = [nodes.concat(), tensors, ends].concat();
    [int(1, 8), field(7, &graph)].concat()
}

#[test]
fn onnx_files_that_contradict_themselves_are_refused_by_name() {
    let conv = |attributes: &[Vec<u8>]| node("Conv", &["image", "w"], "result", attributes);
    let weight = tensor("w", &[3, 3, 1, 1], 1, &floats(&[0.5; 9]));
    let fits = onnx(&model(&[conv(&[])], std::slice::from_ref(&weight))).unwrap();
    assert_eq!(fits.graph.graph().nodes.len(), 1);
    let on = |nodes: &[Vec<u8>], tensors: &[Vec<u8>]| onnx(&model(nodes, tensors)).unwrap_err().to_string();
    let one = |node: Vec<u8>| {
        on(
            &[node],
            &[
                weight.clone(),
                tensor("s", &[4], 7, &longs(&[1, 3, 1 << 40, 1 << 40])),
            ],
        )
    };
    for (error, says) in [
        (
            one(conv(&[ints("strides", &[2, 2])])),
            "Conv with strides of [2, 2] (node result)",
        ),
        (one(conv(&[ints("dilations", &[2, 2])])), "dilations"),
        (one(conv(&[ints("pads", &[1, 0, 1, 0])])), "uneven padding"),
        (
            one(node("Softmax", &["image"], "result", &[])),
            "the ONNX operator Softmax (node result)",
        ),
        (one(node("Erf", &["image"], "result", &[])), "Erf alone"),
        (one(node("Loop", &["image"], "result", &[])), "Loop"),
        (
            one(node("Add", &["image", "other"], "result", &[])),
            "nothing makes",
        ),
        (one(node("ConstantOfShape", &["s"], "result", &[])), "cut short"),
        (
            one(node("Expand", &["image", "s"], "result", &[])),
            "repeats a map in an odd way",
        ),
        (one(node("Reshape", &["image", "s"], "result", &[])), "odd way"),
        (
            one(node("Identity", &["image"], "result", &[])),
            "computes nothing",
        ),
    ] {
        assert!(error.contains(says), "{says}: {error}");
    }
}

#[test]
fn onnx_tensors_that_contradict_themselves_are_refused_by_name() {
    let conv = |attributes: &[Vec<u8>]| node("Conv", &["image", "w"], "result", attributes);
    let on = |nodes: &[Vec<u8>], tensors: &[Vec<u8>]| onnx(&model(nodes, tensors)).unwrap_err().to_string();
    let row = |values: &[f32]| vec![tensor("s", &[values.len() as i64], 1, &floats(values))];
    let resize = |attributes: &[Vec<u8>]| node("Resize", &["image", "", "s"], "result", attributes);
    for (error, says) in [
        (
            on(&[resize(&[])], &row(&[1.0, 1.0, 0.5, 0.5])),
            "Resize by 0.5 and 0.5",
        ),
        (
            on(&[resize(&[text("mode", "cubic")])], &row(&[1.0, 1.0, 2.0, 2.0])),
            "mode cubic",
        ),
        (on(&[resize(&[])], &row(&[1.0, 2.0])), "cut short"),
        (
            on(
                &[conv(&[])],
                &[tensor("w", &[1 << 40, 1 << 40, 1, 1], 1, &floats(&[0.5]))],
            ),
            "cut short",
        ),
        (
            on(&[conv(&[])], &[tensor("w", &[-1, 3, 1, 1], 1, &floats(&[0.5]))]),
            "the shape [-1",
        ),
        (
            on(
                &[conv(&[])],
                &[tensor("w", &[1 << 30, 3, 1, 1], 1, &floats(&[0.5]))],
            ),
            "larger than what holds it",
        ),
        (
            on(&[conv(&[])], &[tensor("w", &[3, 3, 1, 1], 3, &field(9, &[0; 9]))]),
            "number 3 of ONNX",
        ),
        (
            on(&[conv(&[])], &[tensor("w", &[3, 3, 1, 1], 1, &int(14, 1))]),
            "numbers of another file (w)",
        ),
        (
            on(
                &[conv(&[])],
                &[tensor("w", &[3, 3, 1, 1], 1, &floats(&[f32::NAN; 9]))],
            ),
            "not finite",
        ),
        (
            on(
                &[conv(&[])],
                &[tensor("w", &[3, 4, 1, 1], 1, &floats(&[0.5; 12]))],
            ),
            "reads other channels",
        ),
    ] {
        assert!(error.contains(says), "{says}: {error}");
    }
    // Of another's operators, names say nothing.
    let foreign = field(
        1,
        &[field(2, b"result"), field(4, b"Conv"), field(7, b"com.example")].concat(),
    );
    assert!(on(&[foreign], &[]).contains("of com.example"));
    let two = [
        int(1, 8),
        field(
            7,
            &[field(11, &field(1, b"a")), field(11, &field(1, b"b"))].concat(),
        ),
    ]
    .concat();
    assert!(matches!(onnx(&two), Err(Error::Colours(_))));
    assert_eq!(onnx(&[]).unwrap_err(), Error::CutShort);
}

#[test]
fn a_tensor_that_is_used_without_end_is_refused() {
    let side = 512;
    let many: Vec<Vec<u8>> = (0..2000)
        .map(|i| {
            let reads = if i == 0 { "wide".into() } else { format!("x{i}") };
            node("Conv", &[&reads, "w"], &format!("x{}", i + 1), &[])
        })
        .chain([node("Conv", &["x2000", "last"], "result", &[])])
        .collect();
    let first = node("Conv", &["image", "first"], "wide", &[]);
    let tensors = [
        tensor(
            "first",
            &[side, 3, 1, 1],
            1,
            &floats(&vec![0.1; 3 * side as usize]),
        ),
        tensor(
            "w",
            &[side, side, 1, 1],
            1,
            &floats(&vec![0.1; (side * side) as usize]),
        ),
        tensor(
            "last",
            &[3, side, 1, 1],
            1,
            &floats(&vec![0.1; 3 * side as usize]),
        ),
    ];
    let nodes: Vec<Vec<u8>> = std::iter::once(first).chain(many).collect();
    let error = onnx(&model(&nodes, &tensors)).unwrap_err();
    assert!(matches!(error, Error::TooLarge(_)), "{error}");
}

/// What is taken is whole.
fn is_sound(model: Result<Model, Error>) {
    match model {
        Ok(model) => model.weights.check(model.graph.parameters()).unwrap(),
        Err(error) => assert!(error.to_string().len() < 600),
    }
}

fn mutated(bytes: &[u8], changes: &[(prop::sample::Index, u8)], cut: Option<prop::sample::Index>) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, byte) in changes {
        let at = at.index(bytes.len());
        bytes[at] = *byte;
    }
    if let Some(cut) = cut {
        bytes.truncate(cut.index(bytes.len()));
    }
    bytes
}

fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    let byte = prop_oneof![any::<u8>(), Just(0), Just(1), Just(0x7f), Just(0xff), b'0'..=b'9'];
    prop::collection::vec((any::<prop::sample::Index>(), byte), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn onnx_with_other_bytes(which in 0..4usize, changes in changes(), cut in prop::option::of(any::<prop::sample::Index>())) {
        let name = ["parts-17", "compact-18", "plksr-11", "blocks"][which];
        let cut = cut.filter(|_| changes.len() < 2);
        is_sound(onnx(&mutated(&fixture(&format!("{name}.onnx")), &changes, cut)));
    }

    #[test]
    fn any_bytes_as_onnx(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        is_sound(onnx(&bytes));
        is_sound(onnx(&[int(1, 8), field(7, &bytes)].concat()));
    }

    #[test]
    fn ncnn_with_other_bytes(which in 0..2usize, changes in changes(), tail in changes_of_bin()) {
        let name = ["parts", "compact-half"][which];
        let [param, bin] = ["param", "bin"].map(|end| fixture(&format!("{name}.{end}")));
        is_sound(ncnn(&mutated(&param, &changes, None), &mutated(&bin, &tail, None)));
    }

    #[test]
    fn any_text_as_ncnn(text in "(7767517\n1 1\n)?([A-Za-z]{1,9} [a-z] [0-2] [0-2]( [a-z]){0,3}( -?[0-9]{1,5}=-?[0-9,.]{1,4}){0,3}\n){0,6}", bin in prop::collection::vec(any::<u8>(), 0..64)) {
        is_sound(ncnn(text.as_bytes(), &bin));
    }
}

fn changes_of_bin() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3)
}
