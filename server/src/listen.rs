//! Connections: taken, limited, encrypted, and let end well.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::Body;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tower::ServiceExt as _;
use tracing::{debug, info, warn};

use crate::activity::Activity;
use crate::{Config, Peer, Service, router};

/// Bytes of an answer that wait in the system beyond those under way.
#[cfg(any(target_os = "linux", target_os = "macos"))]
const UNSENT: u32 = 256 << 10;

/// A bound address, before it serves.
pub struct Listening {
    listener: TcpListener,
    tls: Option<Arc<ArcSwap<ServerConfig>>>,
    address: SocketAddr,
}

impl std::fmt::Debug for Listening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listening")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Listening {
    /// # Errors
    /// A sentence that names the address or the file at fault.
    pub async fn bind(config: &Config) -> Result<Self, String> {
        let tls = match (&config.tls_cert, &config.tls_key) {
            (Some(cert), Some(key)) => Some(Arc::new(ArcSwap::from_pointee(tls(cert, key)?))),
            _ => None,
        };
        let listener = bind(config.listen, "--listen").await?;
        let address = listener.local_addr().map_err(|e| e.to_string())?;
        Ok(Self {
            listener,
            tls,
            address,
        })
    }

    /// Where it listens, as a URL with a final slash.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/", self.address)
    }

    /// Reads certificate and key anew when called.
    pub(crate) fn certificates(&self, config: &Config) -> impl Fn() -> Result<(), String> + Send + 'static {
        let (cell, cert, key) = (self.tls.clone(), config.tls_cert.clone(), config.tls_key.clone());
        move || {
            if let (Some(cell), Some(cert), Some(key)) = (&cell, &cert, &key) {
                cell.store(Arc::new(tls(cert, key)?));
            }
            Ok(())
        }
    }

    /// Serves until `stop`, then lets what is under way end within the settings' time.
    pub(crate) async fn serve(self, service: Arc<Service>, config: &Config, stop: impl Future<Output = ()>) {
        let app = router(&service);
        let protocol = protocol(config);
        let places = Arc::new(Semaphore::new(config.connections as usize));
        let graceful = GracefulShutdown::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = &mut stop => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(why) => {
                    // One connection's own failure is not the listener's; being out of files is, and passes.
                    if !matches!(
                        why.kind(),
                        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                    ) {
                        warn!(%why, "no connection can be taken");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    continue;
                }
            };
            let Ok(permit) = Arc::clone(&places).try_acquire_owned() else {
                service.metrics.turn_away("full");
                continue;
            };
            let Some(place) = service.limits.connect(peer.ip()) else {
                service.metrics.turn_away("address");
                continue;
            };
            let _ = stream.set_nodelay(true);
            keep_little(&stream);
            let (service, app, protocol) = (Arc::clone(&service), app.clone(), protocol.clone());
            let tls = self.tls.as_ref().map(|t| TlsAcceptor::from(t.load_full()));
            let (patience, stall) = (config.header_timeout.0, config.stall_timeout.0);
            let watcher = graceful.watcher();
            tokio::spawn(async move {
                service.metrics.connections.inc();
                if let Some(stream) = opened(stream, tls, patience, &service).await {
                    let activity = Arc::new(Activity::new());
                    let watched = Arc::clone(&activity);
                    let answer = tower::service_fn(move |request: axum::http::Request<_>| {
                        let under_way = watched.begin(request.version());
                        let mut request = request.map(Body::new);
                        request.extensions_mut().insert(Peer(peer));
                        let answer = app.clone().oneshot(request);
                        async move { answer.await.map(|a| under_way.watch(a)) }
                    });
                    let mut stream = TimeoutStream::new(stream);
                    stream.set_write_timeout(Some(stall));
                    let io = TokioIo::new(Box::pin(stream));
                    let connection = protocol.serve_connection(io, TowerToHyperService::new(answer));
                    tokio::select! {
                        ended = watcher.watch(connection.into_owned()) => if let Err(why) = ended {
                            debug!(%peer, why, "a connection ended early");
                        },
                        () = activity.ceases(patience, stall) => service.metrics.turn_away("idle"),
                    }
                }
                service.metrics.connections.dec();
                drop((permit, place));
            });
        }
        drop(self.listener);
        let open = graceful.count();
        if open > 0 {
            info!(open, "waiting for connections to end");
        }
        if tokio::time::timeout(config.shutdown_grace.0, graceful.shutdown())
            .await
            .is_err()
        {
            warn!("downloads were cut off: --shutdown-grace is over");
        }
    }
}

pub(crate) async fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener, String> {
    TcpListener::bind(address)
        .await
        .map_err(|e| format!("{address}: {e}: choose another address with {flag}"))
}

/// Plain or decrypted.
trait Stream: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Stream for T {}

async fn opened(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    patience: Duration,
    service: &Service,
) -> Option<Pin<Box<dyn Stream>>> {
    let Some(tls) = tls else {
        return Some(Box::pin(stream));
    };
    match tokio::time::timeout(patience, tls.accept(stream)).await {
        Ok(Ok(stream)) => Some(Box::pin(stream)),
        Ok(Err(why)) => {
            service.metrics.turn_away("handshake");
            debug!(%why, "a TLS handshake failed");
            None
        }
        Err(_) => {
            service.metrics.turn_away("handshake");
            None
        }
    }
}

/// What a client does not take is kept here and not in the system, whose memory for all connections together is soon full.
fn keep_little(stream: &TcpStream) {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    if let Err(why) = socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT) {
        debug!(%why, "the system keeps what it likes");
    }
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    let _ = stream;
}

fn protocol(config: &Config) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout.0)
        .max_buf_size(config.header_bytes as usize)
        .half_close(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(config.header_bytes)
        .max_concurrent_streams(100)
        .max_send_buf_size(64 << 10);
    builder
}

fn tls(cert: &Path, key: &Path) -> Result<ServerConfig, String> {
    let at = |path: &Path, why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| at(cert, &e))?;
    if chain.is_empty() {
        return Err(at(cert, &"no certificate in PEM is in here"));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|e| at(key, &e))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|e| at(cert, &e))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
