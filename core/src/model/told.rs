use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::fields::fields;

/// What a user asks of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// The restorer's answer: the mean of all likely images.
    #[default]
    Instant,
    /// One likely image: in one step, in the few of a distilled flow, or in four of the flow.
    Fast,
    /// One likely image, in all the steps of the flow.
    Quality,
}

impl Mode {
    /// Every mode, the quickest first.
    pub const ALL: [Self; 3] = [Self::Instant, Self::Fast, Self::Quality];

    /// As users type it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Instant => "instant",
            Self::Fast => "fast",
            Self::Quality => "quality",
        }
    }

    /// The mode of that [name](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.name() == name)
    }
}

/// How the weights were made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Training {
    /// The command line.
    pub command: String,
    /// Optimiser steps.
    pub steps: u64,
    /// Training images.
    pub images: usize,
}

fields!(Training { command, steps, images; skip });

/// A validation score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The degradation.
    pub protocol: String,
    /// Images averaged over.
    pub images: usize,
    /// Mean PSNR-Y of the network in dB.
    pub psnr_y: f64,
    /// Mean PSNR-Y of bicubic enlargement of the same inputs in dB.
    pub psnr_y_bicubic: f64,
}

fields!(Measured { protocol, images, psnr_y, psnr_y_bicubic; skip });
