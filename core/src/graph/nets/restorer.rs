use super::{IMAGE, layers};
use crate::Result;
use crate::graph::ops::{Add, Interpolation, PixelShuffle, Resize};
use crate::graph::{Builder, Graph, Scale};
use crate::model::{Architecture, Skip};

/// The graph of a restorer: `image`, 3 channels, to `image`, `scale` times larger.
///
/// # Errors
/// [`Error::Architecture`](crate::Error::Architecture) when the description is none.
pub fn restorer(architecture: &Architecture) -> Result<Graph> {
    architecture.validate()?;
    let mut b = Builder::new();
    let image = b.map(IMAGE, 3, Scale::ONE);
    let tail = layers::layers(&mut b, &architecture.layers, &image, "");
    let factor = architecture.scale;
    let mut larger = b.node("larger", PixelShuffle { factor }, &[&tail]);
    if architecture.skip == Skip::Bicubic {
        let by = Interpolation::Bicubic;
        let skip = b.node("skip", Resize { factor, by }, &[&image]);
        larger = b.node("sum", Add {}, &[&larger, &skip]);
    }
    Ok(b.output(IMAGE, &larger))
}
