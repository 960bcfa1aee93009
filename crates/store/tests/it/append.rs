//! `append`: all or nothing, durable, batched, and never at a neighbour's cost.

use crate::on_both;
use chatward_store::{HotRow, MessageState, Role, Store, StoreConfig};
use chatward_types::{Kind, MessageId};
use std::time::Duration;

on_both! {
    async fn messages_come_back_as_they_were_written(world) {
        let session = world.open(&world.alice).await;
        assert_eq!(
            world.store().load_session(&world.alice.scope, &session.id).await.expect("a read").as_ref(),
            Some(&session)
        );
        let mut written = Vec::new();
        for number in 0..5 {
            let mut row = world.message(&session, "x");
            // Bytes that are no text, of different lengths, cut out of one blob.
            row.sealed = (0..=255).cycle().take(100 + number * 37).collect();
            if number % 2 == 1 {
                row.role = Role::Assistant;
                row.state = MessageState::Interrupted;
                row.provider = "quote \" back \\ slash ü".to_owned();
            }
            written.push(row);
        }
        let rows = written.iter().map(|row| HotRow::Message { scope: world.alice.scope, row: row.clone() }).collect();
        world.store().append(rows).await.expect("five messages at once");
        let read = world.store().list_messages(&world.alice.scope, session.conversation, 100).await.expect("a list");
        assert_eq!(read, written);
        let newest = world.store().list_messages(&world.alice.scope, session.conversation, 2).await.expect("a list");
        assert_eq!(newest, written[3..], "the newest, oldest first");
        assert_eq!(world.store().count_messages(&world.alice.scope, session.conversation).await.expect("a count"), 5);
    }

    async fn many_at_once_of_two_owners_all_arrive(world) {
        let (ours, theirs) = (world.open(&world.alice).await, world.open(&world.bob).await);
        let mut waiting = Vec::new();
        for number in 0..200 {
            let (tenant, session) = if number % 3 == 0 { (&world.bob, &theirs) } else { (&world.alice, &ours) };
            let row = world.message(session, &number.to_string());
            let store = world.store().clone();
            let scope = tenant.scope;
            waiting.push(tokio::spawn(async move {
                store.append(vec![
                    HotRow::Message { scope, row: row.clone() },
                ]).await.map(|()| row)
            }));
        }
        for task in waiting {
            let row = task.await.expect("no panic").expect("an acknowledgement");
            let scope = if row.conversation == theirs.conversation { world.bob.scope } else { world.alice.scope };
            let stored = world.store().list_messages(&scope, row.conversation, 1000).await.expect("a list");
            assert!(stored.contains(&row), "what is acknowledged is there, with its own body");
        }
        assert_eq!(world.store().count_messages(&world.bob.scope, theirs.conversation).await.expect("a count"), 67);
        assert_eq!(world.store().count_messages(&world.alice.scope, ours.conversation).await.expect("a count"), 133);
    }

    async fn a_writer_that_has_rested_goes_on(world) {
        let session = world.open(&world.alice).await;
        let mut said = vec![world.say(&world.alice, &session, "before").await];
        // Longer than the writer on SQLite keeps its connection open for nobody.
        tokio::time::sleep(Duration::from_millis(2500)).await;
        said.push(world.say(&world.alice, &session, "after").await);
        said.push(world.say(&world.alice, &session, "at once").await);
        let read = world.store().list_messages(&world.alice.scope, session.conversation, 100).await.expect("a list");
        assert_eq!(read, said);
    }

    async fn an_append_is_all_or_nothing(world) {
        let session = world.open(&world.alice).await;
        let first = world.say(&world.alice, &session, "first").await;
        let good = world.message(&session, "good");
        let mut twin = world.message(&session, "twin");
        twin.id = first.id;
        let usage = world.usage(&world.alice);
        let refused = world.store().append(vec![
            HotRow::Message { scope: world.alice.scope, row: good },
            HotRow::Usage { scope: world.alice.scope, row: usage },
            HotRow::Message { scope: world.alice.scope, row: twin },
        ]).await.expect_err("the id is taken");
        assert_eq!(refused.kind(), Kind::Conflict);
        let stored = world.store().list_messages(&world.alice.scope, session.conversation, 10).await.expect("a list");
        assert_eq!(stored, [first], "neither the good message nor a second of the same id");
        let totals = world.store().usage_since(&world.alice.scope, world.alice.site, 0).await.expect("totals");
        assert_eq!(totals, [], "nor the usage");
    }

    async fn a_bad_row_fails_its_own_append_and_no_neighbour(world) {
        let session = world.open(&world.alice).await;
        let taken = world.say(&world.alice, &session, "taken").await;
        let erased = world.session(&world.alice);
        let mut waiting = Vec::new();
        for number in 0..60 {
            let mut row = world.message(&session, &number.to_string());
            let expected = match number % 10 {
                3 => { row.id = taken.id; Some(Kind::Conflict) }
                7 => { row.conversation = erased.conversation; Some(Kind::NotFound) }
                _ => None,
            };
            let (store, scope) = (world.store().clone(), world.alice.scope);
            waiting.push(async move {
                let outcome = store.append(vec![HotRow::Message { scope, row }]).await;
                assert_eq!(outcome.err().map(|error| error.kind()), expected, "number {number}");
            });
        }
        // All are asked before any is answered, so that they share batches.
        futures_join(waiting).await;
        assert_eq!(world.store().count_messages(&world.alice.scope, session.conversation).await.expect("a count"), 49);
        assert_eq!(world.store().count_messages(&world.alice.scope, erased.conversation).await.expect("a count"), 0);
    }

    async fn a_message_never_brings_an_erased_conversation_back(world) {
        let session = world.open(&world.alice).await;
        world.say(&world.alice, &session, "before").await;
        let late = world.message(&session, "late");
        world.store().delete_session(&world.alice.scope, &session.id, world.now()).await.expect("erased").expect("it was there");
        let usage = world.usage(&world.alice);
        let refused = world.store().append(vec![
            HotRow::Usage { scope: world.alice.scope, row: usage },
            HotRow::Message { scope: world.alice.scope, row: late },
            HotRow::Touch { scope: world.alice.scope, session: session.id.clone(), at: world.now() + 1 },
        ]).await.expect_err("the conversation is gone");
        assert_eq!(refused.kind(), Kind::NotFound);
        assert_eq!(world.store().count_messages(&world.alice.scope, session.conversation).await.expect("a count"), 0);
        assert_eq!(world.store().load_session(&world.alice.scope, &session.id).await.expect("a read"), None);
        assert_eq!(world.store().usage_since(&world.alice.scope, world.alice.site, 0).await.expect("totals"), []);
    }

    async fn a_touch_moves_forward_only_and_makes_nothing(world) {
        let session = world.open(&world.alice).await;
        let at = |at| HotRow::Touch { scope: world.alice.scope, session: session.id.clone(), at };
        let later = session.last_activity_at + 1000;
        // Both directions in one append: the latest counts, whatever the order.
        world.store().append(vec![at(later), at(later - 500)]).await.expect("a touch");
        world.store().append(vec![at(later - 900)]).await.expect("a late touch");
        let stored = world.store().load_session(&world.alice.scope, &session.id).await.expect("a read").expect("a session");
        assert_eq!(stored.last_activity_at, later);
        let stranger = world.session(&world.alice);
        world.store().append(vec![HotRow::Touch {
            scope: world.alice.scope, session: stranger.id.clone(), at: later,
        }]).await.expect("nothing to touch is no error");
        assert_eq!(world.store().load_session(&world.alice.scope, &stranger.id).await.expect("a read"), None);
    }

    async fn a_session_and_its_first_message_go_together(world) {
        let session = world.session(&world.alice);
        let message = world.message(&session, "hello");
        world.store().append(vec![
            HotRow::Message { scope: world.alice.scope, row: message.clone() },
            HotRow::Session(session.clone()),
        ]).await.expect("in whatever order");
        assert_eq!(
            world.store().list_messages(&world.alice.scope, session.conversation, 10).await.expect("a list"),
            [message]
        );
        let mut again = session.clone();
        again.conversation = world.session(&world.alice).conversation;
        let refused = world.store().append(vec![HotRow::Session(again)]).await.expect_err("the session is there");
        assert_eq!(refused.kind(), Kind::Conflict);
        let mut nowhere = world.session(&world.alice);
        nowhere.site = world.id(chatward_types::SiteId::generate);
        let refused = world.store().append(vec![HotRow::Session(nowhere)]).await.expect_err("there is no such site");
        assert_eq!(refused.kind(), Kind::NotFound);
    }

    async fn usage_adds_up_by_provider_and_model(world) {
        let (mut first, mut second) = (world.usage(&world.alice), world.usage(&world.alice));
        first.micro_usd = i64::from(i32::MAX);
        second.micro_usd = i64::from(i32::MAX);
        world.clock.advance(10);
        let mut other = world.usage(&world.alice);
        other.model = "large".to_owned();
        let since = other.at;
        let rows = [first, second, other].map(|row| HotRow::Usage { scope: world.alice.scope, row });
        world.store().append(rows.to_vec()).await.expect("usage");
        let all = world.store().usage_since(&world.alice.scope, world.alice.site, 0).await.expect("totals");
        assert_eq!(all.iter().map(|total| (total.model.as_str(), total.answers)).collect::<Vec<_>>(), [("large", 1), ("small", 2)]);
        assert_eq!((all[1].input_tokens, all[1].output_tokens), (200, 40));
        assert_eq!(all[1].micro_usd, 2 * i64::from(i32::MAX), "sums do not overflow at 32 bits");
        let recent = world.store().usage_since(&world.alice.scope, world.alice.site, since).await.expect("totals");
        assert_eq!(recent.len(), 1);
    }

    async fn too_much_at_once_is_refused_before_the_queue(world) {
        let session = world.open(&world.alice).await;
        let mut huge = world.message(&session, "");
        huge.sealed = vec![1; (4 << 20) + 1];
        let refused = world.store().append(vec![HotRow::Message { scope: world.alice.scope, row: huge }]).await;
        assert_eq!(refused.expect_err("too large").kind(), Kind::TooLarge);
        let touch = HotRow::Touch { scope: world.alice.scope, session: session.id.clone(), at: 1 };
        assert_eq!(world.store().append(vec![touch; 513]).await.expect_err("too many").kind(), Kind::TooLarge);
        world.store().append(Vec::new()).await.expect("nothing is nothing");
    }

    async fn bodies_beyond_one_batch_still_arrive(world) {
        let session = world.open(&world.alice).await;
        let mut waiting = Vec::new();
        for number in 0..10_u8 {
            let mut row = world.message(&session, "");
            row.sealed = vec![number; 1 << 20];
            let (store, scope) = (world.store().clone(), world.alice.scope);
            waiting.push(async move { store.append(vec![HotRow::Message { scope, row }]).await.expect("stored") });
        }
        futures_join(waiting).await;
        let read = world.store().list_messages(&world.alice.scope, session.conversation, 100).await.expect("a list");
        assert_eq!(read.len(), 10);
        for (number, row) in (0..10_u8).zip(read) {
            assert!(row.sealed.len() == 1 << 20 && row.sealed.iter().all(|byte| *byte == number));
        }
    }

    async fn closing_drains_the_queue_and_then_refuses(world) {
        let session = world.open(&world.alice).await;
        let mut waiting = Vec::new();
        for number in 0..100 {
            let row = world.message(&session, &number.to_string());
            let (store, scope) = (world.store().clone(), world.alice.scope);
            waiting.push(tokio::spawn(async move {
                let id = row.id;
                store.append(vec![HotRow::Message { scope, row }]).await.map(|()| id)
            }));
        }
        // Lets the appends reach the queue, so that the close has something to drain.
        tokio::task::yield_now().await;
        world.store().close().await;
        let mut acknowledged: Vec<MessageId> = Vec::new();
        for task in waiting {
            match task.await.expect("no panic") {
                Ok(id) => acknowledged.push(id),
                Err(refused) => assert_eq!(refused.kind(), Kind::Unavailable),
            }
        }
        assert!(!acknowledged.is_empty());
        let refused = world.store().append(vec![HotRow::Touch {
            scope: world.alice.scope, session: session.id.clone(), at: 1,
        }]).await;
        assert_eq!(refused.expect_err("closed").kind(), Kind::Unavailable);
        world.store().close().await;

        let config = StoreConfig { acquire_deadline: Duration::from_secs(30), ..world.db.config().clone() };
        let store = Store::connect(&config).await.expect("opened again");
        let stored: Vec<_> = store.list_messages(&world.alice.scope, session.conversation, 1000).await.expect("a list")
            .into_iter().map(|row| row.id).collect();
        assert!(acknowledged.iter().all(|id| stored.contains(id)), "every acknowledged message is there");
        assert_eq!(acknowledged.len(), stored.len(), "and a refused one is not");
        store.close().await;
    }
}

/// Runs all at once and waits for all.
async fn futures_join(work: Vec<impl Future<Output = ()>>) {
    futures_util::future::join_all(work).await;
}
