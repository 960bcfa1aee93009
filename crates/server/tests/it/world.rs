//! A whole server for a test: real listener, real store on either engine, a clock that the test moves, and a site
//! that knows three pages. Actions go through HTTP; only the set-up touches ops and the store.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::people::PASSWORD;
use bytes::Bytes;
use chatward::app::{App, Options};
use chatward::config::{Config, Overrides};
use chatward::listen::{self, Door, ListenSettings};
use chatward::ops::sites;
use chatward::{admin, routes};
use chatward_knowledge::{IndexBuilder, Language};
use chatward_store::{ChunkRow, Engine, PageRow, SiteRow};
use chatward_testkit::{FakeClock, TestDb};
use chatward_types::{KeyScope, PageId, Scope};
use chatward_vault::SystemEntropy;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// No test waits longer than this for what it expects.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// The origin of the test's site.
pub(crate) const SHOP: &str = "http://shop.test";
/// An origin that is nobody's.
pub(crate) const STRANGER: &str = "http://stranger.test";
/// A question that the site answers.
pub(crate) const QUESTION: &str = "What does shipping to Canada cost?";

/// A key of the right shape that opens nothing; put together here so that scanners stay quiet.
pub(crate) fn fake_key() -> String {
    ["sk-", "proj-", "Zq8Lm2Wx5Rt7Yu9Io3Pa6Sd1Fg4Hj0KlVb2Nc8Me5"].concat()
}

/// What a test's server is made of.
#[derive(Default)]
pub(crate) struct Builder {
    engine: Option<Engine>,
    settings: BTreeMap<&'static str, String>,
    environment: BTreeMap<String, String>,
    provider: Option<(String, String)>,
    database: Option<TestDb>,
    folder: Option<TempDir>,
    resolver: Option<Arc<dyn chatward_egress::Resolve>>,
    sample: Option<SocketAddr>,
    file: Option<String>,
}

/// A running server.
pub(crate) struct World {
    pub(crate) app: App,
    pub(crate) address: SocketAddr,
    pub(crate) admin_address: SocketAddr,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) database: TestDb,
    pub(crate) site: SiteRow,
    pub(crate) folder: TempDir,
}

/// A response, read to its end.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A visitor with a session.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    pub(crate) session: String,
    pub(crate) token: String,
}

/// A request in the making.
pub(crate) struct Call {
    address: SocketAddr,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Builder {
    /// On this engine; SQLite where a test does not say.
    pub(crate) fn engine(mut self, engine: Engine) -> Self {
        self.engine = Some(engine);
        self
    }

    /// A setting by its full name, such as `limits.per_minute`.
    pub(crate) fn set(mut self, name: &'static str, value: impl ToString) -> Self {
        self.settings.insert(name, value.to_string());
        self
    }

    /// A variable of the environment.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A configuration file of this text.
    pub(crate) fn file(mut self, text: &str) -> Self {
        self.file = Some(text.to_owned());
        self
    }

    /// An OpenAI provider at this base URL (with `/v1`), with this key.
    pub(crate) fn openai(mut self, base_url: &str, key: &str) -> Self {
        self.provider = Some((base_url.to_owned(), key.to_owned()));
        self
    }

    /// Names outside are looked up here.
    pub(crate) fn resolver(mut self, resolver: impl chatward_egress::Resolve + 'static) -> Self {
        self.resolver = Some(Arc::new(resolver));
        self
    }

    /// The one socket that a crawl may visit, as in the demo.
    pub(crate) fn sample(mut self, socket: SocketAddr) -> Self {
        self.sample = Some(socket);
        self
    }

    /// The database and the data folder of a world that has stopped.
    pub(crate) fn again(mut self, database: TestDb, folder: TempDir) -> Self {
        self.database = Some(database);
        self.folder = Some(folder);
        self
    }

    /// Starts it.
    pub(crate) async fn start(self) -> World {
        let folder = self.folder.unwrap_or_else(|| tempfile::tempdir().unwrap());
        let is_new = self.database.is_none();
        let database = match self.database {
            Some(database) => database,
            None => TestDb::new(self.engine.unwrap_or(Engine::Sqlite)).await,
        };
        let mut environment = self.environment;
        if let Some((base_url, key)) = self.provider {
            environment.insert("OPENAI_BASE_URL".to_owned(), base_url);
            environment.insert("OPENAI_API_KEY".to_owned(), key);
        }
        let mut settings = self.settings;
        settings.entry("database.url").or_insert_with(|| database.config().url.expose().clone());
        settings.entry("admin.listen").or_insert_with(|| "127.0.0.1:0".to_owned());
        let overrides = Overrides {
            listen: Some("127.0.0.1:0".parse().unwrap()),
            data_dir: Some(PathBuf::from(folder.path())),
            settings,
        };
        let file = self.file.map(|text| {
            let path = folder.path().join("chatward.toml");
            std::fs::write(&path, text).unwrap();
            path
        });
        let config = Config::load(file.as_deref(), &environment, &overrides).expect("a configuration");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let admin_listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let admin_address = admin_listener.local_addr().unwrap();
        let clock = Arc::new(FakeClock::at(1_800_000_000_000_000));
        let options = Options {
            clock: clock.clone(),
            entropy: Arc::new(SystemEntropy),
            sample: self.sample,
            resolver: self.resolver,
            ..Options::default()
        };
        let app = App::start(config.bound_to(address), options).await.expect("an app");
        let site = match app.store.list_sites(&Scope::of(app.owner)).await.unwrap().into_iter().next() {
            Some(site) if !is_new => site,
            _ => make_site(&app).await,
        };
        let server = &app.config.server;
        let settings = ListenSettings {
            header_timeout: server.header_timeout,
            idle_timeout: server.idle_timeout,
            max_connections: server.max_connections,
            max_connections_per_address: server.max_connections_per_address,
            drain_deadline: server.drain_deadline,
            trusted_peers: server.trusted_proxies.clone(),
            ..ListenSettings::default()
        };
        for (listener, router) in [(listener, routes::router(&app)), (admin_listener, admin::router(&app))] {
            let connections = Arc::clone(&app.connections);
            let is_public = listener.local_addr().unwrap() == address;
            let door = is_public.then(|| Door { gate: Arc::clone(&app.gate), clock: Arc::clone(&app.clock) });
            let settings = ListenSettings { door, ..settings.clone() };
            tokio::spawn(listen::serve(listener, router, settings, connections, app.stopping.clone()));
        }
        World { app, address, admin_address, clock, database, site, folder }
    }
}

impl World {
    /// The ordinary world.
    pub(crate) async fn start() -> Self {
        Self::builder().start().await
    }

