//! What there is to say, without words.

use alloc::{boxed::Box, string::String, string::ToString, vec::Vec};

/// A code, under which a table of each language has a text, and what fills that text's places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Words of small letters with hyphens between.
    pub code: &'static str,
    /// The places of the text by name.
    pub args: Vec<(&'static str, Arg)>,
}

/// What fills a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arg {
    /// A number, a name, or what a library says in words of its own.
    Text(String),
    /// A text that the table has too.
    Message(Box<Message>),
}

impl Message {
    /// A text without places.
    pub fn new(code: &'static str) -> Self {
        Self {
            code,
            args: Vec::new(),
        }
    }

    /// Fills a place.
    #[must_use]
    pub fn with(mut self, place: &'static str, value: &(impl ToString + ?Sized)) -> Self {
        self.args.push((place, Arg::Text(value.to_string())));
        self
    }

    /// Fills a place with another message.
    #[must_use]
    pub fn with_message(mut self, place: &'static str, value: Self) -> Self {
        self.args.push((place, Arg::Message(Box::new(value))));
        self
    }
}
