use std::sync::{Arc, Mutex};

use asasr_core::{Error, Result};
use wgpu::{
    Adapter, Backends, Device, DeviceDescriptor, DeviceType, Instance, InstanceDescriptor, PowerPreference,
    Queue, RequestAdapterOptions,
};

/// A device and the first fault it reported.
#[derive(Debug, Clone)]
pub struct Gpu {
    pub(crate) device: Device,
    pub(crate) queue: Queue,
    name: String,
    software: bool,
    fault: Arc<Mutex<Option<String>>>,
}

impl Gpu {
    /// Asks for the fastest adapter. One that is software is taken only where `allow_software` says so: a CPU
    /// executor is faster then.
    ///
    /// # Errors
    /// [`Error::Device`] when there is none.
    pub async fn request(allow_software: bool) -> Result<Self> {
        let instance = Instance::new(InstanceDescriptor {
            // GL has no storage buffers worth having; the kernels need compute.
            backends: Backends::PRIMARY,
            ..InstanceDescriptor::new_without_display_handle()
        });
        let options = RequestAdapterOptions {
            power_preference: PowerPreference::HighPerformance,
            ..Default::default()
        };
        let adapter = instance
            .request_adapter(&options)
            .await
            .map_err(|e| Error::Device(format!("there is no GPU that can be used ({e})")))?;
        Self::open(&adapter, allow_software).await
    }

    async fn open(adapter: &Adapter, allow_software: bool) -> Result<Self> {
        let info = adapter.get_info();
        let software = info.device_type == DeviceType::Cpu;
        if software && !allow_software {
            return Err(Error::Device(format!("{} computes in software", info.name)));
        }
        let (device, queue) = adapter
            .request_device(&DeviceDescriptor::default())
            .await
            .map_err(|e| Error::Device(format!("{} cannot be opened ({e})", info.name)))?;
        let fault = Arc::new(Mutex::new(None));
        let note = |fault: &Arc<Mutex<Option<String>>>| {
            let fault = Arc::clone(fault);
            move |why: String| {
                if let Ok(mut slot) = fault.lock() {
                    slot.get_or_insert(why);
                }
            }
        };
        let on_error = note(&fault);
        device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| on_error(e.to_string())));
        let on_lost = note(&fault);
        device
            .set_device_lost_callback(move |reason, why| on_lost(format!("it was lost ({reason:?}: {why})")));
        let name = if info.name.is_empty() {
            "WebGPU".to_owned()
        } else {
            info.name
        };
        Ok(Self {
            device,
            queue,
            name,
            software,
            fault,
        })
    }

    /// The adapter's name; browsers often keep it to themselves.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is a program rather than a chip.
    pub fn is_software(&self) -> bool {
        self.software
    }

    /// # Errors
    /// [`Error::Device`] with the first fault the device reported.
    pub(crate) fn check(&self) -> Result<()> {
        match self.fault.lock() {
            Ok(slot) => slot.clone().map_or(Ok(()), |why| Err(Error::Device(why))),
            Err(_) => Err(Error::Device("its state is unknown".into())),
        }
    }
}
