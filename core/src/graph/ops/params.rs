//! Parameters of operations, as they are written.

use alloc::string::String;

use serde_json::{Map, Value};

use super::{Constants, Interpolation};

/// What has parameters.
pub(super) trait Params {
    /// Writes them.
    fn put(&self, params: &mut Map<String, Value>);
}

/// A parameter.
pub(super) trait Param {
    /// Its value, where it is written at all; numbers that are not finite become null.
    fn write(&self) -> Option<Value>;
}

/// Writes a parameter.
pub(super) fn put(params: &mut Map<String, Value>, name: &str, param: &impl Param) {
    if let Some(value) = param.write() {
        params.insert(name.into(), value);
    }
}

impl Param for usize {
    fn write(&self) -> Option<Value> {
        Some((*self).into())
    }
}

impl Param for [usize; 2] {
    fn write(&self) -> Option<Value> {
        Some(self.as_slice().into())
    }
}

impl Param for f64 {
    fn write(&self) -> Option<Value> {
        Some((*self).into())
    }
}

impl Param for String {
    fn write(&self) -> Option<Value> {
        Some(self.as_str().into())
    }
}

impl Param for Constants {
    fn write(&self) -> Option<Value> {
        Some(match self {
            Self::One(one) => (*one).into(),
            Self::Each(all) => all.as_slice().into(),
            Self::Learned(tensor) => tensor.as_str().into(),
        })
    }
}

impl Param for Interpolation {
    fn write(&self) -> Option<Value> {
        Some(self.name().into())
    }
}

impl<T: Param> Param for Option<T> {
    fn write(&self) -> Option<Value> {
        self.as_ref()?.write()
    }
}

/// Names the fields of an operation, all of which are parameters; one with a default, `field = value`, may be absent and is then not
/// written.
macro_rules! params {
    ($Op:ident { $($field:ident $(= $default:expr)?),* $(,)? }) => {
        $crate::fields::fields!($Op { $($field $(= $default)?),* });

        impl $crate::graph::ops::params::Params for $Op {
            fn put(&self, _params: &mut serde_json::Map<alloc::string::String, serde_json::Value>) {
                $($crate::graph::ops::params::params!(@put _params, self.$field, $field $(, $default)?);)*
            }
        }
    };
    (@put $params:ident, $value:expr, $field:ident) => {
        $crate::graph::ops::params::put($params, stringify!($field), &$value)
    };
    (@put $params:ident, $value:expr, $field:ident, $default:expr) => {
        if $value != $default {
            $crate::graph::ops::params::put($params, stringify!($field), &$value);
        }
    };
}
pub(super) use params;
