//! How a crawl begins: robots.txt, the start page, the sitemaps.
//!
//! Owns: what each outcome of them means for the whole crawl, and where the site moves when its start page redirects.
//! Never does: the breadth-first part or budgets (see `run`).

use super::address::key;
use super::frontier::Target;
use super::reason::SkipReason;
use super::robots::Robots;
use super::run::{Crawl, Step};
use super::sitemap::read_sitemap;
use super::visit::visit;
use super::{CrawlEnd, MAX_CRAWL_DELAY};
use chatward_egress::FetchFailure;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use url::Url;

const MAX_ROBOTS_BYTES: usize = 2 << 20;
const MAX_SITEMAP_BYTES: usize = 10 << 20;
const MAX_SITEMAPS: usize = 12;

impl Crawl {
    /// robots.txt of the start page's origin, and whether the start page is allowed.
    pub(super) async fn open(&mut self, start: Url) -> Step<Target> {
        let start = self.scope.admit(&start).unwrap_or(start);
        let target = Target { url: start, depth: 0 };
        self.frontier.note(&target.url);
        match self.read_robots().await? {
            Ok(robots) => self.adopt(robots),
            Err(reason) => return self.fail_start(target.url, reason).await,
        }
        if self.robots.refuses_all() {
            return self.fail_start(target.url, SkipReason::RobotsUnavailable).await;
        }
        if !self.robots.allows(&target.url) {
            return self.fail_start(target.url, SkipReason::Robots).await;
        }
        Ok(target)
    }

    pub(super) async fn start_page(&mut self, start: Target) -> Step<Url> {
        let asked = start.url.clone();
        self.tries += 1;
        let at = self.slot();
        let visiting = visit(Arc::clone(&self.shared), start, at, None);
        let visited = self.guarded(visiting).await?;
        let landed = match &visited.outcome {
            Ok(read) => read.page.url.clone(),
            Err(reason) => {
                self.bytes += visited.bytes;
                let reason = reason.clone();
                return self.fail_start(asked, reason).await;
            }
        };
        if !self.scope.contains(&landed) {
            let Some(scope) = self.scope.moved_to(&landed) else {
                return self.fail_start(asked, SkipReason::OffSite(Box::new(landed))).await;
            };
            self.scope = scope;
            match self.read_robots().await? {
                Ok(robots) => self.adopt(robots),
                Err(reason) => return self.fail_start(landed, reason).await,
            }
            if self.robots.refuses_all() || !self.robots.allows(&landed) {
                return self.fail_start(landed, SkipReason::Robots).await;
            }
        }
        self.handle(visited).await?;
        Ok(landed)
    }

    async fn fail_start<T>(&mut self, url: Url, reason: SkipReason) -> Step<T> {
        self.skip(url, reason).await?;
        self.progress(0).await?;
        Err(CrawlEnd::StartFailed)
    }

    /// `Err` inside when the server cannot be reached at all.
    async fn read_robots(&mut self) -> Step<Result<Robots, SkipReason>> {
        let url = match self.scope.site().join("/robots.txt") {
            Ok(url) => url,
            Err(_) => return Ok(Ok(Robots::allow_all())),
        };
        let agent = self.shared.request.user_agent.clone();
        Ok(match self.fetch(url, MAX_ROBOTS_BYTES, false).await? {
            Ok(fetched) => Ok(Robots::of_status(fetched.status, &fetched.body, &agent)),
            Err(error) => match error.failure() {
                // By the standard, redirects without end count as "there is none".
                FetchFailure::RedirectLoop => Ok(Robots::allow_all()),
                FetchFailure::Dns
                | FetchFailure::Connect
                | FetchFailure::Tls
                | FetchFailure::Protocol
                | FetchFailure::Timeout => Err(SkipReason::from(&error)),
                FetchFailure::Refused(_) if self.tries == 0 => Err(SkipReason::from(&error)),
                _ => Ok(Robots::refuse_all()),
            },
        })
    }

    fn adopt(&mut self, robots: Robots) {
        if let Some(asked) = robots.delay() {
            self.delay = self.delay.max(asked.min(MAX_CRAWL_DELAY));
            self.concurrency = 1;
        }
        self.robots = robots;
    }

    pub(super) async fn follow_sitemaps(&mut self, start: &Url) -> Step {
        let named: Vec<String> = self.robots.sitemaps().to_vec();
        let mut waiting: VecDeque<Url> = named
            .iter()
            .map(String::as_str)
            .chain(["/sitemap.xml"])
            .filter_map(|address| start.join(address).ok())
            .filter_map(|address| self.scope.admit(&address))
            .collect();
        let mut read = HashSet::new();
        while let Some(url) = waiting.pop_front() {
            if read.len() >= MAX_SITEMAPS || self.bytes >= self.shared.request.limits.total_bytes {
                break;
            }
            if !self.robots.allows(&url) || !read.insert(key(&url)) {
                continue;
            }
            let Ok(fetched) = self.fetch(url.clone(), MAX_SITEMAP_BYTES, true).await? else {
                continue;
            };
            self.bytes += fetched.body.len();
            if fetched.status != 200 {
                continue;
            }
            let body = fetched.body;
            let parsing = tokio::task::spawn_blocking(move || read_sitemap(&body));
            let Ok(sitemap) = self.guarded(parsing).await? else {
                continue;
            };
            for address in &sitemap.pages {
                if let Ok(page) = url.join(address) {
                    self.consider(&page, 1).await?;
                }
            }
            let further = sitemap.sitemaps.iter().filter_map(|address| url.join(address).ok());
            let further = further.filter_map(|address| self.scope.admit(&address));
            waiting.extend(further.take(MAX_SITEMAPS));
        }
        Ok(())
    }
}
