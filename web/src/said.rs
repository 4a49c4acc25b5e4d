//! Errors and notes on their way into JavaScript: codes, which the page has texts for.

use asasr_core::{Arg, Message};
use js_sys::{Object, Reflect};
use wasm_bindgen::JsValue;

/// What can be told without words.
pub(crate) trait Said {
    fn said(&self) -> Message;
}

impl Said for asasr_core::Error {
    fn said(&self) -> Message {
        self.message()
    }
}

#[cfg(feature = "files")]
impl Said for asasr_codec::Error {
    fn said(&self) -> Message {
        self.message()
    }
}

#[cfg(feature = "models")]
impl Said for asasr_interchange::Error {
    fn said(&self) -> Message {
        self.message()
    }
}

/// A message as scripts have it: `{ code, args }`.
pub(crate) fn object(message: &Message) -> Object {
    let args = Object::new();
    for (place, arg) in &message.args {
        let value = match arg {
            Arg::Text(text) => JsValue::from(text),
            Arg::Message(message) => object(message).into(),
        };
        set(&args, place, &value);
    }
    let said = Object::new();
    set(&said, "code", &message.code.into());
    set(&said, "args", &args);
    said
}

fn set(object: &Object, name: &str, value: &JsValue) {
    // An object of our own takes it.
    let _ = Reflect::set(object, &name.into(), value);
}

/// An error to be thrown that has the code and what fills its text's places; its own message is the code.
pub(crate) fn thrown(error: &impl Said) -> js_sys::Error {
    let message = error.said();
    let thrown = js_sys::Error::new(message.code);
    let said = object(&message);
    for name in ["code", "args"] {
        let value = Reflect::get(&said, &name.into()).unwrap_or_default();
        set(&thrown, name, &value);
    }
    thrown
}

/// The same, as what went wrong in a call.
#[expect(clippy::needless_pass_by_value, reason = "as `map_err` calls it")]
pub(crate) fn js<E: Said>(error: E) -> JsValue {
    thrown(&error).into()
}
