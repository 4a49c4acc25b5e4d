//! The models that ship with ASASR, embedded: a manifest and the weights files it describes.
#![no_std]

/// One model as the files of its folder.
#[derive(Debug, Clone, Copy)]
pub struct Model {
    /// `manifest.json`.
    pub manifest: &'static [u8],
    /// The safetensors file of its first network.
    pub weights: &'static [u8],
    /// The files of its networks that draw, by the names in the manifest.
    pub samplers: &'static [(&'static str, &'static [u8])],
}

/// `asasr-x4-clean`: for sharp, undamaged images; enlarges four times.
pub const X4_CLEAN: Model = Model {
    manifest: include_bytes!("asasr-x4-clean/manifest.json"),
    weights: include_bytes!("asasr-x4-clean/restorer.safetensors"),
    samplers: &[(
        "flow.safetensors",
        include_bytes!("asasr-x4-clean/flow.safetensors"),
    )],
};

/// `asasr-x4-real`: for photographs of any condition, with noise, blur and JPEG blocks or without; enlarges four times.
pub const X4_REAL: Model = Model {
    manifest: include_bytes!("asasr-x4-real/manifest.json"),
    weights: include_bytes!("asasr-x4-real/restorer.safetensors"),
    samplers: &[
        (
            "flow.safetensors",
            include_bytes!("asasr-x4-real/flow.safetensors"),
        ),
        (
            "one-step.safetensors",
            include_bytes!("asasr-x4-real/one-step.safetensors"),
        ),
    ],
};

/// `asasr-x4-drawn`: for drawings, comics, screenshots and text, compressed or not; enlarges four times.
pub const X4_DRAWN: Model = Model {
    manifest: include_bytes!("asasr-x4-drawn/manifest.json"),
    weights: include_bytes!("asasr-x4-drawn/restorer.safetensors"),
    samplers: &[(
        "one-step.safetensors",
        include_bytes!("asasr-x4-drawn/one-step.safetensors"),
    )],
};

/// `asasr-x2-video`: for videos alone, quickly; enlarges twice.
pub const X2_VIDEO: Model = Model {
    manifest: include_bytes!("asasr-x2-video/manifest.json"),
    weights: include_bytes!("asasr-x2-video/recurrent.safetensors"),
    samplers: &[],
};

/// When one of them last changed.
pub const RELEASED: &str = "2026-12-01T05:48:00Z";

/// What is used when nobody asks for another: few photographs are free of noise and compression.
pub const DEFAULT: Model = X4_REAL;

/// All for photos.
pub const ALL: [Model; 3] = [X4_CLEAN, X4_REAL, X4_DRAWN];

/// All for videos alone.
pub const FOR_VIDEOS: [Model; 1] = [X2_VIDEO];

impl Model {
    /// The weights of a network that draws, by its file's name in the manifest.
    pub fn sampler(&self, file: &str) -> Option<&'static [u8]> {
        self.samplers
            .iter()
            .find(|(name, _)| *name == file)
            .map(|(_, bytes)| *bytes)
    }
}

#[cfg(test)]
mod tests {
    use asasr_core::model::Manifest;

    const NOTICE: &str = include_str!("../NOTICE");

    #[test]
    fn every_shipped_model_opens() {
        for model in super::ALL.into_iter().chain(super::FOR_VIDEOS) {
            let manifest = Manifest::from_json(model.manifest).expect("a manifest");
            let files = manifest.files();
            for file in &files {
                let bytes = model.sampler(file.name).unwrap_or(model.weights);
                file.open(bytes).expect("the weights it describes");
            }
            assert_eq!(files.len(), model.samplers.len() + 1);
            let size =
                model.weights.len() + model.samplers.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
            assert!(size <= 8_000_000, "{} takes {size} bytes", manifest.id);
            for part in manifest.networks.values() {
                assert!(
                    part.training.is_some() || part.provenance.is_some(),
                    "{}",
                    part.file
                );
                if let Some(from) = &part.provenance {
                    let first = from.author.split(',').next().unwrap_or_default();
                    let first = first.trim_end_matches(" et al.");
                    let told = NOTICE.lines().any(|l| l.starts_with(&manifest.id)) && NOTICE.contains(first);
                    assert!(told, "{} is in the NOTICE", from.source);
                    // Not as an alternative to another.
                    let parts = manifest.licence.split(" AND ");
                    assert!(
                        parts.into_iter().any(|l| l == from.licence),
                        "{}",
                        manifest.licence
                    );
                }
            }
            let measured = manifest.measured.expect("shipped models are measured");
            assert!(measured.psnr_y >= measured.psnr_y_bicubic + 0.5, "{measured:?}");
        }
    }
}
