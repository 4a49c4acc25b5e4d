//! The part of Python's pickle that weights are made of.
//!
//! A pickle is a program for a stack machine (Python's `pickletools` documents it) that may name and call anything. Here it can name only what [`GLOBALS`] lists, and
//! nothing is called: tensors are described by data. Every other name ends the reading, before anything else is done.

use crate::{Error, Result};

/// Where a value lies in a [`Pickle`].
pub(crate) type At = usize;

/// What a pickle may name: tensors' parts, and the dictionary that keeps its order.
const GLOBALS: [(&str, &str, Global); 21] = [
    ("collections", "OrderedDict", Global::Dict),
    ("torch._utils", "_rebuild_tensor_v2", Global::Tensor),
    ("torch._utils", "_rebuild_tensor", Global::Tensor),
    ("torch._utils", "_rebuild_parameter", Global::Parameter),
    ("torch", "Size", Global::Size),
    ("torch", "FloatStorage", Global::Type(Type::F32)),
    ("torch", "HalfStorage", Global::Type(Type::F16)),
    ("torch", "BFloat16Storage", Global::Type(Type::Bf16)),
    ("torch", "DoubleStorage", Global::Type(Type::F64)),
    ("torch", "IntStorage", Global::Type(Type::I32)),
    ("torch", "LongStorage", Global::Type(Type::I64)),
    ("torch.cuda", "FloatStorage", Global::Type(Type::F32)),
    ("torch.cuda", "HalfStorage", Global::Type(Type::F16)),
    ("torch.cuda", "BFloat16Storage", Global::Type(Type::Bf16)),
    ("torch.cuda", "DoubleStorage", Global::Type(Type::F64)),
    ("torch.cuda", "IntStorage", Global::Type(Type::I32)),
    ("torch.cuda", "LongStorage", Global::Type(Type::I64)),
    // Names of types in files of tar archives.
    ("torch", "FloatTensor", Global::Type(Type::F32)),
    ("torch", "HalfTensor", Global::Type(Type::F16)),
    ("torch", "DoubleTensor", Global::Type(Type::F64)),
    ("torch", "LongTensor", Global::Type(Type::I64)),
];

/// Most values of a pickle: networks of thousands of tensors have some ten for each, and a value takes far more memory than its byte.
const PARTS: usize = 1 << 21;

/// The type of a storage's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    F16,
    Bf16,
    F32,
    F64,
    I32,
    I64,
}

impl Type {
    /// Bytes of a number.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::F32 | Self::I32 => 4,
            Self::F64 | Self::I64 => 8,
        }
    }

    /// Whether it holds weights; counters and indices are whole numbers.
    pub(crate) fn is_real(self) -> bool {
        !matches!(self, Self::I32 | Self::I64)
    }
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Global {
    Dict,
    Tensor,
    Parameter,
    Size,
    Type(Type),
}

/// A value of a pickle. Parts are places in it, for one may be part of many.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    None,
    Bool,
    Int(i64),
    Number,
    Text(String),
    /// A tuple or a list.
    Sequence(Vec<At>),
    Dict(Vec<(At, At)>),
    Global(Global),
    /// What the file keeps elsewhere, by the value that names it.
    Persistent(At),
    /// A view of a storage: `[storage, offset, size, stride]`.
    Tensor([At; 4]),
}

/// A pickle that was read.
#[derive(Debug)]
pub(crate) struct Pickle {
    values: Vec<Value>,
    /// What it is.
    pub(crate) root: At,
    /// Where it ends in the bytes.
    pub(crate) end: usize,
}

impl Pickle {
    pub(crate) fn value(&self, at: At) -> &Value {
        &self.values[at]
    }

    /// Every value that the file keeps elsewhere.
    pub(crate) fn persistent(&self) -> impl Iterator<Item = At> {
        let values = self.values.iter().enumerate();
        values.filter_map(|(at, value)| matches!(value, Value::Persistent(_)).then_some(at))
    }

    /// A whole number from 0.
    pub(crate) fn count(&self, at: At) -> Result<usize> {
        match self.value(at) {
            Value::Int(n) => usize::try_from(*n).map_err(|_| Error::damaged("a size is negative")),
            _ => Err(Error::damaged("a size is no number")),
        }
    }

