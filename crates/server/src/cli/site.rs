//! `chatward site add | remove | crawl | list`, and the way to the rest of `chatward site`.

use super::{Common, Failure, Outcome, print, site_embed, site_privacy, site_set};
use crate::app::App;
use crate::jobs::crawls::run_job;
use crate::ops::crawls::{Progress, Report};
use crate::ops::site_settings::Settings;
use crate::ops::sites;
use chatward_store::{JobState, SiteRow};
use chatward_types::{JobId, SECOND, Scope};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal as _;
use std::time::Duration;

/// What to do with a site.
#[derive(Debug, Subcommand)]
pub(super) enum SiteCommand {
    /// Add a site and crawl it
    #[command(after_help = "Example: chatward site add https://www.shop.example/ --origin https://app.shop.example")]
    Add(AddArguments),
    /// Change a site's name, origins or chat
    #[command(
        after_help = "Example: chatward site set shop.example --greeting \"Hello!\" --add-origin https://app.shop.example"
    )]
    Set(Box<site_set::SetArguments>),
    /// Show a site with all that is set
    #[command(after_help = "Example: chatward site show shop.example")]
    Show(site_set::SiteArgument),
    /// List the origins that may show the chat, and those that asked and were refused
    #[command(after_help = "Example: chatward site origins shop.example")]
    Origins(site_set::SiteArgument),
    /// Make the secret with which the owner's server says who a visitor is
    #[command(after_help = "Example: chatward site identity shop.example --rotate")]
    Identity(site_set::IdentityArguments),
    /// Print the line that puts the chat on a website, and where it goes
    #[command(after_help = "Example: chatward site embed shop.example --platform wordpress")]
    Embed(site_embed::EmbedArguments),
    /// Visit a page and say what is wrong with the chat on it
    #[command(after_help = "Example: chatward site check https://www.shop.example/")]
    Check(site_embed::CheckArguments),
    /// Print the privacy notice of a site's chat, made from the settings in force
    #[command(after_help = "Example: chatward site privacy shop.example --format markdown")]
    Privacy(site_privacy::PrivacyArguments),
    /// Remove a site with its index, sessions and conversations
    #[command(after_help = "Example: chatward site remove shop.example --yes")]
    Remove(RemoveArguments),
    /// Crawl a site again
    #[command(after_help = "Example: chatward site crawl shop.example")]
    Crawl(CrawlArguments),
    /// List the sites with their keys
    #[command(after_help = "Example: chatward site list --json")]
    List,
}

#[derive(Debug, Args)]
pub(super) struct AddArguments {
    /// The site's address
    url: String,
    /// Its name [default: the host]
    #[arg(long)]
    name: Option<String>,
    /// A further origin that may show the chat; repeat for several
    #[arg(long = "origin", value_name = "ORIGIN")]
    origins: Vec<String>,
    /// Do not crawl now
    #[arg(long)]
    no_crawl: bool,
}

