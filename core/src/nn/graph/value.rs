use burn::tensor::{FloatDType, Tensor};

use crate::graph::{Places, Shape, Size};

/// A batch of inputs or outputs on a burn device.
#[derive(Debug, Clone)]
pub enum GraphValue {
    /// A map, `[n, channels, height, width]`.
    Map(Tensor<4>),
    /// A vector, `[n, channels]`.
    Vector(Tensor<2>),
}

impl GraphValue {
    /// How many there are, and the shape of each.
    pub(super) fn shape(&self) -> (usize, Shape) {
        let (n, channels, places) = match self {
            Self::Map(x) => {
                let [n, c, h, w] = x.dims();
                (n, c, Places::Map(Size::new(w, h)))
            }
            Self::Vector(x) => {
                let [n, c] = x.dims();
                (n, c, Places::Vector)
            }
        };
        (n, Shape { channels, places })
    }

    /// The type of its numbers.
    pub(super) fn dtype(&self) -> FloatDType {
        match self {
            Self::Map(x) => x.dtype().into(),
            Self::Vector(x) => x.dtype().into(),
        }
    }
}

/// How the channels of a [`Batch`] lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// A plane each: `[n, channels, height, width]`, of maps only.
    Planes,
    /// Side by side at every place: `[n, height, width, channels]` of a map, `[n, windows, tokens, channels]` of tokens and
    /// `[n, 1, 1, channels]` of a vector.
    Rows,
}

/// A batch of values as operations see it. Maps are in either layout: each operation makes that which it computes in, and the next
/// one changes it only if it must.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) tensor: Tensor<4>,
    pub(crate) layout: Layout,
    pub(crate) places: Places,
}

impl Batch {
    /// A map of planes, `[n, channels, height, width]`.
    pub(crate) fn map(planes: Tensor<4>) -> Self {
        let [_, _, height, width] = planes.dims();
        Self {
            tensor: planes,
            layout: Layout::Planes,
            places: Places::Map(Size::new(width, height)),
        }
    }

    /// Values at `places`, whose channels are side by side.
    pub(crate) fn rows(tensor: Tensor<4>, places: Places) -> Self {
        Self {
            tensor,
            layout: Layout::Rows,
            places,
        }
    }

    /// Vectors, `[n, channels]`.
    pub(crate) fn vector(x: Tensor<2>) -> Self {
        let [n, c] = x.dims();
        Self::rows(x.reshape([n, 1, 1, c]), Places::Vector)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.tensor.dims()[0]
    }

    /// Channels of each.
    pub(crate) fn channels(&self) -> usize {
        self.tensor.dims()[self.channel_dim()]
    }

    /// Which dimension of the tensor the channels are.
    pub(crate) fn channel_dim(&self) -> usize {
        match self.layout {
            Layout::Planes => 1,
            Layout::Rows => 3,
        }
    }

    /// The tensor of a map, `[n, channels, height, width]`.
    pub(crate) fn into_planes(self) -> Tensor<4> {
        match self.layout {
            Layout::Planes => self.tensor,
            Layout::Rows => self.tensor.permute([0, 3, 1, 2]),
        }
    }

    /// The tensor with channels side by side.
    pub(crate) fn into_rows(self) -> Tensor<4> {
        match self.layout {
            Layout::Planes => self.tensor.permute([0, 2, 3, 1]),
            Layout::Rows => self.tensor,
        }
    }

    /// The numbers of a vector, `[n, channels]`.
    pub(crate) fn into_vector(self) -> Tensor<2> {
        let [n, _, _, c] = self.tensor.dims();
        self.tensor.reshape([n, c])
    }

    /// The same places with what `f` makes of the tensor, in its layout.
    pub(crate) fn each(self, f: impl FnOnce(Tensor<4>) -> Tensor<4>) -> Self {
        Self {
            tensor: f(self.tensor),
            ..self
        }
    }

    /// A number for each channel, `[channels]`, as it is broadcast over the tensor.
    pub(crate) fn per_channel(&self, numbers: Tensor<1>) -> Tensor<4> {
        let c = numbers.dims()[0];
        match self.layout {
            Layout::Planes => numbers.reshape([1, c, 1, 1]),
            Layout::Rows => numbers.reshape([1, 1, 1, c]),
        }
    }

    /// Another value, of the same places or a vector, as it is broadcast over the tensor: both in this one's layout, or side by side
    /// if either is.
    pub(crate) fn with(self, other: Self) -> (Self, Tensor<4>) {
        if other.places == Places::Vector {
            let [n, _, _, c] = other.tensor.dims();
            let other = match self.layout {
                Layout::Planes => other.tensor.reshape([n, c, 1, 1]),
                Layout::Rows => other.tensor,
            };
            return (self, other);
        }
        if self.layout == other.layout {
            return (self, other.tensor);
        }
        let places = self.places;
        (Self::rows(self.into_rows(), places), other.into_rows())
    }

    pub(crate) fn dtype(&self) -> FloatDType {
        self.tensor.dtype().into()
    }
}

impl From<GraphValue> for Batch {
    fn from(value: GraphValue) -> Self {
        match value {
            GraphValue::Map(x) => Self::map(x),
            GraphValue::Vector(x) => Self::vector(x),
        }
    }
}