    /// A tuple or a list.
    pub(crate) fn sequence(&self, at: At) -> Result<&[At]> {
        match self.value(at) {
            Value::Sequence(parts) => Ok(parts),
            _ => Err(Error::damaged("a list is missing")),
        }
    }

    /// A text, or the digits of a number: both are used as keys.
    pub(crate) fn key(&self, at: At) -> Result<String> {
        match self.value(at) {
            Value::Text(text) => Ok(text.clone()),
            Value::Int(n) => Ok(n.to_string()),
            _ => Err(Error::damaged("a name is no text")),
        }
    }
}

/// Reads one pickle at the beginning of `bytes`.
///
/// # Errors
/// [`Error::Unsafe`] for a name that is none of ours or for what calls objects, [`Error::CutShort`], [`Error::Damaged`].
pub(crate) fn read(bytes: &[u8]) -> Result<Pickle> {
    let mut machine = Machine {
        bytes,
        at: 0,
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: Vec::new(),
        copied: 0,
    };
    while machine.step()? {
        let held = [
            machine.values.len(),
            machine.stack.len(),
            machine.marks.len(),
            machine.memo.len(),
        ];
        if held.into_iter().any(|n| n > PARTS) {
            return Err(Error::TooLarge(
                "its description has more than two million parts".into(),
            ));
        }
    }
    let root = machine.pop()?;
    Ok(Pickle {
        values: machine.values,
        root,
        end: machine.at,
    })
}

/// The stack machine. Each step makes one value at most, so that what it holds is bounded by the bytes that it reads.
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<At>,
    marks: Vec<usize>,
    memo: Vec<At>,
    /// Pairs that dictionaries were given by a call, which may be the same again and again.
    copied: usize,
}

