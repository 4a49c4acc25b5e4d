use crate::ReleaseId;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong with a store, named after the input at fault and how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address names no storage.
    #[error("{place}: {why}")]
    Place {
        /// As it was given.
        place: String,
        /// What is wrong with it, and what would be right.
        why: String,
    },
    /// The storage did not do what it was asked for.
    #[error(
        "the storage failed on {object}: {source}: look at its address, and at its keys in the environment (AWS_..., GOOGLE_..., AZURE_...)"
    )]
    Storage {
        /// The object's path in the store.
        object: String,
        /// The storage's own words.
        source: object_store::Error,
    },
    /// The storage gave no answer in time.
    #[error(
        "the storage gave no answer about {object} within {seconds} s: try again, and look whether it can be reached"
    )]
    Slow {
        /// The object's path in the store.
        object: String,
        /// How long was waited.
        seconds: u64,
    },
    /// An object is not there.
    #[error(
        "{object} is not in the store: `asasr weights verify` lists what is missing; publish the model again"
    )]
    Missing {
        /// The object's path in the store.
        object: String,
    },
    /// An object is not what its name says.
    #[error("{object} is damaged: {why}: publish the model again")]
    Damaged {
        /// The object's path in the store.
        object: String,
        /// What is wrong with it.
        why: String,
    },
    /// A model that cannot be published.
    #[error("{place}: {why}")]
    Package {
        /// The file at fault.
        place: String,
        /// What is wrong with it.
        why: String,
    },
    /// Another publisher took the number first.
    #[error(
        "{0} was published meanwhile by someone else: look at it with `asasr weights list`, then publish again"
    )]
    Raced(ReleaseId),
    /// There is no such model or release.
    #[error("{wanted} is not in the store; it has {there}")]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// What is there.
        there: String,
    },
    /// A release that stays cannot be read, so that nobody knows what it needs.
    #[error("{release} cannot be read, so nothing was deleted ({why}); a smaller --keep leaves it out")]
    Unswept {
        /// Which one.
        release: ReleaseId,
        /// What is wrong with it.
        why: String,
    },
    /// A key that is none.
    #[error("the key {which} is not usable: {why}")]
    Key {
        /// Where it comes from.
        which: String,
        /// What is wrong with it.
        why: String,
    },
    /// A manifest without the signature that the key asks for.
    #[error(
        "the manifest of {model} is not signed with the public key in use: sign it with `asasr weights sign`"
    )]
    Unsigned {
        /// The model or release.
        model: String,
    },
}
