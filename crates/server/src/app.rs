//! The running program as one concrete struct: what every request, job and command works with.
//!
//! Built once by [`App::start`], by the server, by the command line and by tests alike; cheap to clone. Owns no
//! rule: it holds the parts and hands them out.

use crate::client::Client;
use crate::config::Config;
use crate::events::EventLog;
use crate::limits::{ConnectionCounter, Gate, LoadGauge, Rule, WindowLimiter};
use crate::middleware::headers;
use crate::middleware::host::Names;
use crate::ops::backoff::AddressBackoff;
use crate::ops::blocks::{self, Abuse};
use crate::ops::budgets::{Budgets, Caps};
use crate::ops::data_keys::DataKeys;
use crate::ops::indexes::Indexes;
use crate::ops::issuers::Issuers;
use crate::ops::key_lookup::IssuedKeys;
use crate::ops::master_key_files::Looks;
use crate::ops::opaque::AccountKeys;
use crate::ops::origins::Origins;
use crate::ops::passwords::Passwords;
use crate::ops::refusals::Refusals;
use crate::ops::sessions::Sessions;
use crate::ops::signing_keys::Source;
use crate::ops::sites::Sites;
use crate::ops::tokens::Tokens;
use crate::ops::trail::Trail;
use crate::ops::trail_webhook::Delivery;
use crate::ops::verified::VerifiedTokens;
use crate::ops::{installation, provider_keys, upstreams};
use crate::realtime::Sockets;
use crate::telemetry::Metrics;
use chatward_egress::{Egress, Reach, SystemResolver};
use chatward_providers::ProviderSet;
use chatward_store::{Engine, Store};
use chatward_types::{
    Clock, Entropy, Environment, Error, Event, EventName, NodeId, Outcome, OwnerId, Result, SessionId, Severity,
    SiteId, SystemClock,
};
use chatward_vault::{SystemEntropy, Vault};
use http::HeaderValue;
use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long answers without a client may take to end.
const ANSWERS_END: Duration = Duration::from_secs(6);

/// The handle; clones share everything.
#[derive(Debug, Clone)]
pub struct App(Arc<Parts>);

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// What the program consists of.
#[derive(Debug)]
pub struct Parts {
    /// The configuration, as loaded.
    pub config: Config,
    /// Stored time, limits and expiry.
    pub clock: Arc<dyn Clock>,
    /// Ids, keys and nonces.
    pub entropy: Arc<dyn Entropy>,
    /// All records.
    pub store: Store,
    /// Sealing and opening.
    pub vault: Vault,
    /// When the master keys' file was looked into for one that was lacking.
    pub master_key_looks: Looks,
    /// Owners' open data keys.
    pub data_keys: DataKeys,
    /// Visitor tokens and session ids.
    pub tokens: Tokens,
    /// The audit trail's keys and reserve.
    pub trail: Trail,
    /// What became of the trail's heads that were sent.
    pub head_delivery: Delivery,
    /// Tokens that were checked before.
    pub verified: VerifiedTokens,
    /// Keys of refresh tokens, invitations and addresses.
    pub account_keys: AccountKeys,
    /// Outside issuers and their keys.
    pub issuers: Issuers,
    /// The pool that hashes passwords.
    pub passwords: Passwords,
    /// Issued keys in use.
    pub issued: IssuedKeys,
    /// Network addresses that failed to log in.
    pub backoff: AddressBackoff,
    /// The file of security events.
    pub events: EventLog,
    /// Counters.
    pub metrics: Metrics,
    /// Requests per address.
    pub limiter: WindowLimiter,
    /// The windows of each group.
    pub rules: Rules,
    /// Requests in flight.
    pub load: Arc<LoadGauge>,
    /// Blocked networks and the lockdown.
    pub gate: Arc<Gate>,
    /// Who is refused how often.
    pub abuse: Abuse,
    /// Open connections.
    pub connections: Arc<ConnectionCounter>,
    /// Open WebSockets.
    pub sockets: Sockets,
    /// Sites by key and id.
    pub sites: Sites,
    /// Sessions in use.
    pub sessions: Sessions,
    /// Open indexes.
    pub indexes: Indexes,
    /// Allowed origins.
    pub origins: Origins,
    /// Refused origins, counted.
    pub refusals: Refusals,
    /// Our own host names.
    pub names: Names,
    /// The way out.
    pub egress: Egress,
    /// Where a crawl may go: public addresses; in the demo its one socket.
    pub crawl_reach: Reach,
    /// Who answers.
    pub providers: ProviderSet,
    /// The providers' keys.
    pub credentials: upstreams::Credentials,
    /// Places for provider calls.
    pub provider_places: Arc<Semaphore>,
    /// Money.
    pub budgets: Budgets,
    /// The tenant of everything that is made here: of the first user and those they invite, and of the command line.
    pub owner: OwnerId,
    /// This process among the nodes.
    pub node: NodeId,
    /// Whether no other node can serve the same sessions (SQLite).
    pub single_node: bool,
    /// When the store last said that it is there.
    pub ready_at: AtomicI64,
    /// Places for requests that read the security log back.
    pub event_reads: Arc<Semaphore>,
    /// Held by the one probe that asks the store.
    pub probing: Semaphore,
    /// Cancelled when no new work is taken.
    pub stopping: CancellationToken,
    /// Cancelled when open answers must end now.
    pub halt: CancellationToken,
    /// Answers and jobs that run apart from their requests.
    pub tasks: TaskTracker,
    /// The policy of our own unframed pages.
    pub page_policy: HeaderValue,
    /// The X-XSS-Protection header, if it is sent.
    pub x_xss_protection: Option<HeaderValue>,
}

