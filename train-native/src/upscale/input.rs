//! Images as they are named on the command line: files, pipes and standard input.

use std::fs::{self, File};
use std::io::{self, BufReader, Cursor, IsTerminal as _, Read};
use std::path::{Path, PathBuf};

use asasr_codec::{Header, Options, Picture};

use crate::error::{Error, Result};

/// An image to enlarge, of which no more than the header was read.
#[derive(Debug)]
pub(super) struct Input {
    /// As the user wrote it, for messages and the result's name.
    pub(super) name: PathBuf,
    bytes: Bytes,
    pub(super) header: Header,
    /// Bytes of the file.
    pub(super) size: u64,
}

#[derive(Debug)]
enum Bytes {
    File,
    /// What comes from a pipe can be had only once.
    Held(Vec<u8>),
}

impl Input {
    /// Looks at the input called `name`; `-` is standard input.
    ///
    /// # Errors
    /// What is no image that can be read, or is larger than `options` take, with the reason.
    pub(super) fn open(name: &Path, options: Options) -> Result<Self> {
        let at = |e: io::Error| Error::of(name, &e);
        if name == Path::new("-") {
            if io::stdin().is_terminal() {
                return Err(Error::new(
                    "-: standard input is a terminal: pipe an image into it, or name a file",
                ));
            }
            return Self::held("stdin".into(), io::stdin().lock(), options);
        }
        let metadata = fs::metadata(name).map_err(at)?;
        if metadata.is_dir() {
            return Err(Error::at(
                name,
                "is a folder: add -r to enlarge the images in it, and in the folders in it",
            ));
        }
        if !metadata.is_file() {
            // As a shell's `<(command)`; a pipe among files might be one that nobody ever writes to.
            if is_pipe(&metadata) && ["/dev/", "/proc/"].iter().any(|d| name.starts_with(d)) {
                return Self::held(name.to_path_buf(), File::open(name).map_err(at)?, options);
            }
            return Err(Error::at(
                name,
                "is a pipe or a device, not a file: name - as input and lead it there with <",
            ));
        }
        let file = File::open(name).map_err(at)?;
        let known = asasr_codec::header(BufReader::new(file));
        Ok(Self {
            header: match known {
                Some(header) => checked(name, header, options.max_pixels)?,
                None => measured(name, &fs::read(name).map_err(at)?, options)?,
            },
            name: name.to_path_buf(),
            bytes: Bytes::File,
            size: metadata.len(),
        })
    }

    /// An input that can be read only once.
    fn held(name: PathBuf, from: impl Read, options: Options) -> Result<Self> {
        // Pixels as large as they can be, and room for what is beside them.
        let most = options.max_pixels * 8 + (64 << 20);
        let mut bytes = Vec::new();
        let read = from.take(most + 1).read_to_end(&mut bytes);
        read.map_err(|e| Error::of(&name, &e))?;
        let size = bytes.len() as u64;
        if size > most {
            return Err(Error::at(
                &name,
                format!(
                    "more than {} MB come from there: no image that is taken is as large",
                    most / 1_000_000
                ),
            ));
        }
        let header = match asasr_codec::header(Cursor::new(&bytes)) {
            Some(header) => checked(&name, header, options.max_pixels)?,
            None => measured(&name, &bytes, options)?,
        };
        Ok(Self {
            name,
            bytes: Bytes::Held(bytes),
            header,
            size,
        })
    }

    /// Whether it can be read again.
    pub(super) fn is_file(&self) -> bool {
        matches!(self.bytes, Bytes::File)
    }

    /// Decodes the image.
    pub(super) fn decode(&self, options: Options) -> Result<Picture> {
        match &self.bytes {
            Bytes::Held(bytes) => decoded(&self.name, bytes, options),
            Bytes::File => {
                let bytes = fs::read(&self.name).map_err(|e| Error::of(&self.name, &e))?;
                decoded(&self.name, &bytes, options)
            }
        }
    }
}

fn decoded(name: &Path, bytes: &[u8], options: Options) -> Result<Picture> {
    asasr_codec::decode_with(bytes, options).map_err(|e| {
        use asasr_codec::Error::{CutShort, Truncated};

        let shortened = Options {
            shortened: true,
            ..options
        };
        if matches!(e, CutShort { .. } | Truncated) && asasr_codec::decode_with(bytes, shortened).is_ok() {
            return Error::of(name, &e).with("or add --shortened to take what is there");
        }
        Error::of(name, &e)
    })
}

fn checked(name: &Path, header: Header, max_pixels: u64) -> Result<Header> {
    let Header { width, height, .. } = header;
    if u64::from(width) * u64::from(height) <= max_pixels {
        return Ok(header);
    }
    let too_large = asasr_codec::Error::TooLarge {
        width,
        height,
        max_pixels,
    };
    Err(Error::of(name, &too_large))
}

/// What a header does not tell, decoding does; or why it cannot.
fn measured(name: &Path, bytes: &[u8], options: Options) -> Result<Header> {
    let picture = decoded(name, bytes, options)?;
    Ok(Header {
        width: picture.width() as u32,
        height: picture.height() as u32,
        samples: picture.layout().samples() as u8,
        bits: picture.bits(),
    })
}

#[cfg(unix)]
fn is_pipe(metadata: &fs::Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(&metadata.file_type())
}

#[cfg(not(unix))]
fn is_pipe(_: &fs::Metadata) -> bool {
    false
}