    /// One with settings of its own.
    pub(crate) fn builder() -> Builder {
        Builder::default()
    }

    /// Both engines, for tests that must hold on each.
    pub(crate) const ENGINES: [Engine; 2] = [Engine::Sqlite, Engine::Postgres];

    /// The origin of our own pages.
    pub(crate) fn own_origin(&self) -> String {
        self.app.origins.own().to_owned()
    }

    /// A request to the public listener.
    pub(crate) fn call(&self, method: Method, path: &str) -> Call {
        request(self.address, method, path)
    }

    /// A row's path with the parameters of what is there.
    pub(crate) fn concrete(&self, pattern: &str) -> String {
        pattern
            .replace("{site}", &self.site.publishable_key)
            .replace("{folder}/{file}", "embed/app.js")
            .replace("{digest}", &chatward::ui::loader_pin().0)
            .replace("{id}", &self.site.id.to_string())
            .replace("{key}", &"0".repeat(22))
            .replace("{login}", &format!("lgn_{}", "0".repeat(32)))
            .replace("{user}", &format!("usr_{}", "0".repeat(32)))
            .replace("{invitation}", &format!("inv_{}", "0".repeat(32)))
            .replace("{device}", &format!("dev_{}", "0".repeat(32)))
    }

    /// A good body for a row; null where it takes none.
    pub(crate) fn good_body(&self, row: &routes::Row, message_id: &str) -> serde_json::Value {
        let removes = *row.method == Method::DELETE;
        match row.path {
            "/api/v1/widget/tickets" | "/api/v1/widget/sessions" => {
                serde_json::json!({ "site": self.site.publishable_key })
            }
            "/api/v1/widget/messages" => serde_json::json!({ "message": QUESTION }),
            "/api/v1/widget/feedback" => serde_json::json!({ "message_id": message_id, "rating": "up" }),
            "/api/v1/widget/identity" => serde_json::json!({ "token": "x" }),
            "/api/v1/sites/{id}/origins" => serde_json::json!({ "origin": SHOP }),
            "/api/v1/auth/login" => serde_json::json!({ "email": "nobody@example.test", "password": "x" }),
            "/api/v1/auth/refresh" => serde_json::json!({ "refresh_token": "x" }),
            "/api/v1/auth/setup" => {
                serde_json::json!({ "token": "x", "email": "a@example.test", "password": "x", "full_name": "x" })
            }
            "/api/v1/auth/accept" => serde_json::json!({ "token": "x", "password": "x", "full_name": "x" }),
            "/api/v1/keys" => serde_json::json!({ "scopes": ["chat"] }),
            "/api/v1/auth/recover" => serde_json::json!({ "token": "x", "password": "x" }),
            "/api/v1/auth/register" => {
                serde_json::json!({ "email": "a@example.test", "password": PASSWORD, "full_name": "x" })
            }
            "/api/v1/account" if removes => serde_json::json!({ "password": PASSWORD }),
            "/api/v1/account" | "/api/v1/users/{user}" => serde_json::json!({ "full_name": "Ann Example" }),
            "/api/v1/account/password" => {
                serde_json::json!({ "current_password": PASSWORD, "new_password": PASSWORD })
            }
            "/api/v1/sites" => serde_json::json!({ "url": "http://another.test/", "name": "Another" }),
            "/api/v1/blocks" => serde_json::json!({ "network": "203.0.113.77" }),
            "/api/v1/lockdown" => serde_json::json!({ "reason": "a test" }),
            "/api/v1/devices" => {
                // Each call adds one, and a name is one device's.
                static COUNT: AtomicUsize = AtomicUsize::new(0);
                serde_json::json!({ "name": format!("walker-{}", COUNT.fetch_add(1, Ordering::Relaxed)) })
            }
            "/api/v1/account/totp" if removes => serde_json::json!({ "password": PASSWORD, "code": "000000" }),
            "/api/v1/account/totp" => serde_json::json!({ "password": PASSWORD }),
            "/api/v1/account/totp/confirm" => serde_json::json!({ "code": "000000" }),
            "/api/v1/account/recovery-codes" => {
                serde_json::json!({ "password": PASSWORD, "code": "000000" })
            }
            "/api/v1/invitations" => serde_json::json!({ "email": "new@example.test", "role": "viewer" }),
            _ => serde_json::Value::Null,
        }
    }

