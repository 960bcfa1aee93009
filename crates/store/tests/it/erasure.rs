//! Sessions: erased on demand and when idle, with everything of theirs and nothing else.

use crate::on_both;
use crate::world::World;
use chatward_store::{Engine, Erased, ErasedSessions, FeedbackRow, HotRow, change};
use chatward_types::{FeedbackId, SECOND};

on_both! {
    async fn deleting_a_session_erases_what_is_its_own(world) {
        let (session, other) = (world.open(&world.alice).await, world.open(&world.alice).await);
        let message = world.say(&world.alice, &session, "erase me").await;
        world.say(&world.alice, &session, "and me").await;
        let kept = world.say(&world.alice, &other, "keep me").await;
        let feedback = FeedbackRow {
            id: world.id(FeedbackId::generate), message: message.id, conversation: session.conversation,
            rating: 1, reason_sealed: Some(vec![1, 2]), at: world.now(),
        };
        assert!(world.store().upsert_feedback(&world.alice.scope, &feedback).await.expect("feedback"));
        let seq = world.store().latest_change().await.expect("a number");

        let erased = world.store().delete_session(&world.alice.scope, &session.id, world.now()).await.expect("erased");
        assert_eq!(erased, Some(Erased { messages: 2, feedback: 1 }));
        assert_eq!(world.store().load_session(&world.alice.scope, &session.id).await.expect("a read"), None);
        assert_eq!(world.store().list_messages(&world.alice.scope, session.conversation, 10).await.expect("a list"), []);
        assert_eq!(world.store().list_feedback(&world.alice.scope, session.conversation).await.expect("a list"), []);
        assert_eq!(world.store().list_messages(&world.alice.scope, other.conversation, 10).await.expect("a list"), [kept]);
        let changes = world.store().changes_after(seq, 10).await.expect("changes");
        assert_eq!(changes.len(), 1);
        assert_eq!((changes[0].kind.as_str(), changes[0].subject.as_str()), (change::SESSION_ERASED, session.id.as_str()));
        assert_eq!(changes[0].owner, Some(world.alice.owner));
        let again = world.store().delete_session(&world.alice.scope, &session.id, world.now()).await.expect("no error");
        assert_eq!(again, None, "a second time there is nothing");
    }

    async fn a_sweep_takes_the_idle_and_spares_the_active(world) {
        let idle = world.open(&world.alice).await;
        world.say(&world.alice, &idle, "old").await;
        let awakened = world.open(&world.alice).await;
        let theirs = world.open(&world.bob).await;
        world.clock.advance(10 * SECOND);
        let before = world.now();
        let fresh = world.open(&world.alice).await;

        let found = world.store().admin_idle_sessions(before, 100).await.expect("a list");
        assert_eq!(found.len(), 3, "of every owner: {found:?}");
        assert!(found.contains(&(world.alice.owner, idle.id.clone())) && found.contains(&(world.bob.owner, theirs.id.clone())));
        assert_eq!(world.store().admin_idle_sessions(before, 1).await.expect("a list").len(), 1, "no more than asked for");

        // Used between the look and the sweep.
        world.store().append(vec![HotRow::Touch {
            scope: world.alice.scope, session: awakened.id.clone(), at: before,
        }]).await.expect("a touch");
        let seq = world.store().latest_change().await.expect("a number");
        let listed = [idle.id.clone(), awakened.id.clone(), fresh.id.clone(), theirs.id.clone()];
        let erased = world.store()
            .delete_idle_sessions(&world.alice.scope, &listed, before, world.now()).await.expect("a sweep");
        assert_eq!(erased, ErasedSessions { sessions: 1, messages: 1, feedback: 0 });
        for (tenant, session, stays) in [
            (&world.alice, &idle, false), (&world.alice, &awakened, true),
            (&world.alice, &fresh, true), (&world.bob, &theirs, true),
        ] {
            let there = world.store().load_session(&tenant.scope, &session.id).await.expect("a read").is_some();
            assert_eq!(there, stays, "{:?}", session.id);
        }
        assert_eq!(world.store().changes_after(seq, 10).await.expect("changes").len(), 1);
        let nothing = world.store()
            .delete_idle_sessions(&world.alice.scope, &[], before, world.now()).await.expect("an empty sweep");
        assert_eq!(nothing, ErasedSessions::default());
    }

    async fn feedback_belongs_to_a_message_of_its_conversation(world) {
        let (session, other) = (world.open(&world.alice).await, world.open(&world.alice).await);
        let message = world.say(&world.alice, &session, "an answer").await;
        let feedback = FeedbackRow {
            id: world.id(FeedbackId::generate), message: message.id, conversation: session.conversation,
            rating: -1, reason_sealed: None, at: world.now(),
        };
        let elsewhere = FeedbackRow { conversation: other.conversation, ..feedback.clone() };
        assert!(!world.store().upsert_feedback(&world.alice.scope, &elsewhere).await.expect("an answer"));
        assert!(world.store().upsert_feedback(&world.alice.scope, &feedback).await.expect("an answer"));
        let changed = FeedbackRow {
            id: world.id(FeedbackId::generate), rating: 1, reason_sealed: Some(vec![9]), at: world.now() + 1, ..feedback
        };
        assert!(world.store().upsert_feedback(&world.alice.scope, &changed).await.expect("an answer"));
        assert_eq!(
            world.store().list_feedback(&world.alice.scope, session.conversation).await.expect("a list"),
            [changed], "the last one counts"
        );
        let wrong = FeedbackRow { rating: 5, ..world.store()
            .list_feedback(&world.alice.scope, session.conversation).await.expect("a list").remove(0) };
        assert!(world.store().upsert_feedback(&world.alice.scope, &wrong).await.is_err(), "neither good nor bad");
    }
}

#[tokio::test]
async fn what_is_erased_is_not_in_the_file_any_more() {
    let world = World::new(Engine::Sqlite).await;
    let (session, other) = (world.open(&world.alice).await, world.open(&world.alice).await);
    for number in 0..300 {
        world.say(&world.alice, &session, &format!("erased-canary-{number}")).await;
        world.say(&world.alice, &other, &format!("kept-canary-{number}")).await;
    }
    world.store().delete_session(&world.alice.scope, &session.id, world.now()).await.expect("erased");
    world.store().close().await;
    let file = std::fs::read(world.db.path().expect("a file")).expect("the file");
    let count = |word: &[u8]| file.windows(word.len()).filter(|bytes| *bytes == word).count();
    assert_eq!(count(b"kept-canary"), 300, "bodies are found this way");
    assert_eq!(count(b"erased-canary"), 0);
}
