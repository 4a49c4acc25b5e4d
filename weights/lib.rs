//! The models that ship with ASASR, embedded: a manifest and the weights file it describes.
#![no_std]

/// One model as the two files of its folder.
#[derive(Debug, Clone, Copy)]
pub struct Model {
    /// `manifest.json`.
    pub manifest: &'static [u8],
    /// The safetensors file named in the manifest.
    pub weights: &'static [u8],
}

/// `asasr-x4-clean`: for sharp, undamaged images; enlarges four times.
pub const X4_CLEAN: Model = Model {
    manifest: include_bytes!("asasr-x4-clean/manifest.json"),
    weights: include_bytes!("asasr-x4-clean/restorer.safetensors"),
};

/// What is used when nobody asks for another.
pub const DEFAULT: Model = X4_CLEAN;

/// All of them.
pub const ALL: [Model; 1] = [X4_CLEAN];

#[cfg(test)]
mod tests {
    use asasr_core::model::Manifest;

    #[test]
    fn every_shipped_model_opens() {
        for model in super::ALL {
            let manifest = Manifest::from_json(model.manifest).expect("a manifest");
            manifest
                .open_weights(model.weights)
                .expect("the weights it describes");
            assert_eq!(manifest.bytes, model.weights.len());
            let measured = manifest.measured.expect("shipped models are measured");
            assert!(measured.psnr_y >= measured.psnr_y_bicubic + 0.5, "{measured:?}");
        }
    }
}
