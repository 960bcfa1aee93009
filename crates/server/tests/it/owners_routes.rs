//! What an owner does over HTTP with sites, sources, crawls, conversations and usage: page by page, each with the least
//! role, nothing of another owner's; and that nobody reads people's words without a record of it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::people::roomy;
use crate::world::{Builder, Call, QUESTION, Reply, SHOP, World};
use chatward::jobs::crawls::run_job;
use chatward::ops::sites;
use chatward_store::{HotRow, UsageRow};
use chatward_types::{Clock, DAY, OwnerId, Role, SECOND, Scope, UsageId};
use http::{Method, StatusCode};
use serde_json::{Value, json};

/// An address in our own network where nothing listens; a crawl refuses it by itself.
const NOWHERE: &str = "http://127.0.0.1:9/";

fn world() -> Builder {
    roomy().set("limits.per_minute", 5000)
}

/// A user of the default owner, logged in.
struct Someone {
    access: String,
}

impl Someone {
    async fn of(world: &World, role: Role) -> Self {
        let user = world.user(&format!("{}-one@example.test", role.as_str()), role).await;
        Self { access: world.access(world.app.owner, &user).await }
    }

    fn call(&self, world: &World, method: Method, path: &str) -> Call {
        world.with(&self.access, method, path)
    }

    async fn get(&self, world: &World, path: &str) -> Reply {
        self.call(world, Method::GET, path).send().await
    }

    /// Every page of a list, joined.
    async fn all(&self, world: &World, path: &str, list: &str) -> (Vec<Value>, usize) {
        let (mut items, mut pages, mut cursor) = (Vec::new(), 0, String::new());
        loop {
            let separator = if path.contains('?') { '&' } else { '?' };
            let reply = self.get(world, &format!("{path}{separator}{cursor}")).await;
            assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
            items.extend(reply.json()[list].as_array().unwrap().clone());
            pages += 1;
            match reply.json()["next_cursor"].as_str() {
                Some(next) => cursor = format!("cursor={next}"),
                None => return (items, pages),
            }
        }
    }
}

#[tokio::test]
async fn sites_are_added_listed_page_by_page_and_removed_by_who_names_them() {
    for engine in World::ENGINES {
        let world = world().engine(engine).start().await;
        let (member, admin) = (Someone::of(&world, Role::Member).await, Someone::of(&world, Role::Admin).await);
        let add = async |body: Value| member.call(&world, Method::POST, "/api/v1/sites").json(&body).send().await;
        let mut added = Vec::new();
        for number in 0..4 {
            world.clock.advance(SECOND);
            let reply = add(json!({ "url": format!("http://s{number}.test"), "name": format!("S {number}") })).await;
            assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
            assert!(reply.header("etag").starts_with('"'));
            added.push(reply.json()["id"].as_str().unwrap().to_owned());
        }
        for bad in
            [json!({ "url": "ftp://x.test" }), json!({ "url": "http://x.test", "name": "" }), json!({ "url": "" })]
        {
            assert_eq!(add(bad.clone()).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
        }
        let (listed, pages) = member.all(&world, "/api/v1/sites?limit=2", "sites").await;
        assert_eq!((listed.len(), pages), (5, 3));
        assert_eq!(listed[1]["id"], json!(added[0]));
        for bad in ["limit=0", "limit=201", "cursor=x", "limit=1&limit=2", "sort=name"] {
            let status = member.get(&world, &format!("/api/v1/sites?{bad}")).await.status;
            assert!(matches!(status.as_u16(), 400 | 422), "{bad}: {status}");
        }

        let path = format!("/api/v1/sites/{}", added[0]);
        let remove = |who: &Someone| who.call(&world, Method::DELETE, &path);
        assert_eq!(remove(&member).json(&json!({ "name": "S 0" })).send().await.status, StatusCode::FORBIDDEN);
        for reply in [remove(&admin).send().await, remove(&admin).json(&json!({ "name": "S 1" })).send().await] {
            assert_eq!((reply.status.as_u16(), reply.code().as_str()), (422, "unconfirmed"));
        }
        let stale = remove(&admin).header("if-match", "\"1\"").send().await;
        assert_eq!((stale.status.as_u16(), stale.code().as_str()), (412, "changed_meanwhile"));
        assert_eq!(remove(&admin).json(&json!({ "name": "S 0" })).send().await.status, StatusCode::NO_CONTENT);
        assert_eq!(remove(&admin).json(&json!({ "name": "S 0" })).send().await.status, StatusCode::NOT_FOUND);
        let path = format!("/api/v1/sites/{}", added[1]);
        let tag = admin.get(&world, &path).await.header("etag").to_owned();
        let gone = admin.call(&world, Method::DELETE, &path).header("if-match", &tag).send().await;
        assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.text());
        let last = world.app.store.trail_head().await.unwrap().unwrap();
        assert!(last.actor.starts_with("user:") && last.detail.contains("site removed") && last.subject == added[1]);
    }
}

