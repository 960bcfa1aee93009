//! What an owner's pages are made of: sites, sources, crawls, conversations, messages, usage and records, each page by
//! page, and nothing of another owner's.

use crate::on_both;
use chatward_store::{FeedbackRow, HotRow, UsageQuery, UsageRow};
use chatward_types::{DAY, FeedbackId, JobId};

on_both! {
    async fn sites_and_sources_are_listed_page_by_page(world) {
        let (store, alice, bob) = (world.store(), &world.alice, &world.bob);
        assert_eq!(store.count_sites(&alice.scope).await.expect("a count"), 1);
        let sites = store.list_sites_after(&alice.scope, None, 10).await.expect("sites");
        assert_eq!(sites.iter().map(|site| site.id).collect::<Vec<_>>(), [alice.site]);
        assert_eq!(store.list_sites_after(&alice.scope, Some(alice.site), 10).await.expect("sites"), []);
        assert_eq!(store.list_sites_after(&bob.scope, None, 10).await.expect("sites")[0].id, bob.site);

        let generation = store.next_generation(&alice.scope, alice.site).await.expect("a generation");
        let mut pages: Vec<_> = (0..5).map(|number| world.page(&format!("https://shop.example/{number}"))).collect();
        pages.sort_by_key(|page| page.id.to_string());
        store.put_pages(&alice.scope, alice.site, generation, &pages).await.expect("pages");
        assert_eq!(store.list_sources(&alice.scope, alice.site, None, 10).await.expect("pages"), [], "none answers yet");
        store.swap_generation(&alice.scope, alice.site, generation, world.now()).await.expect("a swap");
        let first = store.list_sources(&alice.scope, alice.site, None, 2).await.expect("pages");
        assert_eq!(first, pages[..2]);
        let rest = store.list_sources(&alice.scope, alice.site, Some(first[1].id), 10).await.expect("pages");
        assert_eq!(rest, pages[2..]);
        assert_eq!(store.list_sources(&bob.scope, alice.site, None, 10).await.expect("pages"), []);
    }

    async fn an_owners_crawls_are_listed_newest_first(world) {
        let (store, alice, bob) = (world.store(), &world.alice, &world.bob);
        let subject = alice.site.to_string();
        let mut made = Vec::new();
        for number in 0..3 {
            world.clock.advance(2_000_000);
            let id = world.id(JobId::generate);
            assert_eq!(store.enqueue_job(id, alice.owner, "crawl", &subject, world.now()).await.expect("a job"), id);
            let job = store.claim_job(world.id(chatward_types::NodeId::generate), world.now(), world.now() + 9)
                .await.expect("a claim").expect("a job");
            let node = job.node.expect("a node");
            let state = chatward_store::JobState::Done;
            assert!(store.finish_job(id, node, &format!("{{\"pages\":{number}}}"), state, world.now()).await.expect("an end"));
            made.push(id);
        }
        let list = async |before, limit| {
            let jobs = store.list_subject_jobs(&alice.scope, "crawl", &subject, before, limit).await.expect("jobs");
            jobs.into_iter().map(|job| job.id).collect::<Vec<_>>()
        };
        assert_eq!(list(None, 2).await, [made[2], made[1]]);
        assert_eq!(list(Some(made[1]), 2).await, [made[0]]);
        assert_eq!(store.list_subject_jobs(&bob.scope, "crawl", &subject, None, 9).await.expect("jobs"), []);
    }

    async fn conversations_are_listed_with_their_counts_and_read_in_order(world) {
        let (store, alice, bob) = (world.store(), &world.alice, &world.bob);
        let mut sessions = Vec::new();
        for _ in 0..3 {
            world.clock.advance(2_000_000);
            sessions.push(world.open(alice).await);
        }
        let busy = &sessions[1];
        let mut said = Vec::new();
        for text in ["one", "two", "three"] {
            said.push(world.say(alice, busy, text).await);
        }
        for (message, rating) in [(0, 1), (1, -1), (2, -1)] {
            let feedback = FeedbackRow {
                id: world.id(FeedbackId::generate), message: said[message].id, conversation: busy.conversation,
                rating, reason_sealed: None, at: world.now(),
            };
            assert!(store.upsert_feedback(&alice.scope, &feedback).await.expect("feedback"));
        }
        let page = store.list_conversations(&alice.scope, alice.site, None, 2).await.expect("a page");
        assert_eq!(page.iter().map(|row| row.id).collect::<Vec<_>>(), [sessions[2].conversation, busy.conversation]);
        assert_eq!((page[0].messages, page[0].up, page[0].down), (0, 0, 0));
        assert_eq!((page[1].messages, page[1].up, page[1].down), (3, 1, 2));
        assert_eq!(page[1].session, busy.id);
        let rest = store.list_conversations(&alice.scope, alice.site, Some(page[1].id), 2).await.expect("a page");
        assert_eq!(rest.iter().map(|row| row.id).collect::<Vec<_>>(), [sessions[0].conversation]);
        assert_eq!(store.get_conversation(&alice.scope, busy.conversation).await.expect("a read"), Some(page[1].clone()));
        let first = store.messages_after(&alice.scope, busy.conversation, None, 2).await.expect("messages");
        assert_eq!(first, said[..2]);
        let after = Some((first[1].created_at, first[1].id));
        assert_eq!(store.messages_after(&alice.scope, busy.conversation, after, 2).await.expect("messages"), said[2..]);

        assert_eq!(store.list_conversations(&bob.scope, alice.site, None, 9).await.expect("a page"), []);
        assert_eq!(store.get_conversation(&bob.scope, busy.conversation).await.expect("a read"), None);
        assert_eq!(store.messages_after(&bob.scope, busy.conversation, None, 9).await.expect("messages"), []);
    }

    async fn usage_is_summed_by_day_provider_and_model(world) {
        let (store, alice, bob) = (world.store(), &world.alice, &world.bob);
        let use_at = async |provider: &str, at: i64| {
            let row = UsageRow { provider: provider.to_owned(), at, ..world.usage(alice) };
            store.append(vec![HotRow::Usage { scope: alice.scope, row }]).await.expect("usage");
        };
        for (provider, at) in [("a", DAY), ("a", DAY + 5), ("b", 2 * DAY - 1), ("a", 2 * DAY), ("a", 9 * DAY)] {
            use_at(provider, at).await;
        }
        let query = UsageQuery { from: DAY, until: 9 * DAY, ..UsageQuery::default() };
        let all = store.usage_by_day(&alice.scope, &query, 10).await.expect("sums");
        let seen: Vec<_> = all.iter().map(|sum| (sum.day, sum.provider.as_str(), sum.answers, sum.micro_usd)).collect();
        assert_eq!(seen, [(1, "a", 2, 14), (1, "b", 1, 7), (2, "a", 1, 7)]);
        assert_eq!((all[0].input_tokens, all[0].output_tokens, all[0].model.as_str()), (200, 40, "small"));
        let one = store.usage_by_day(&alice.scope, &query, 1).await.expect("sums");
        assert_eq!(one, all[..1]);
        let after = (1, "a".to_owned(), "small".to_owned());
        let rest = UsageQuery { after, site: Some(alice.site), ..query.clone() };
        assert_eq!(store.usage_by_day(&alice.scope, &rest, 10).await.expect("sums"), all[1..]);
        let elsewhere = UsageQuery { site: Some(bob.site), ..query.clone() };
        assert_eq!(store.usage_by_day(&alice.scope, &elsewhere, 10).await.expect("sums"), []);
        assert_eq!(store.usage_by_day(&bob.scope, &query, 10).await.expect("sums"), []);
    }

    async fn administrative_reads_are_counted_by_their_name(world) {
        let store = world.store();
        store.take_administrative_reads();
        for _ in 0..2 {
            store.admin_list_sites().await.expect("sites");
        }
        store.admin_idle_sessions(0, 1).await.expect("sessions");
        let counted = store.take_administrative_reads();
        assert_eq!(counted, [("admin_idle_sessions", 1), ("admin_list_sites", 2)]);
        assert_eq!(store.take_administrative_reads(), []);
    }
}