impl<'a> Machine<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(n).ok_or(Error::CutShort)?;
        let part = self.bytes.get(self.at..end).ok_or(Error::CutShort)?;
        self.at = end;
        Ok(part)
    }

    /// A number of `n` bytes, the least first.
    fn unsigned(&mut self, n: usize) -> Result<usize> {
        let bytes = self.take(n)?;
        let number = bytes.iter().rev().try_fold(0usize, |all, b| {
            all.checked_mul(256).map(|all| all | usize::from(*b))
        });
        number.ok_or(Error::CutShort)
    }

    fn line(&mut self) -> Result<String> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|b| *b == b'\n').ok_or(Error::CutShort)?;
        let line = text(self.take(end)?)?;
        self.at += 1;
        Ok(line)
    }

    fn push(&mut self, value: Value) {
        self.values.push(value);
        self.stack.push(self.values.len() - 1);
    }

    fn pop(&mut self) -> Result<At> {
        // What lies under a mark is not taken without it.
        let least = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= least {
            return Err(Error::damaged("the pickle takes what is not there"));
        }
        self.stack.pop().ok_or(Error::CutShort)
    }

    fn top(&self) -> Result<At> {
        let top = self.stack.last().copied();
        top.ok_or_else(|| Error::damaged("the pickle takes what is not there"))
    }

    fn above_mark(&mut self) -> Result<Vec<At>> {
        let mark = self
            .marks
            .pop()
            .ok_or_else(|| Error::damaged("the pickle has no mark"))?;
        Ok(self.stack.split_off(mark))
    }

    fn tuple(&mut self, n: usize) -> Result<()> {
        let mut parts = Vec::new();
        for _ in 0..n {
            parts.push(self.pop()?);
        }
        parts.reverse();
        self.push(Value::Sequence(parts));
        Ok(())
    }

    fn recall(&mut self, at: usize) -> Result<()> {
        let value = self.memo.get(at).copied();
        let value = value.ok_or_else(|| Error::damaged("the pickle recalls what it never kept"))?;
        self.stack.push(value);
        Ok(())
    }

    fn keep(&mut self, at: usize) -> Result<()> {
        // Writers count up; what is kept elsewhere would let a file claim memory.
        if at > self.memo.len() {
            return Err(Error::damaged("the pickle keeps values out of order"));
        }
        let value = self.top()?;
        if at == self.memo.len() {
            self.memo.push(value);
        } else {
            self.memo[at] = value;
        }
        Ok(())
    }

    fn name(&mut self, module: &str, name: &str) -> Result<()> {
        let known = GLOBALS.iter().find(|(m, n, _)| (*m, *n) == (module, name));
        if known.is_none() && module == "torch" && name.ends_with("Storage") {
            let (tensor, is) = ("of the file".into(), name.trim_end_matches("Storage").into());
            return Err(Error::Type { tensor, is });
        }
        let (_, _, global) = known.ok_or_else(|| Error::Unsafe(format!("{module}.{name}")))?;
        self.push(Value::Global(*global));
        Ok(())
    }

    fn append(&mut self, to: At, mut more: Vec<At>) -> Result<()> {
        match &mut self.values[to] {
            Value::Sequence(parts) => parts.append(&mut more),
            _ => return Err(Error::damaged("the pickle adds to what is no list")),
        }
        Ok(())
    }

    fn set(&mut self, to: At, items: &[At]) -> Result<()> {
        let (pairs, rest) = items.as_chunks();
        match &mut self.values[to] {
            Value::Dict(own) if rest.is_empty() => {
                own.extend(pairs.iter().map(|[key, value]| (*key, *value)));
            }
            _ => return Err(Error::damaged("the pickle sets what is no dictionary")),
        }
        Ok(())
    }

    /// What a call stands for: nothing is called.
    fn reduce(&mut self) -> Result<()> {
        let (args, callable) = (self.pop()?, self.pop()?);
        // No call that is known reads more of them.
        let parts: Vec<At> = match &self.values[args] {
            Value::Sequence(parts) => parts.iter().take(6).copied().collect(),
            _ => return Err(Error::damaged("the pickle calls without arguments")),
        };
        let made = match (&self.values[callable], parts.as_slice()) {
            (Value::Global(Global::Dict), []) => Value::Dict(Vec::new()),
            // Pairs, as the first Pythons wrote it.
            (Value::Global(Global::Dict), [items]) => {
                let pair = |at: &At| match &self.values[*at] {
                    Value::Sequence(pair) => <[At; 2]>::try_from(pair.as_slice()).ok().map(|[k, v]| (k, v)),
                    _ => None,
                };
                let items = match &self.values[*items] {
                    Value::Sequence(items) => items.iter().map(pair).collect::<Option<Vec<_>>>(),
                    _ => None,
                };
                let items = items.ok_or_else(|| Error::damaged("a dictionary has no pairs"))?;
                self.copied += items.len();
                if self.copied > self.bytes.len() {
                    return Err(Error::damaged("a dictionary is made too often"));
                }
                Value::Dict(items)
            }
            (Value::Global(Global::Tensor), [storage, offset, size, stride, ..]) => {
                Value::Tensor([*storage, *offset, *size, *stride])
            }
            (Value::Global(Global::Parameter), [tensor, ..]) => {
                self.stack.push(*tensor);
                return Ok(());
            }
            (Value::Global(Global::Size), [sides]) => {
                self.stack.push(*sides);
                return Ok(());
            }
            (Value::Global(_), _) => return Err(Error::damaged("the pickle builds no tensor")),
            _ => return Err(Error::Unsafe("a call".into())),
        };
        self.push(made);
        Ok(())
    }

    /// One step; false at the end.
    #[expect(clippy::too_many_lines, reason = "a line or two for each code")]
    fn step(&mut self) -> Result<bool> {
        let code = self.take(1)?[0];
        match code {
            b'.' => return Ok(false),
            // The protocol, and frames.
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'N' => self.push(Value::None),
            0x88 | 0x89 => self.push(Value::Bool),
            b'K' => self.integer(1)?,
            b'M' => self.integer(2)?,
            b'J' => {
                let bytes = self.take(4)?;
                let bytes = <[u8; 4]>::try_from(bytes).map_err(|_| Error::CutShort)?;
                self.push(Value::Int(i32::from_le_bytes(bytes).into()));
            }
            0x8a => {
                let n = self.unsigned(1)?;
                self.long(n)?;
            }
            0x8b => {
                let n = self.unsigned(4)?;
                self.long(n)?;
            }
            b'I' | b'L' => {
                let line = self.line()?;
                let digits = line.trim_end_matches('L');
                let value = match digits {
                    "00" | "01" if code == b'I' => Value::Bool,
                    _ => Value::Int(digits.parse().map_err(|_| Error::damaged("a number is none"))?),
                };
                self.push(value);
            }
            b'G' => {
                self.take(8)?;
                self.push(Value::Number);
            }
            b'F' => {
                self.line()?;
                self.push(Value::Number);
            }
            b'U' | b'C' | 0x8c => self.text(1)?,
            b'T' | b'B' | b'X' => self.text(4)?,
            0x8d | 0x8e => self.text(8)?,
            b'V' | b'S' => {
                let line = self.line()?;
                self.push(Value::Text(line.trim_matches(['\'', '"']).into()));
            }
            b')' | b']' => self.push(Value::Sequence(Vec::new())),
            b'}' => self.push(Value::Dict(Vec::new())),
            b't' | b'l' => {
                let parts = self.above_mark()?;
                self.push(Value::Sequence(parts));
            }
            b'd' => {
                let items = self.above_mark()?;
                self.push(Value::Dict(Vec::new()));
                let to = self.top()?;
                self.set(to, &items)?;
            }
            0x85..=0x87 => self.tuple(usize::from(code - 0x84))?,
            b'a' => {
                let value = self.pop()?;
                let to = self.top()?;
                self.append(to, vec![value])?;
            }
            b'e' => {
                let more = self.above_mark()?;
                let to = self.top()?;
                self.append(to, more)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                let to = self.top()?;
                self.set(to, &[key, value])?;
            }
            b'u' => {
                let items = self.above_mark()?;
                let to = self.top()?;
                self.set(to, &items)?;
            }
            b'0' => drop(self.pop()?),
            b'1' => drop(self.above_mark()?),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            b'q' => {
                let at = self.unsigned(1)?;
                self.keep(at)?;
            }
            b'r' => {
                let at = self.unsigned(4)?;
                self.keep(at)?;
            }
            0x94 => self.keep(self.memo.len())?,
            b'h' => {
                let at = self.unsigned(1)?;
                self.recall(at)?;
            }
            b'j' => {
                let at = self.unsigned(4)?;
                self.recall(at)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.name(&module, &name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (&self.values[module], &self.values[name]) {
                    (Value::Text(module), Value::Text(name)) => {
                        let (module, name) = (module.clone(), name.clone());
                        self.name(&module, &name)?;
                    }
                    _ => return Err(Error::damaged("a name is no text")),
                }
            }
            b'Q' => {
                let of = self.pop()?;
                self.push(Value::Persistent(of));
            }
            b'R' => self.reduce()?,
            // Attributes of a dictionary, which PyTorch keeps its own notes in.
            b'b' => {
                self.pop()?;
                if !matches!(self.values[self.top()?], Value::Dict(_)) {
                    return Err(Error::Unsafe("an object".into()));
                }
            }
            b'i' => {
                let (module, name) = (self.line()?, self.line()?);
                return Err(Error::Unsafe(format!("{module}.{name}")));
            }
            b'o' | 0x81 | 0x92 => return Err(Error::Unsafe("an object".into())),
            b'P' => return Err(Error::Unsafe("an object by name".into())),
            0x82..=0x84 => return Err(Error::Unsafe("an extension".into())),
            other => return Err(Error::damaged(format!("the pickle has the code {other:#04x}"))),
        }
        Ok(true)
    }

    fn integer(&mut self, bytes: usize) -> Result<()> {
        let number = self.unsigned(bytes)?;
        self.push(Value::Int(number as i64));
        Ok(())
    }

    /// A number of so many bytes; those beyond 64 bits are no sizes and stand for themselves.
    fn long(&mut self, n: usize) -> Result<()> {
        let bytes = self.take(n)?;
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let value = if n > 8 {
            Value::Number
        } else {
            let mut whole = [if negative { 0xff } else { 0 }; 8];
            whole[..n].copy_from_slice(bytes);
            Value::Int(i64::from_le_bytes(whole))
        };
        self.push(value);
        Ok(())
    }

    fn text(&mut self, of: usize) -> Result<()> {
        let n = self.unsigned(of)?;
        let bytes = self.take(n)?;
        // Bytes that are no text name nothing.
        self.push(text(bytes).map_or(Value::Number, Value::Text));
        Ok(())
    }
}

fn text(bytes: &[u8]) -> Result<String> {
    let text = str::from_utf8(bytes).map_err(|_| Error::damaged("a name is no text"))?;
    Ok(text.into())
}