    /// A secret key of the default owner, with the right to manage.
    pub(crate) async fn key(&self) -> String {
        let scope = Scope::of(self.app.owner);
        let made = chatward::ops::issued_keys::create(&self.app, &scope, KeyScope::Manage, "test", None).await.unwrap();
        made.text.expose().clone()
    }

    /// Asks for a ticket from a page of `origin`.
    pub(crate) async fn ticket_from(&self, origin: &str) -> Reply {
        self.call(Method::POST, "/api/v1/widget/tickets")
            .header("origin", origin)
            .json(&serde_json::json!({ "site": self.site.publishable_key }))
            .send()
            .await
    }

    /// A ticket of the site's page.
    pub(crate) async fn ticket(&self) -> String {
        let reply = self.ticket_from(SHOP).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        reply.json()["ticket"].as_str().unwrap().to_owned()
    }

    /// Trades what the body holds, as the frame does.
    pub(crate) async fn trade(&self, body: &serde_json::Value) -> Reply {
        let origin = self.own_origin();
        self.call(Method::POST, "/api/v1/widget/sessions").header("origin", &origin).json(body).send().await
    }

    /// A GET of the public listener.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path).send().await
    }

    /// A GET of the administrative listener.
    pub(crate) async fn admin_get(&self, path: &str) -> Reply {
        let mut call = self.call(Method::GET, path);
        call.address = self.admin_address;
        call.header("host", &self.admin_address.to_string()).send().await
    }

    /// A connection to the public listener, for what no HTTP library sends.
    pub(crate) async fn connect(&self) -> TcpStream {
        connect(self.address).await
    }

    /// Begins a session on the site, as its page would.
    pub(crate) async fn visitor(&self) -> Visitor {
        let reply = self.begin(SHOP).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        let body = reply.json();
        Visitor {
            session: body["session"].as_str().unwrap().to_owned(),
            token: body["token"].as_str().unwrap().to_owned(),
        }
    }

    /// Asks for a session from a page of `origin`.
    pub(crate) async fn begin(&self, origin: &str) -> Reply {
        self.call(Method::POST, "/api/v1/widget/sessions")
            .header("origin", origin)
            .json(&serde_json::json!({ "site": self.site.publishable_key }))
            .send()
            .await
    }

    /// A request with the visitor's token from the site's page.
    pub(crate) fn by(&self, visitor: &Visitor, method: Method, path: &str) -> Call {
        self.call(method, path).header("origin", SHOP).header("authorization", &format!("Bearer {}", visitor.token))
    }

    /// Asks a question and wants JSON.
    pub(crate) async fn ask(&self, visitor: &Visitor, question: &str) -> Reply {
        self.by(visitor, Method::POST, "/api/v1/widget/messages")
            .json(&serde_json::json!({ "message": question }))
            .send()
            .await
    }

    /// Asks a question and reads the whole event stream.
    pub(crate) async fn ask_streamed(&self, visitor: &Visitor, question: &str) -> Reply {
        self.by(visitor, Method::POST, "/api/v1/widget/messages")
            .header("accept", "text/event-stream")
            .json(&serde_json::json!({ "message": question }))
            .send()
            .await
    }

    /// The names of the security events so far, oldest first.
    pub(crate) fn events(&self) -> Vec<&'static str> {
        self.app.events.tail().iter().map(|event| event.name.as_str()).collect()
    }

    /// Whether an event of this name was emitted.
    pub(crate) fn has_event(&self, name: &str) -> bool {
        self.events().contains(&name)
    }

    /// Stops the server and hands its database and folder on, for a restart.
    pub(crate) async fn stop(self) -> (TestDb, TempDir) {
        self.app.stop().await;
        (self.database, self.folder)
    }
}

