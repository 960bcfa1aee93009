//! `chatward demo`: a sample shop on a second port, crawled over real HTTP, with the chat on it.

use super::serve::{Running, Stop};
use super::{Common, Failure, Outcome, print, sample, site};
use crate::app::{App, Options};
use crate::config::{Config, Overrides, process_environment};
use crate::ops::crawls::{self, Progress, Report};
use crate::ops::site_settings::Settings;
use crate::ops::sites;
use chatward_store::SiteRow;
use chatward_types::Scope;
use clap::Args;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How to show it.
#[derive(Debug, Args)]
pub(super) struct DemoArguments {
    /// The address and port to listen on; port 0 picks a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:3001")]
    listen: SocketAddr,
    /// The address and port of the sample website; port 0 picks a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:3002")]
    sample_listen: SocketAddr,
}

pub(super) async fn run(common: &Common, arguments: DemoArguments) -> Outcome {
    let config = config(common, &arguments)?;
    crate::telemetry::start(&config.logging);
    let listener = TcpListener::bind(arguments.sample_listen).await.map_err(|error| {
        Failure::Usage(format!(
            "--sample-listen: cannot listen on {} ({error}); choose another port, or 0 for a free one",
            arguments.sample_listen
        ))
    })?;
    let sample_address = listener.local_addr().map_err(chatward_types::Error::from)?;
    let origin = format!("http://{}", reachable(sample_address));
    let options = Options { sample: Some(reachable(sample_address)), ..Options::default() };
    let running = Running::start(config, options).await?;
    let app = running.app.clone();
    let shop = prepare_site(&app, &origin).await?;
    let page =
        sample::Sample { origin: origin.clone(), chat: running.address_text(), key: shop.publishable_key.clone() };
    let serving = tokio::spawn(sample::serve(listener, page, app.stopping.clone()));
    let report = crawl(&app, common, &shop).await?;
    let stop = Stop::listen()?;
    if common.json {
        print::json(&serde_json::json!({
            "listening": running.address_text(),
            "sample": origin,
            "site": shop.publishable_key,
        }));
    } else {
        site::print_report(false, &report);
        print::line("");
        print::line(&format!("The sample shop with the chat on it   {origin}/"));
        print::line(&format!("The API's documentation               {}/docs", running.address_text()));
        print::line(&format!("Health                                {}/healthz", running.address_text()));
        let names: Vec<&str> = app.providers.providers().map(|provider| provider.name()).collect();
        print::line(&format!("Answers come from                     {}", names.join(", then ")));
        print::line("");
        print::line("Try: What does shipping to Canada cost?      Stop with Ctrl-C.");
    }
    stop.wait().await;
    running.stop().await;
    let _ = serving.await;
    Ok(())
}

fn config(common: &Common, arguments: &DemoArguments) -> Result<Config, Failure> {
    let settings = BTreeMap::from([
        // The demo runs beside anything: its only ports are the two it is asked for.
        ("admin.listen", "off".to_owned()),
        ("crawl.delay_ms", "0".to_owned()),
        ("logging.level", "warn".to_owned()),
        ("public_url", format!("http://{}", reachable(arguments.listen))),
    ]);
    let mut settings = settings;
    if arguments.listen.port() == 0 {
        settings.remove("public_url");
    }
    let overrides = Overrides {
        listen: Some(arguments.listen),
        data_dir: Some(common.data.clone().unwrap_or_else(|| PathBuf::from("data/demo"))),
        settings,
    };
    Ok(Config::load(None, &process_environment(), &overrides)?)
}

/// The address to type into a browser for one that is listened on.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port())
    } else {
        address
    }
}

/// The demo's one site, made on the first run and moved to the present port on later ones.
async fn prepare_site(app: &App, origin: &str) -> Result<SiteRow, Failure> {
    let scope = Scope::of(app.owner);
    let known = app.store.list_sites(&scope).await?.into_iter().find(|row| row.name == sample::NAME);
    let mut row = match known {
        Some(row) => row,
        None => sites::add(app, &scope, &format!("{origin}/"), Some(sample::NAME), &[]).await?,
    };
    row.url = format!("{origin}/");
    row.origins = vec![origin.to_owned()];
    let settings = Settings {
        greeting: Some(sample::GREETING.to_owned()),
        starters: sample::STARTERS.iter().map(|text| (*text).to_owned()).collect(),
        contact: Some(sample::CONTACT.to_owned()),
        language: Some("en".to_owned()),
        ..Settings::default()
    };
    row.settings = serde_json::to_string(&settings).map_err(chatward_types::Error::internal)?;
    sites::update(app, &scope, &row).await?;
    Ok(row)
}

async fn crawl(app: &App, common: &Common, shop: &SiteRow) -> Result<Report, Failure> {
    let bar = site::progress_bar(common.json);
    let (progress, mut watched) = watch::channel(Progress::default());
    let scope = Scope::of(app.owner);
    let crawling = crawls::run(app, &scope, shop.id, &progress, app.stopping.child_token());
    tokio::pin!(crawling);
    let report = loop {
        tokio::select! {
            done = &mut crawling => break done?,
            Ok(()) = watched.changed() => site::show_progress(&bar, &watched.borrow()),
        }
    };
    bar.finish_and_clear();
    if report.swapped {
        Ok(report)
    } else {
        Err(Failure::Failed(format!("the sample site could not be crawled ({})", report.ended)))
    }
}