/// The windows of each limit group.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The chat API.
    pub chat: Vec<Rule>,
    /// Every other API route.
    pub api: Vec<Rule>,
    /// Pages and files.
    pub files: Vec<Rule>,
    /// Routes that take a password, or a token for another.
    pub sign_in: Vec<Rule>,
    /// New WebSockets.
    pub sockets: Vec<Rule>,
}

/// What differs between the server, the demo, the command line and a test.
#[derive(Debug, Clone)]
pub struct Options {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The demo's one socket, the only private address that a crawl may visit.
    pub sample: Option<SocketAddr>,
    /// Another resolver for outbound names.
    pub resolver: Option<Arc<dyn chatward_egress::Resolve>>,
    /// Whether security events go to the configured file (a command that only reads has no need to).
    pub write_events: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            sample: None,
            resolver: None,
            write_events: true,
        }
    }
}

impl App {
    /// Opens the store, brings it up to date, opens the vault and builds everything else.
    ///
    /// # Errors
    /// With a text for the operator: a database that does not answer, another master key, a bad provider.
    pub async fn start(config: Config, options: Options) -> Result<Self> {
        let Options { clock, entropy, sample, resolver, write_events } = options;
        let vault = installation::open_vault(&config, &entropy)?;
        let resolver = resolver.unwrap_or_else(|| Arc::new(SystemResolver::default()));
        let store = installation::open_store(&config, resolver.as_ref()).await?;
        if installation::check_master_key(&store, &vault).await.is_err() {
            // The key may have been rotated since its file was read.
            vault.replace_ring(installation::open_vault(&config, &entropy)?.ring().as_ref().clone());
            installation::check_master_key(&store, &vault).await?;
        }
        let owner = installation::default_owner(&store, clock.as_ref(), entropy.as_ref()).await?;
        installation::note_master_key(&store, &vault, clock.as_ref()).await?;
        let (users, clock_of, entropy_of) = (config.tokens.algorithm, clock.as_ref(), entropy.as_ref());
        let source = Source { store: &store, vault: &vault, clock: clock_of, entropy: entropy_of, users };
        let tokens = Tokens::load(source).await?;
        let account_keys = AccountKeys::load(source).await?;
        let trail = Trail::load(source).await?;
        let mut egress = Egress::builder().user_agent(config.crawl.user_agent.clone()).resolver(resolver);
        if let Some(socket) = sample {
            egress = egress.exact_socket(socket);
        }
        let egress = egress.build()?;
        let (providers, credentials) = upstreams::build(&config, &egress, &clock)?;
        let budgets = Budgets::new(
            store.clone(),
            Caps {
                site: unsigned(config.budgets.site_daily_micro_usd),
                installation: unsigned(config.budgets.installation_daily_micro_usd),
                warn_at: f64::from(config.budgets.warn_at),
            },
        );
        let metrics =
            Metrics::new(&crate::routes::rows().iter().map(|row| (row.method.as_str(), row.path)).collect::<Vec<_>>());
        let events = if write_events {
            EventLog::start(&config.logging, Arc::clone(&clock))
        } else {
            EventLog::discarding(Arc::clone(&clock))
        };
        let app = Self(Arc::new(Parts {
            limiter: WindowLimiter::new(config.limits.tracked_addresses),
            rules: rules(&config),
            load: Arc::new(LoadGauge::new(config.limits.tighten_above, config.limits.tighten_to)),
            gate: Arc::new(Gate::new(config.server.trusted_proxies.clone(), config.blocks.allowed.clone())),
            abuse: Abuse::new(&config.blocks),
            connections: Arc::new(ConnectionCounter::new()),
            sockets: Sockets::new(&config.sockets),
            account_keys,
            issuers: Issuers::new(&config.issuers),
            passwords: Passwords::new(config.accounts.password_workers),
            issued: IssuedKeys::default(),
            backoff: AddressBackoff::default(),
            master_key_looks: Looks::default(),
            data_keys: DataKeys::default(),
            sites: Sites::default(),
            sessions: Sessions::default(),
            verified: VerifiedTokens::default(),
            indexes: Indexes::default(),
            origins: Origins::new(
                &config.public_url.origin().ascii_serialization(),
                &other_names(&config),
                &config.cors.allowed_origins,
            ),
            refusals: Refusals::default(),
            names: names(&config),
            crawl_reach: sample.map_or(Reach::Public, Reach::Exact),
            provider_places: Arc::new(Semaphore::new(config.budgets.concurrent_calls)),
            node: NodeId::generate(clock.as_ref(), entropy.as_ref())?,
            single_node: store.engine() == Engine::Sqlite,
            ready_at: AtomicI64::new(i64::MIN),
            head_delivery: Delivery::default(),
            event_reads: Arc::new(Semaphore::new(2)),
            probing: Semaphore::new(1),
            stopping: CancellationToken::new(),
            halt: CancellationToken::new(),
            tasks: TaskTracker::new(),
            page_policy: page_policy(),
            x_xss_protection: config
                .headers
                .x_xss_protection
                .as_deref()
                .and_then(|text| HeaderValue::from_str(text).ok()),
            clock,
            entropy,
            store,
            vault,
            tokens,
            trail,
            events,
            metrics,
            egress,
            providers,
            credentials,
            budgets,
            owner,
            config,
        }));
        app.metrics.watch_events(&app.events);
        crate::ops::sites::refresh_origins(&app).await?;
        blocks::refresh(&app).await?;
        provider_keys::load(&app).await?;
        Ok(app)
    }