#[derive(Debug, Args)]
pub(super) struct RemoveArguments {
    /// The site: its id, key, host or name
    site: String,
    /// Remove without asking
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct CrawlArguments {
    /// The site: its id, key, host or name
    site: String,
}

pub(super) async fn run(common: &Common, command: SiteCommand) -> Outcome {
    let app = common.open().await?;
    let outcome = match command {
        SiteCommand::Add(arguments) => add(&app, common, arguments).await,
        SiteCommand::Set(arguments) => site_set::set(&app, common, *arguments).await,
        SiteCommand::Show(arguments) => site_set::show(&app, common, &arguments).await,
        SiteCommand::Origins(arguments) => site_set::origins(&app, common, &arguments).await,
        SiteCommand::Identity(arguments) => site_set::identity(&app, common, &arguments).await,
        SiteCommand::Embed(arguments) => site_embed::embed(&app, common, &arguments).await,
        SiteCommand::Check(arguments) => site_embed::check(&app, common, &arguments).await,
        SiteCommand::Privacy(arguments) => site_privacy::privacy(&app, common, &arguments).await,
        SiteCommand::Remove(arguments) => remove(&app, common, &arguments).await,
        SiteCommand::Crawl(arguments) => {
            let site = find(&app, &arguments.site).await;
            match site {
                Ok(site) => crawl(&app, common, &site).await,
                Err(failure) => Err(failure),
            }
        }
        SiteCommand::List => list(&app, common).await,
    };
    app.stop().await;
    outcome
}

async fn add(app: &App, common: &Common, arguments: AddArguments) -> Outcome {
    let scope = Scope::of(app.owner);
    let site = sites::add(app, &scope, &arguments.url, arguments.name.as_deref(), &arguments.origins).await?;
    if common.json {
        print::json(&view(&site));
    } else {
        print::line(&format!("Added {} ({})", site.name, site.url));
        print::line(&format!("key      {}", site.publishable_key));
        print::line(&format!("origins  {}", site.origins.join(", ")));
        print::line("Put this line before </body> on each page:");
        let own = app.origins.own();
        print::line(&format!(
            "  <script src=\"{own}/widget.js\" data-site-id=\"{}\" async></script>",
            site.publishable_key
        ));
    }
    if arguments.no_crawl { Ok(()) } else { crawl(app, common, &site).await }
}

async fn remove(app: &App, common: &Common, arguments: &RemoveArguments) -> Outcome {
    let site = find(app, &arguments.site).await?;
    if !arguments.yes {
        return Err(Failure::Usage(format!(
            "this removes {} with its index, sessions and conversations for good; add --yes to do it",
            site.name
        )));
    }
    sites::remove(app, &Scope::of(app.owner), site.id).await?;
    if common.json {
        print::json(&serde_json::json!({ "removed": site.id.to_string() }));
    } else {
        print::line(&format!("Removed {}.", site.name));
    }
    Ok(())
}

async fn list(app: &App, common: &Common) -> Outcome {
    let rows = app.store.list_sites(&Scope::of(app.owner)).await?;
    if common.json {
        print::json(&rows.iter().map(view).collect::<Vec<_>>());
    } else if rows.is_empty() {
        print::line("There is no site yet. Add one with: chatward site add https://www.example.com/");
    } else {
        for row in rows {
            let state = if row.index_generation == 0 { "not crawled" } else { "answering" };
            print::line(&format!("{}  {}  {}  {state}", row.publishable_key, row.name, row.url));
        }
    }
    Ok(())
}

/// Crawls through a running server where there is one, else here.
async fn crawl(app: &App, common: &Common, site: &SiteRow) -> Outcome {
    let scope = Scope::of(app.owner);
    let job = sites::queue_crawl(app, &scope, site.id).await?;
    let bar = progress_bar(common.json);
    let report = if app.store.live_nodes(app.clock.now()).await?.is_empty() {
        run_here(app, job, &bar).await
    } else {
        follow(app, job, &bar).await
    };
    bar.finish_and_clear();
    let report = report?;
    print_report(common.json, &report);
    if report.swapped {
        Ok(())
    } else {
        Err(Failure::Failed(format!(
            "no page of {} could be read ({}); the index from before, if there is one, still answers",
            site.url, report.ended
        )))
    }
}

async fn run_here(app: &App, job: JobId, bar: &ProgressBar) -> Result<Report, Failure> {
    let now = app.clock.now();
    // Whatever waits is done in its order; ours is among it.
    while let Some(claimed) = app.store.claim_job(app.node, now, now + 30 * SECOND).await? {
        let working = run_job(app, &claimed);
        tokio::pin!(working);
        loop {
            tokio::select! {
                done = &mut working => break done?,
                () = tokio::time::sleep(Duration::from_millis(300)) => {
                    if let Some(row) = app.store.get_job(claimed.id).await? {
                        show(bar, &row.progress);
                    }
                }
            }
        }
        if claimed.id == job {
            break;
        }
    }
    finished(app, job).await?.ok_or_else(|| Failure::Failed("the crawl was taken over by another program".to_owned()))
}

async fn follow(app: &App, job: JobId, bar: &ProgressBar) -> Result<Report, Failure> {
    let deadline = app.clock.now() + i64::from(app.config.crawl.max_minutes + 2) * 60 * SECOND;
    while app.clock.now() < deadline {
        if let Some(report) = finished(app, job).await? {
            return Ok(report);
        }
        if let Some(row) = app.store.get_job(job).await? {
            show(bar, &row.progress);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    Err(Failure::Failed("the running server did not finish the crawl in time; look at its log".to_owned()))
}

async fn finished(app: &App, job: JobId) -> Result<Option<Report>, Failure> {
    let Some(row) = app.store.get_job(job).await? else {
        return Err(Failure::Failed("the crawl's job is gone".to_owned()));
    };
    match row.state {
        JobState::Done => {
            Ok(Some(serde_json::from_str(row.outcome.as_deref().unwrap_or_default()).unwrap_or_default()))
        }
        JobState::Failed => Err(Failure::Failed("the crawl failed; the server's log says why".to_owned())),
        _ => Ok(None),
    }
}

/// The site that a person names by id, key, host, address or name.
pub(super) async fn find(app: &App, text: &str) -> Result<SiteRow, Failure> {
    let rows = app.store.list_sites(&Scope::of(app.owner)).await?;
    let host = |row: &SiteRow| url::Url::parse(&row.url).ok().and_then(|url| url.host_str().map(str::to_owned));
    let mut found = rows.into_iter().filter(|row| {
        row.id.to_string() == text
            || row.publishable_key == text
            || row.name == text
            || row.url.trim_end_matches('/') == text.trim_end_matches('/')
            || host(row).as_deref() == Some(text)
    });
    match (found.next(), found.next()) {
        (Some(site), None) => Ok(site),
        (None, _) => Err(Failure::Usage("no such site; `chatward site list` shows those there are".to_owned())),
        _ => Err(Failure::Usage("several sites fit; name one by its key from `chatward site list`".to_owned())),
    }
}

pub(super) fn view(site: &SiteRow) -> serde_json::Value {
    serde_json::json!({
        "id": site.id.to_string(),
        "site": site.publishable_key,
        "name": site.name,
        "url": site.url,
        "origins": site.origins,
        "crawled": site.index_generation > 0,
        "settings": Settings::read_known(&site.settings).unwrap_or_default(),
    })
}

/// A bar on a terminal, nothing elsewhere.
pub(super) fn progress_bar(json: bool) -> ProgressBar {
    if json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

fn show(bar: &ProgressBar, progress: &str) {
    if let Ok(progress) = serde_json::from_str::<Progress>(progress) {
        show_progress(bar, &progress);
    }
}

/// Puts the numbers on the bar.
pub(super) fn show_progress(bar: &ProgressBar, progress: &Progress) {
    bar.set_message(format!(
        "{} pages, {} chunks, {} left out, {} waiting",
        progress.pages, progress.chunks, progress.skipped, progress.queued
    ));
}

/// Prints a crawl's outcome with a reason for each page that was left out.
pub(super) fn print_report(json: bool, report: &Report) {
    if json {
        print::json(report);
        return;
    }
    print::line(&format!("{} pages read, {} chunks, {} left out", report.pages, report.chunks, report.skipped_total));
    for skipped in &report.skipped {
        print::line(&format!("  left out {} : {}", skipped.url, skipped.reason));
    }
}
