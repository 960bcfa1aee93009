//! `chatward serve`: binds, starts the app and its jobs, serves until it is told to stop.

use super::{Common, Failure, Outcome, print};
use crate::app::{App, Options, setting_error};
use crate::config::Config;
use crate::listen::{self, Door, ListenSettings};
use crate::ops::{rotation, setup, upstreams};
use crate::{admin, jobs, routes};
use chatward_types::{EventName, Outcome as EventOutcome, Severity};
use clap::Args;
use std::fs::File;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

/// How to serve.
#[derive(Debug, Args)]
pub(super) struct ServeArguments {
    /// The address and port to listen on (port 0 picks a free one); wins over the configuration
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
}

pub(super) async fn run(common: &Common, arguments: ServeArguments) -> Outcome {
    let config = common.load(arguments.listen)?;
    crate::telemetry::start(&config.logging);
    for warning in config.warnings() {
        tracing::warn!(warning = warning.as_str(), "configuration");
    }
    let running = Running::start(config, Options::default()).await?;
    // Before anybody is told that it runs: whoever stops it from then on must not cut answers off.
    let stop = Stop::listen()?;
    offer_setup(common, &running).await?;
    if common.json {
        print::json(&serde_json::json!({ "listening": running.address_text() }));
    } else {
        print::line(&format!("Chatward listens on {}", running.address_text()));
        if let Some(admin) = running.admin_address {
            print::line(&format!("metrics     http://{admin}/metrics"));
        }
    }
    stop.wait().await;
    running.stop().await;
    Ok(())
}

/// Shows the set-up token to whoever sits at the terminal; where nobody does, it goes to a file that only the server's user
/// may read, since standard output is kept in logs.
async fn offer_setup(common: &Common, running: &Running) -> Outcome {
    let app = &running.app;
    let token = setup::prepare(app).await?;
    setup::remove_file(app);
    let Some(token) = token else { return Ok(()) };
    if std::io::stdout().is_terminal() && !common.json {
        print::line("There is no user yet. Whoever has this token becomes the first one, within an hour and once:");
        print::line(&format!("  {}", token.expose()));
        print::line(&format!("  POST {}/api/v1/auth/setup", running.address_text()));
    } else {
        let file = setup::write_file(app, &token)?;
        tracing::info!(file = %file.display(), "there is no user yet; the set-up token is in the file, for an hour");
    }
    Ok(())
}

/// A server that runs: the app, its listeners and its jobs.
pub(super) struct Running {
    pub(super) app: App,
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
    listeners: Vec<JoinHandle<()>>,
    jobs: JoinHandle<()>,
    /// Held as long as the server lives: one server for one SQLite database.
    _lock: Option<File>,
}

impl Running {
    /// Binds, opens and serves. When this returns, requests are answered.
    pub(super) async fn start(config: Config, options: Options) -> Result<Self, Failure> {
        // Before anything is bound or made: a placeholder in the place of a key is the commonest first mistake.
        upstreams::check(&config)?;
        let listener = bind("server.listen", config.server.listen).await?;
        let address = listener.local_addr().map_err(chatward_types::Error::from)?;
        let config = config.bound_to(address);
        let admin_listener = match config.admin.listen {
            Some(wanted) => Some(bind("admin.listen", wanted).await?),
            None => None,
        };
        let lock = lock_data(&config)?;
        let settings = listen_settings(&config);
        let app = App::start(config, options).await?;
        let mut listeners = Vec::new();
        let mut admin_address = None;
        if let Some(listener) = admin_listener {
            admin_address = listener.local_addr().ok();
            listeners.push(serve(&app, listener, admin::router(&app), settings.clone()));
        }
        let door = Some(Door { gate: Arc::clone(&app.gate), clock: Arc::clone(&app.clock) });
        listeners.push(serve(&app, listener, routes::router(&app), ListenSettings { door, ..settings }));
        if let Some(late) = rotation::overdue(&app).await? {
            tracing::warn!(rings = late.as_str(), "signing keys are overdue; run: chatward secret rotate all");
        }
        if rotation::ages(&app).await?.iter().any(|age| age.overdue && age.purpose == rotation::MASTER) {
            tracing::warn!("the master key is overdue; run: chatward secret rotate master");
        }
        let jobs = tokio::spawn(jobs::run(app.clone()));
        app.event(EventName::ServerLifecycle, Severity::Info, EventOutcome::Success).detail("started").emit();
        Ok(Self { app, address, admin_address, listeners, jobs, _lock: lock })
    }

    /// The address as a URL.
    pub(super) fn address_text(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Refuses new work, lets streams end within the limit, tells those that do not, and closes everything.
    pub(super) async fn stop(self) {
        self.app.stopping.cancel();
        let halt = self.app.halt.clone();
        // Before the connections are cut at the deadline, open answers end with an event that says so.
        let last_words = self.app.config.server.drain_deadline.mul_f32(0.8);
        let telling = tokio::spawn(async move {
            tokio::time::sleep(last_words).await;
            halt.cancel();
        });
        for listener in self.listeners {
            let _ = listener.await;
        }
        telling.abort();
        let _ = self.jobs.await;
        self.app.stop().await;
        crate::telemetry::flush(Duration::from_secs(1));
    }
}

fn serve(app: &App, listener: TcpListener, router: axum::Router, settings: ListenSettings) -> JoinHandle<()> {
    let connections = Arc::clone(&app.connections);
    let stopping = app.stopping.clone();
    tokio::spawn(async move {
        listen::serve(listener, router, settings, connections, stopping).await;
    })
}

/// SIGTERM and SIGINT, which no longer end the process by themselves once this exists.
pub(super) struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    /// Listens from now on; a signal that comes before the wait ends the wait.
    pub(super) fn listen() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::Failed(format!("signals cannot be received: {error}"));
        let terminate = signal(SignalKind::terminate()).map_err(failed)?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt()).map_err(failed)? })
    }

    /// Waits for one of them.
    pub(super) async fn wait(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        tracing::info!("stopping: no new work is taken, open answers may end");
    }
}

async fn bind(setting: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let text = format!("cannot listen on {address} ({error}); choose another address or port, or 0 for a free one");
        Failure::from(setting_error(setting, &text))
    })
}

/// Two servers on one SQLite file would each trust their own copy of the sessions; the second is refused.
fn lock_data(config: &Config) -> Result<Option<File>, Failure> {
    if !config.database.url.expose().starts_with("sqlite:") {
        return Ok(None);
    }
    std::fs::create_dir_all(&config.data_dir).map_err(chatward_types::Error::from)?;
    let file = File::create(config.data_dir.join("serve.lock")).map_err(chatward_types::Error::from)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(_) => Err(Failure::Failed(
            "another server already runs on this data folder; stop it, choose another --data, or use PostgreSQL for several"
                .to_owned(),
        )),
    }
}

fn listen_settings(config: &Config) -> ListenSettings {
    let server = &config.server;
    ListenSettings {
        header_timeout: server.header_timeout,
        idle_timeout: server.idle_timeout,
        max_connections: server.max_connections,
        max_connections_per_address: server.max_connections_per_address,
        drain_deadline: server.drain_deadline,
        trusted_peers: server.trusted_proxies.clone(),
        ..ListenSettings::default()
    }
}