    /// What signing keys are made of and opened with.
    pub fn signing_source(&self) -> Source<'_> {
        Source {
            store: &self.store,
            vault: &self.vault,
            clock: self.clock.as_ref(),
            entropy: self.entropy.as_ref(),
            users: self.config.tokens.algorithm,
        }
    }

    /// Begins a security event; nothing is written before [`EventBuilder::emit`].
    pub fn event(&self, name: EventName, severity: Severity, outcome: Outcome) -> EventBuilder<'_> {
        EventBuilder { log: &self.events, event: Event::new(self.clock.now(), name, severity, outcome) }
    }

    /// Ends what still runs, gives money back and closes the store; the listeners have stopped before. Nothing that
    /// was acknowledged is lost: it was committed before.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
        // Whoever is left has no client any more and ends within its grace.
        if tokio::time::timeout(ANSWERS_END, self.tasks.wait()).await.is_err() {
            self.halt.cancel();
            let _ = tokio::time::timeout(ANSWERS_END, self.tasks.wait()).await;
        }
        self.halt.cancel();
        if let Err(error) = self.budgets.give_back(i64::MAX).await {
            tracing::warn!(source = error.source_line(), "open slices of the budget stay taken until the day ends");
        }
        if let Err(error) = crate::ops::refusals::flush(self).await {
            tracing::warn!(source = error.source_line(), "the last refused origins are not in the owners' lists");
        }
        if let Err(error) = crate::ops::key_lookup::flush_uses(self).await {
            tracing::warn!(source = error.source_line(), "the last uses of issued keys are not noted");
        }
        if let Err(error) = crate::ops::trail::flush_reserve(self).await {
            let lost = self.trail.waiting();
            tracing::error!(
                source = error.source_line(),
                lost,
                "records of the audit trail are lost; see the security log"
            );
        }
        let _ = self.store.remove_node(self.node).await;
        crate::jobs::tell_administrative_reads(self);
        self.event(EventName::ServerLifecycle, Severity::Info, Outcome::Success).detail("stopped").emit();
        self.events.flush(Duration::from_secs(3)).await;
        self.store.close().await;
    }
}

