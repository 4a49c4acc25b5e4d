//! JSON objects read field by field: what an object is made of is [named once](fields), and each kind of object adds little code to
//! the reader, since a page waits for every byte of it. They are written with serde, which a page does not need.

use alloc::{format, string::String, vec::Vec};

use serde_json::{Map, Value};

/// Why something is not what it should be, naming the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misfit(pub String);

impl Misfit {
    /// The value of a field, or one in it, that is not what is read there.
    pub(crate) fn wrong(field: &str, expected: &str) -> Self {
        Self(format!("`{field}` is not {expected}"))
    }

    /// A text that is none of those that are `known`.
    pub(crate) fn unknown(field: &str, text: &str, known: &[&str]) -> Self {
        Self(format!(
            "`{field}` is not {}, but {:?}",
            known.join(" or "),
            start(text)
        ))
    }
}

/// The first characters of a text, as many as are shown.
fn start(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The fields of an object that are still to be read.
pub(crate) struct Fields(Vec<(String, Value)>);

impl Fields {
    fn find(&mut self, name: &str) -> Option<Value> {
        let at = self.0.iter().position(|(n, _)| n == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// The value of a field.
    pub(crate) fn take<T: Field>(&mut self, name: &str) -> Result<T, Misfit> {
        match self.find(name) {
            Some(value) => T::read(value, name),
            None => T::absent().ok_or_else(|| Misfit(format!("`{name}` is missing"))),
        }
    }

    /// The value of a field that need not be there.
    pub(crate) fn take_or<T: Field>(&mut self, name: &str, default: T) -> Result<T, Misfit> {
        match self.find(name) {
            Some(value) => T::read(value, name),
            None => Ok(default),
        }
    }

    /// Leaves the other fields unread.
    pub(crate) fn skip(&mut self) {
        self.0.clear();
    }

    /// What `take` makes of an object's fields, all of which it must read.
    pub(crate) fn of<T>(object: Map<String, Value>, take: Take<T>) -> Result<T, Misfit> {
        let mut fields = Self(object.into_iter().collect());
        let made = take(&mut fields)?;
        fields.done()?;
        Ok(made)
    }

    fn done(&self) -> Result<(), Misfit> {
        self.0.first().map_or(Ok(()), |(name, _)| {
            Err(Misfit(format!("{:?} is not known", start(name))))
        })
    }
}

/// How an object is read.
pub(crate) type Take<T> = fn(&mut Fields) -> Result<T, Misfit>;

/// What is written as an object.
pub(crate) trait Object: Sized {
    /// Takes what it is made of.
    fn take(fields: &mut Fields) -> Result<Self, Misfit>;
}

/// Reads a whole description, an object.
pub(crate) fn from_json<T: Object>(json: &[u8]) -> Result<T, Misfit> {
    Fields::of(object(json)?, T::take)
}

/// The object that `json` is.
pub(crate) fn object(json: &[u8]) -> Result<Map<String, Value>, Misfit> {
    match serde_json::from_slice(json) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Misfit("it is no object".into())),
        Err(e) => Err(Misfit(format!("{e}"))),
    }
}

/// What is written as a field's value.
pub(crate) trait Field: Sized {
    /// Reads the value of the field `name`.
    fn read(value: Value, name: &str) -> Result<Self, Misfit>;

    /// What it is where the field is absent; none where that is a fault.
    fn absent() -> Option<Self> {
        None
    }
}

impl<T: Object> Field for T {
    fn read(value: Value, name: &str) -> Result<Self, Misfit> {
        match value {
            Value::Object(object) => Fields::of(object, T::take),
            _ => Err(Misfit::wrong(name, "an object")),
        }
    }
}

impl Field for u64 {
    fn read(value: Value, name: &str) -> Result<Self, Misfit> {
        let number = value.as_u64();
        number.ok_or_else(|| Misfit::wrong(name, "a whole number in range"))
    }
}

impl Field for usize {
    fn read(value: Value, name: &str) -> Result<Self, Misfit> {
        let number = value.as_u64().and_then(|n| n.try_into().ok());
        number.ok_or_else(|| Misfit::wrong(name, "a whole number in range"))
    }
}

impl Field for u32 {
    fn read(value: Value, name: &str) -> Result<Self, Misfit> {
        let number = value.as_u64().and_then(|n| n.try_into().ok());
        number.ok_or_else(|| Misfit::wrong(name, "a whole number in range"))
    }
}

impl Field for [usize; 2] {
    fn read(value: Value, name: &str) -> Result<Self, Misfit> {
        let numbers = Vec::<usize>::read(value, name)?;
        numbers
            .try_into()
            .map_err(|_| Misfit::wrong(name, "a pair of whole numbers"))
    }
}

impl Field for f64 {
    fn read(value: Value, name: &str) -> Result<Self, Misfit> {
        value.as_f64().ok_or_else(|| Misfit::wrong(name, "a number"))
    }
}

impl Field for f32 {
    fn read(value: Value, name: &str) -> Result<Self, Misfit> {
        f64::read(value, name).map(|x| x as Self)
    }
}

impl Field for String {
    fn read(value: Value, name: &str) -> Result<Self, Misfit> {
        match value {
            Value::String(text) => Ok(text),
            _ => Err(Misfit::wrong(name, "text")),
        }
    }
}

impl<T: Field> Field for Vec<T> {
    fn read(value: Value, name: &str) -> Result<Self, Misfit> {
        match value {
            Value::Array(all) => all.into_iter().map(|value| T::read(value, name)).collect(),
            _ => Err(Misfit::wrong(name, "a list")),
        }
    }
}

impl<T: Field> Field for Option<T> {
    fn read(value: Value, name: &str) -> Result<Self, Misfit> {
        match value {
            Value::Null => Ok(None),
            value => T::read(value, name).map(Some),
        }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl Field for Map<String, Value> {
    fn read(value: Value, name: &str) -> Result<Self, Misfit> {
        match value {
            Value::Object(object) => Ok(object),
            _ => Err(Misfit::wrong(name, "an object")),
        }
    }
}

/// Makes a structure an [`Object`] of its fields, of which one with a default, `field = value`, may be absent; with `; skip` at the
/// end, fields that it does not know are left unread.
macro_rules! fields {
    ($Type:ident { $($field:ident $(= $default:expr)?),* $(; $skip:ident)? }) => {
        impl $crate::fields::Object for $Type {
            fn take(_fields: &mut $crate::fields::Fields) -> core::result::Result<Self, $crate::fields::Misfit> {
                let made = Self { $($field: $crate::fields::fields!(@take _fields, $field $(, $default)?)),* };
                $(_fields.$skip();)?
                Ok(made)
            }
        }
    };
    (@take $fields:ident, $field:ident) => { $fields.take(stringify!($field))? };
    (@take $fields:ident, $field:ident, $default:expr) => { $fields.take_or(stringify!($field), $default)? };
}
pub(crate) use fields;

/// Makes an enumeration of names a [`Field`].
macro_rules! names {
    ($Type:ident { $($name:literal = $Case:ident),* }) => {
        impl $crate::fields::Field for $Type {
            fn read(value: serde_json::Value, name: &str) -> core::result::Result<Self, $crate::fields::Misfit> {
                const KNOWN: &[&str] = &[$($name),*];
                const CASES: &[$Type] = &[$($Type::$Case),*];
                let text = <alloc::string::String as $crate::fields::Field>::read(value, name)?;
                let place = KNOWN.iter().position(|known| *known == text);
                let unknown = || $crate::fields::Misfit::unknown(name, &text, KNOWN);
                place.map(|place| CASES[place]).ok_or_else(unknown)
            }
        }
    };
}
pub(crate) use names;