#[tokio::test]
async fn a_change_for_another_version_is_refused_and_changes_nothing() {
    for engine in World::ENGINES {
        let world = world().engine(engine).start().await;
        let member = Someone::of(&world, Role::Member).await;
        let path = format!("/api/v1/sites/{}", world.site.id);
        let change = async |tag: &str, name: &str| {
            let call = member.call(&world, Method::PATCH, &path).json(&json!({ "name": name }));
            if tag.is_empty() { call.send().await } else { call.header("if-match", tag).send().await }
        };
        let read = member.get(&world, &path).await.header("etag").to_owned();
        let first = change(&read, "First").await;
        assert_eq!(first.status, StatusCode::OK, "{}", first.text());
        assert_ne!(first.header("etag"), read);
        let lost = change(&read, "Second").await;
        assert_eq!((lost.status.as_u16(), lost.code().as_str()), (412, "changed_meanwhile"));
        for bad in ["*", "1", "W/\"1\"", "\"x\""] {
            assert_eq!(change(bad, "Third").await.status, StatusCode::BAD_REQUEST, "{bad}");
        }
        assert_eq!(member.get(&world, &path).await.json()["name"], "First");
        assert_eq!(change("", "Without").await.status, StatusCode::OK, "who does not ask is not refused");
        // Two at once with the same tag: one of them.
        let tag = member.get(&world, &path).await.header("etag").to_owned();
        let both = futures_util::future::join(change(&tag, "One"), change(&tag, "Other")).await;
        let mut statuses = [both.0.status.as_u16(), both.1.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412]);
    }
}

#[tokio::test]
async fn crawls_are_queued_once_and_tell_what_they_left_out() {
    for engine in World::ENGINES {
        let world = world().engine(engine).start().await;
        let (viewer, member) = (Someone::of(&world, Role::Viewer).await, Someone::of(&world, Role::Member).await);
        let sources = format!("/api/v1/sites/{}/sources", world.site.id);
        let (listed, pages) = viewer.all(&world, &format!("{sources}?limit=2"), "sources").await;
        assert_eq!((listed.len(), pages), (3, 2));
        let shipping = listed.iter().find(|source| source["title"] == "Shipping").unwrap();
        assert_eq!((&shipping["state"], &shipping["passages"]), (&json!("indexed"), &json!(1)));
        assert_eq!(shipping["url"], format!("{SHOP}/shipping"));

        let scope = Scope::of(world.app.owner);
        let site = sites::add(&world.app, &scope, NOWHERE, Some("Nowhere"), &[]).await.unwrap();
        let path = format!("/api/v1/sites/{}/crawls", site.id);
        let queue = |who: &Someone| who.call(&world, Method::POST, &path).send();
        assert_eq!(queue(&viewer).await.status, StatusCode::FORBIDDEN);
        let queued = queue(&member).await;
        assert_eq!((queued.status, &queued.json()["state"]), (StatusCode::ACCEPTED, &json!("queued")));
        let again = queue(&member).await;
        assert_eq!((again.status.as_u16(), again.code().as_str()), (409, "crawl_running"));
        let now = world.clock.now();
        let job = world.app.store.claim_job(world.app.node, now, now + DAY).await.unwrap().unwrap();
        assert_eq!(viewer.get(&world, &path).await.json()["crawls"][0]["state"], "running");
        assert_eq!(queue(&member).await.status, StatusCode::CONFLICT, "it runs");
        run_job(&world.app, &job).await.unwrap();
        let crawl = viewer.get(&world, &path).await.json()["crawls"][0].clone();
        assert_eq!((&crawl["state"], &crawl["report"]["answers"]), (&json!("done"), &json!(false)), "{crawl}");
        assert!(!crawl["report"]["ended"].as_str().unwrap().is_empty());
        let left_out = crawl["report"]["skipped"].as_array().unwrap();
        assert!(left_out.iter().all(|page| !page["reason"].as_str().unwrap().is_empty()), "{crawl}");
        assert_eq!(queue(&member).await.status, StatusCode::ACCEPTED, "and now another");
        let (crawls, _) = viewer.all(&world, &format!("{path}?limit=1"), "crawls").await;
        assert_eq!(crawls.len(), 2);
        assert!(world.has_event("CRAWL_QUEUED"));
    }
}