/// A security event in the making.
#[derive(Debug)]
#[must_use = "an event is written by `emit`"]
pub struct EventBuilder<'a> {
    log: &'a EventLog,
    event: Event,
}

impl EventBuilder<'_> {
    /// The client whose request it was.
    pub fn of(mut self, client: &Client) -> Self {
        self.event.request_id = Some(client.request_id.as_ref().into());
        self.event.address = Some(client.address);
        self.event.user_agent = client.user_agent.as_deref().map(Into::into);
        self.event.path = client.path;
        self
    }

    /// The tenant concerned.
    pub fn owner(mut self, owner: OwnerId) -> Self {
        self.event.owner = Some(owner);
        self
    }

    /// The tenant concerned, where it is known.
    pub fn owner_if_known(mut self, owner: Option<OwnerId>) -> Self {
        self.event.owner = owner;
        self
    }

    /// The site concerned, and whose it is: the event stays theirs when the site is gone.
    pub fn site(mut self, owner: OwnerId, site: SiteId) -> Self {
        self.event.owner = Some(owner);
        self.event.site = Some(site);
        self
    }

    /// The session concerned.
    pub fn session(mut self, session: &SessionId) -> Self {
        self.event.session = Some(session.clone());
        self
    }

    /// An explanation in our own words; never content, a token or a key.
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.event.detail = Some(detail.into());
        self
    }

    /// Hands it to the log, which never blocks.
    pub fn emit(self) {
        self.log.emit(self.event);
    }
}

fn rules(config: &Config) -> Rules {
    let limits = &config.limits;
    let api = Rule { limit: limits.api_requests, window_seconds: limits.api_window_seconds };
    Rules {
        chat: vec![
            Rule { limit: limits.per_minute, window_seconds: 60 },
            Rule { limit: limits.per_hour, window_seconds: 3600 },
        ],
        // One page of ours loads about ten files, so a person who opens many pages is no flood yet.
        files: vec![Rule { limit: api.limit.saturating_mul(10), ..api }],
        api: vec![api],
        sign_in: vec![Rule { limit: limits.sign_in_per_minute, window_seconds: 60 }],
        sockets: vec![Rule { limit: limits.sockets_per_minute, window_seconds: 60 }],
    }
}

/// Other origins of our own pages. On a developer's machine the address that is listened on is as good as `localhost`;
/// in production there are none.
fn other_names(config: &Config) -> Vec<String> {
    if config.environment == Environment::Production {
        return Vec::new();
    }
    let listen = config.server.listen;
    vec![format!("http://{listen}"), format!("http://localhost:{}", listen.port())]
}

fn names(config: &Config) -> Names {
    let public = config.public_url.host().map(|host| host.to_string());
    let configured = config.server.hosts.iter().map(|name| match name.parse::<std::net::Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => name.clone(),
    });
    Names::new(public.into_iter().chain(configured))
}

fn page_policy() -> HeaderValue {
    let text = headers::framed_by(std::iter::empty());
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

fn unsigned(amount: i64) -> u64 {
    u64::try_from(amount).unwrap_or(0)
}

/// An operator's mistake: one line that names the setting and the fix.
pub fn setting_error(setting: &str, fix: &str) -> Error {
    Error::new(chatward_types::Kind::Invalid, "configuration", format!("{setting}: {fix}"))
}
