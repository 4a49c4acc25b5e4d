//! The inference mathematics on a target without a standard library, against the host.

use wasmi::{Engine, Linker, Memory, Module, Store, TypedFunc};

/// Reads what `asasr_compute` left in the program's memory: a number of values and the values.
fn values(memory: &[u8], at: usize) -> Vec<f32> {
    let read = |i: usize| {
        let start = at + 4 * i;
        let bytes = memory.get(start..start + 4).expect("inside the memory");
        f32::from_le_bytes(bytes.try_into().expect("four bytes"))
    };
    (1..=read(0) as usize).map(read).collect()
}

#[test]
fn a_target_without_std_computes_what_the_host_does() {
    let path = std::env::var_os("ASASR_BARE").expect("ASASR_BARE is not set: run `cargo xtask test`");
    let program = std::fs::read(&path).expect("the built program can be read");
    let engine = Engine::default();
    let module = Module::new(&engine, &program).expect("a WebAssembly module");
    // Whoever has no standard library asks nobody for anything.
    assert_eq!(module.imports().count(), 0);
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine)
        .instantiate_and_start(&mut store, &module)
        .expect("starts");
    let compute: TypedFunc<u32, u32> = instance
        .get_typed_func(&store, "asasr_compute")
        .expect("is exported");
    let memory: Memory = instance.get_memory(&store, "memory").expect("is exported");
    for part in 0..asasr_bare::PARTS {
        let at = compute.call(&mut store, part).expect("does not trap");
        let got = values(memory.data(&store), at as usize);
        let expected = asasr_bare::compute(part).expect("computes");
        assert!(expected.len() > 10, "part {part} says little");
        assert_eq!(got.len(), expected.len(), "part {part}");
        for (a, b) in got.iter().zip(&expected) {
            // The host takes the fast transform, the bare target the plain one.
            assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "part {part}: {a} {b}");
        }
    }
}