#[tokio::test]
async fn conversations_are_listed_without_words_and_read_with_a_record_of_who() {
    for engine in World::ENGINES {
        let world = world().engine(engine).start().await;
        let (viewer, member) = (Someone::of(&world, Role::Viewer).await, Someone::of(&world, Role::Member).await);
        for _ in 0..2 {
            world.clock.advance(SECOND);
            world.visitor().await;
        }
        world.clock.advance(SECOND);
        let visitor = world.visitor().await;
        let answer = world.ask(&visitor, QUESTION).await.json();
        world.clock.advance(SECOND);
        world.ask(&visitor, "Can I return it?").await;
        let judged = json!({ "message_id": answer["message_id"], "rating": "down", "reason": "too dear" });
        world.by(&visitor, Method::POST, "/api/v1/widget/feedback").json(&judged).send().await;

        let path = format!("/api/v1/sites/{}/conversations", world.site.id);
        let (listed, pages) = viewer.all(&world, &format!("{path}?limit=2"), "conversations").await;
        assert_eq!((listed.len(), pages), (3, 2));
        let newest = &listed[0];
        assert_eq!((&newest["messages"], &newest["up"], &newest["down"]), (&json!(4), &json!(0), &json!(1)));
        assert_eq!(newest["session"], visitor.session[..16], "too little to be used");
        assert!(!json!(listed).to_string().contains("Canada"), "no words");

        let path = format!("/api/v1/conversations/{}/messages", newest["id"].as_str().unwrap());
        let before = world.app.store.trail_head().await.unwrap().unwrap().seq;
        assert_eq!(viewer.get(&world, &path).await.status, StatusCode::FORBIDDEN);
        assert_eq!(
            world.app.store.trail_head().await.unwrap().unwrap().seq,
            before,
            "who reads nothing is not recorded"
        );
        let (messages, pages) = member.all(&world, &format!("{path}?limit=3"), "messages").await;
        assert_eq!((messages.len(), pages), (4, 2));
        assert_eq!((&messages[0]["role"], &messages[0]["text"]), (&json!("user"), &json!(QUESTION)));
        assert!(messages[1]["text"].as_str().unwrap().contains("12.50"));
        assert_eq!((&messages[1]["rating"], &messages[1]["reason"]), (&json!("down"), &json!("too dear")));
        assert!(!messages[1]["citations"].as_array().unwrap().is_empty());
        let record = world.app.store.trail_head().await.unwrap().unwrap();
        assert_eq!((record.seq, record.name.as_str()), (before + 2, "CONVERSATION_READ"), "one a page");
        assert!(record.actor.starts_with("user:usr_") && record.subject == newest["id"].as_str().unwrap());
        assert!(world.has_event("CONVERSATION_READ"));

        world.database.tamper("ALTER TABLE audit_trail RENAME TO gone").await;
        let unread = member.get(&world, &path).await;
        assert!(unread.status.is_server_error() && !unread.text().contains("Canada"), "{}", unread.text());
    }
}

