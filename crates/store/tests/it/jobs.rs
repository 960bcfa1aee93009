//! Jobs: one open per subject, one node each, leases, attempts.

use crate::on_both;
use chatward_store::{JOB_ATTEMPTS, JobState};
use chatward_types::{JobId, Kind, NodeId, SECOND};

on_both! {
    async fn a_subject_has_one_open_job(world) {
        let store = world.store();
        let (first, second) = (world.id(JobId::generate), world.id(JobId::generate));
        let enqueue = |id| store.enqueue_job(id, world.alice.owner, "crawl", "site_a", world.now());
        assert_eq!(enqueue(first).await.expect("queued"), first);
        assert_eq!(enqueue(second).await.expect("found"), first);
        let node = world.id(NodeId::generate);
        let job = store.claim_job(node, world.now(), world.now() + SECOND).await.expect("a claim").expect("a job");
        assert_eq!((job.id, job.owner, job.state, job.attempts), (first, world.alice.owner, JobState::Running, 1));
        assert_eq!((job.node, job.lease_until), (Some(node), Some(world.now() + SECOND)));
        assert_eq!(enqueue(second).await.expect("found"), first, "also while it runs");
        assert!(store.finish_job(first, node, r#"{"pages":3}"#, JobState::Done, world.now()).await.expect("an end"));
        assert_eq!(enqueue(second).await.expect("queued"), second, "and anew when it is done");
        let done = store.get_job(first).await.expect("a read").expect("a job");
        assert_eq!((done.state, done.outcome.as_deref()), (JobState::Done, Some(r#"{"pages":3}"#)));
        world.clock.advance(1);
        let third = world.id(JobId::generate);
        store.enqueue_job(third, world.bob.owner, "crawl", "site_b", world.now()).await.expect("queued");
        let listed: Vec<_> = store.list_jobs(2).await.expect("a list").into_iter().map(|job| job.id).collect();
        assert_eq!(listed[0], third, "newest first");
        assert_eq!(listed.len(), 2);
        assert_eq!(store.get_job(world.id(JobId::generate)).await.expect("a read"), None);
        assert_eq!(store.prune_jobs(world.now()).await.expect("pruned"), 1, "open ones stay");
    }

    async fn nodes_that_claim_at_once_get_different_jobs(world) {
        let store = world.store();
        for number in 0..10 {
            world.clock.advance(1);
            let id = world.id(JobId::generate);
            store.enqueue_job(id, world.alice.owner, "crawl", &format!("site_{number}"), world.now()).await.expect("queued");
        }
        let claims = (0..15).map(|_| {
            let (store, node, now) = (store.clone(), world.id(NodeId::generate), world.now());
            async move { store.claim_job(node, now, now + SECOND).await.expect("a claim").map(|job| job.id) }
        });
        let mut claimed: Vec<_> = futures_util::future::join_all(claims).await.into_iter().flatten().collect();
        claimed.sort();
        claimed.dedup();
        assert_eq!(claimed.len(), 10);
    }

    async fn a_lost_lease_passes_on_until_attempts_run_out(world) {
        let store = world.store();
        let id = world.id(JobId::generate);
        store.enqueue_job(id, world.alice.owner, "crawl", "site_a", world.now()).await.expect("queued");
        let mut last = world.id(NodeId::generate);
        for attempt in 1..=JOB_ATTEMPTS {
            let node = world.id(NodeId::generate);
            let job = store.claim_job(node, world.now(), world.now() + SECOND).await.expect("a claim").expect("a job");
            assert_eq!((job.id, job.attempts), (id, attempt));
            assert!(!store.heartbeat_job(id, last, world.now() + SECOND, "{}", world.now()).await.expect("a beat"), "not its any more");
            assert!(!store.finish_job(id, last, "{}", JobState::Done, world.now()).await.expect("an end"), "nor to finish");
            assert!(store.heartbeat_job(id, node, world.now() + SECOND, r#"{"done":1}"#, world.now()).await.expect("a beat"));
            assert_eq!(
                store.claim_job(last, world.now() + SECOND, world.now() + 2 * SECOND).await.expect("a claim"), None,
                "the lease holds to its last microsecond"
            );
            last = node;
            world.clock.advance(SECOND + 1);
        }
        assert_eq!(store.claim_job(last, world.now(), world.now() + SECOND).await.expect("a claim"), None);
        let job = store.get_job(id).await.expect("a read").expect("a job");
        assert_eq!((job.state, job.progress.as_str()), (JobState::Failed, r#"{"done":1}"#));
        let refused = store.finish_job(id, last, "{}", JobState::Queued, world.now()).await.expect_err("no end");
        assert_eq!(refused.kind(), Kind::Invalid);
    }
}