impl Call {
    /// Adds a header field, or replaces it.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        self
    }

    /// Adds a header field beside those of the same name.
    pub(crate) fn another_header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        self
    }

    /// Sends it to another address.
    pub(crate) fn to(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Leaves a header field out.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// A JSON body.
    pub(crate) fn json(self, body: &serde_json::Value) -> Self {
        self.raw_json(&body.to_string())
    }

    /// A body that calls itself JSON.
    pub(crate) fn raw_json(mut self, body: &str) -> Self {
        self.body = Bytes::from(body.to_owned());
        self.header("content-type", "application/json")
    }

    /// Any body.
    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it on a connection of its own and reads the answer to its end.
    pub(crate) async fn send(self) -> Reply {
        let response = self.open().await;
        let (parts, body) = response.into_parts();
        let body = tokio::time::timeout(PATIENCE, body.collect()).await.expect("the body in time");
        Reply {
            status: parts.status,
            headers: parts.headers,
            body: body.map(http_body_util::Collected::to_bytes).unwrap_or_default(),
        }
    }

    /// Sends it and returns as soon as the head is there; dropping the response closes the connection.
    pub(crate) async fn open(self) -> hyper::Response<hyper::body::Incoming> {
        let stream = connect(self.address).await;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder().method(self.method).uri(self.path).body(Full::new(self.body)).unwrap();
        *request.headers_mut() = self.headers;
        tokio::time::timeout(PATIENCE, sender.send_request(request)).await.expect("an answer in time").unwrap()
    }
}

impl Reply {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null where it is none.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The error's code; empty where it is no error.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// A header's value; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The events of a stream as (name, data).
    pub(crate) fn stream(&self) -> Vec<(String, serde_json::Value)> {
        self.text()
            .split("\n\n")
            .filter_map(|block| {
                let name = block.lines().find_map(|line| line.strip_prefix("event: "))?;
                let data = block.lines().find_map(|line| line.strip_prefix("data: "))?;
                Some((name.to_owned(), serde_json::from_str(data).unwrap_or_default()))
            })
            .collect()
    }
}

/// A request to any server of ours.
pub(crate) fn request(address: SocketAddr, method: Method, path: &str) -> Call {
    Call { address, method, path: path.to_owned(), headers: HeaderMap::new(), body: Bytes::new() }
        .header("host", &format!("localhost:{}", address.port()))
}

async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpSocket::new_v4().unwrap().connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// The site with three pages, indexed as a crawl would.
async fn make_site(app: &App) -> SiteRow {
    let scope = Scope::of(app.owner);
    let site = sites::add(app, &scope, &format!("{SHOP}/"), Some("Test Shop"), &[]).await.unwrap();
    let pages = [
        (
            "Shipping",
            "shipping",
            "Shipping to Canada costs 12.50 dollars and takes 5 to 8 working days. \
             Shipping within the country costs 4.90 dollars and takes 2 working days.",
        ),
        ("Returns", "returns", "You can return anything unused within 30 days. We pay for the return label."),
        ("About us", "about", "We roast coffee in a small hall near the harbour since 1987 and sell it in bags."),
    ];
    let mut builder = IndexBuilder::new(Language::English);
    let mut page_rows = Vec::new();
    let mut chunks = Vec::new();
    for (ordinal, (title, path, text)) in (0_i64..).zip(pages) {
        let id = PageId::generate(app.clock.as_ref(), app.entropy.as_ref()).unwrap();
        builder.add(ordinal, title, title, text).unwrap();
        page_rows.push(PageRow {
            id,
            url: format!("{SHOP}/{path}"),
            title: title.to_owned(),
            status: "indexed".to_owned(),
            reason: String::new(),
            chunks: 1,
            bytes: 1000,
            language: "en".to_owned(),
            fetched_at: app.clock.now(),
        });
        chunks.push(ChunkRow { ordinal, page: id, heading: title.to_owned(), text: text.to_owned() });
    }
    let generation = app.store.next_generation(&scope, site.id).await.unwrap();
    app.store.put_pages(&scope, site.id, generation, &page_rows).await.unwrap();
    app.store.put_chunks(&scope, site.id, generation, &chunks).await.unwrap();
    for (ordinal, segment) in (0_i64..).zip(builder.finish()) {
        app.store.put_segment(&scope, site.id, generation, ordinal, segment).await.unwrap();
    }
    app.store.swap_generation(&scope, site.id, generation, app.clock.now()).await.unwrap();
    app.sites.forget(site.id);
    app.store.get_site(&scope, site.id).await.unwrap().unwrap()
}