#[tokio::test]
async fn an_erased_conversation_takes_all_that_its_visitor_could_take() {
    for engine in World::ENGINES {
        let world = world().engine(engine).start().await;
        let (member, admin) = (Someone::of(&world, Role::Member).await, Someone::of(&world, Role::Admin).await);
        let (visitor, other) = (world.visitor().await, world.visitor().await);
        for visitor in [&visitor, &other] {
            world.ask(visitor, QUESTION).await;
        }
        let list = format!("/api/v1/sites/{}/conversations", world.site.id);
        let (listed, _) = member.all(&world, &list, "conversations").await;
        let of = |visitor: &crate::world::Visitor| {
            let found = listed.iter().find(|item| *item["session"].as_str().unwrap() == visitor.session[..16]).unwrap();
            format!("/api/v1/conversations/{}", found["id"].as_str().unwrap())
        };
        let path = of(&visitor);
        assert_eq!(member.call(&world, Method::DELETE, &path).send().await.status, StatusCode::FORBIDDEN);
        assert_eq!(admin.call(&world, Method::DELETE, &path).send().await.status, StatusCode::NO_CONTENT);
        assert_eq!(admin.call(&world, Method::DELETE, &path).send().await.status, StatusCode::NOT_FOUND);
        assert_eq!(member.get(&world, &format!("{path}/messages")).await.status, StatusCode::NOT_FOUND);
        assert_eq!(world.ask(&visitor, QUESTION).await.status, StatusCode::UNAUTHORIZED, "its session is gone");
        assert_eq!(world.ask(&other, QUESTION).await.status, StatusCode::OK, "another's is not");
        let records = world.app.store.trail_after(0, 0, 100).await.unwrap();
        let record = records.iter().rfind(|record| record.name == "SESSION_DELETED").unwrap();
        assert!(record.actor.starts_with("user:") && path.ends_with(&record.subject), "{record:?}");
        assert!(record.detail.contains("\"messages\":2"));

        world.database.tamper("ALTER TABLE audit_trail RENAME TO gone").await;
        assert!(admin.call(&world, Method::DELETE, &of(&other)).send().await.status.is_server_error());
        assert_eq!(world.ask(&other, QUESTION).await.status, StatusCode::OK, "what is not recorded is not erased");
    }
}

#[tokio::test]
async fn usage_is_told_by_day_with_its_unit() {
    for engine in World::ENGINES {
        let world = world().engine(engine).start().await;
        let viewer = Someone::of(&world, Role::Viewer).await;
        let scope = Scope::of(world.app.owner);
        let today = world.clock.now().div_euclid(DAY) * DAY;
        for (days, provider) in [(0, "openai"), (0, "openai"), (1, "ollama"), (1, "openai"), (40, "openai")] {
            let row = UsageRow {
                id: UsageId::generate(world.app.clock.as_ref(), world.app.entropy.as_ref()).unwrap(),
                site: world.site.id,
                provider: provider.to_owned(),
                model: "small".to_owned(),
                input_tokens: 100,
                output_tokens: 20,
                micro_usd: 7,
                at: today - days * DAY,
            };
            world.app.store.append(vec![HotRow::Usage { scope, row }]).await.unwrap();
        }
        let (sums, pages) = viewer.all(&world, "/api/v1/usage?limit=2", "usage").await;
        assert_eq!((sums.len(), pages), (3, 2), "30 days where nobody says");
        let last = &sums[2];
        assert_eq!((&last["provider"], &last["calls"], &last["cost"]), (&json!("openai"), &json!(2), &json!(14)));
        assert_eq!((&last["input_tokens"], &last["output_tokens"]), (&json!(200), &json!(40)));
        assert_eq!(last["day"], "2027-01-15");
        let reply = viewer.get(&world, "/api/v1/usage?from=2026-12-01&to=2026-12-31").await.json();
        assert_eq!((&reply["unit"], reply["usage"].as_array().unwrap().len()), (&json!("micro_usd"), 1));
        let of_site = format!("/api/v1/usage?site={}", world.site.id);
        assert_eq!(viewer.get(&world, &of_site).await.json()["usage"].as_array().unwrap().len(), 3);
        for (bad, status) in [
            ("from=yesterday", 422),
            ("from=2027-02-01&to=2027-01-01", 422),
            ("from=2025-01-01&to=2027-01-01", 422),
            ("site=x", 400),
            ("days=3", 400),
        ] {
            assert_eq!(viewer.get(&world, &format!("/api/v1/usage?{bad}")).await.status.as_u16(), status, "{bad}");
        }
        let foreign = OwnerId::generate(world.app.clock.as_ref(), world.app.entropy.as_ref()).unwrap();
        world.app.store.insert_owner(foreign, "another", 1).await.unwrap();
        let theirs = sites::add(&world.app, &Scope::of(foreign), "http://theirs.test", None, &[]).await.unwrap();
        assert_eq!(
            viewer.get(&world, &format!("/api/v1/usage?site={}", theirs.id)).await.status,
            StatusCode::NOT_FOUND
        );
    }
}
