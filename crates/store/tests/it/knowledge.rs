//! Knowledge: built under a generation, swapped whole.

use crate::on_both;
use chatward_store::{ChunkRow, PageRow, change};
use chatward_types::{Kind, SiteId};

on_both! {
    async fn a_generation_answers_only_after_its_swap(world) {
        let (store, scope, site) = (world.store(), &world.alice.scope, world.alice.site);
        let first = world.learn(&world.alice, "old").await;
        let second = world.prepare(&world.alice, "new").await;
        assert!(second > first);
        let present = || async { store.get_site(scope, site).await.expect("a read").expect("a site").index_generation };
        assert_eq!(present().await, first);
        let seq = store.latest_change().await.expect("a number");
        store.swap_generation(scope, site, second, world.now()).await.expect("a swap");
        assert_eq!(present().await, second);
        assert_eq!(store.load_segments(scope, site, second).await.expect("segments"), [b"new".to_vec()]);
        assert_eq!(store.load_segments(scope, site, first).await.expect("segments"), Vec::<Vec<u8>>::new());
        assert_eq!(store.chunks_by_ordinal(scope, site, first, &[0]).await.expect("chunks"), []);
        let changes = store.changes_after(seq, 10).await.expect("changes");
        assert_eq!((changes[0].kind.as_str(), changes[0].subject.clone()), (change::INDEX_SWAPPED, site.to_string()));
        for stale in [first, second, second + 1] {
            let refused = store.swap_generation(scope, site, stale, world.now()).await.expect_err("no way back");
            assert_eq!(refused.kind(), Kind::NotFound);
        }
        let unknown = world.id(SiteId::generate);
        assert_eq!(store.next_generation(scope, unknown).await.expect_err("no site").kind(), Kind::NotFound);
    }

    async fn passages_come_with_their_page(world) {
        let (store, scope, site) = (world.store(), &world.alice.scope, world.alice.site);
        let generation = store.next_generation(scope, site).await.expect("a generation");
        let pages: Vec<PageRow> = (0..3).map(|number| world.page(&format!("https://shop.example/{number}"))).collect();
        store.put_pages(scope, site, generation, &pages).await.expect("pages");
        // More than one statement takes, and a NUL as a hostile page may have it.
        let chunks: Vec<ChunkRow> = (0..700_usize).map(|number| ChunkRow {
            ordinal: number as i64,
            page: pages[number % 3].id,
            heading: "A > B".to_owned(),
            text: format!("text\0 of {number} \u{1F600}"),
        }).collect();
        store.put_chunks(scope, site, generation, &chunks).await.expect("chunks");
        for ordinal in 0..2 {
            store.put_segment(scope, site, generation, ordinal, vec![u8::try_from(ordinal).expect("small"); 3]).await.expect("a segment");
        }
        assert_eq!(store.load_segments(scope, site, generation).await.expect("segments"), [vec![0; 3], vec![1; 3]]);
        let mut found = store.chunks_by_ordinal(scope, site, generation, &[5, 699, 4000]).await.expect("passages");
        found.sort_by_key(|passage| passage.ordinal);
        assert_eq!(found.iter().map(|passage| passage.ordinal).collect::<Vec<_>>(), [5, 699]);
        assert_eq!(found[0].text, "text of 5 \u{1F600}");
        assert_eq!((found[0].title.as_str(), found[0].url.as_str()), ("Title of https://shop.example/2", "https://shop.example/2"));
        let mut all = Vec::new();
        loop {
            let after = all.last().map_or(-1, |passage: &chatward_store::PassageRow| passage.ordinal);
            let more = store.all_chunks(scope, site, generation, after, 300).await.expect("passages");
            if more.is_empty() { break; }
            all.extend(more);
        }
        assert_eq!(all.len(), 700);
        assert!(all.iter().zip(0..).all(|(passage, ordinal)| passage.ordinal == ordinal));
        assert_eq!(store.list_pages(scope, site).await.expect("pages"), pages);
        let homeless = ChunkRow { ordinal: 9999, page: world.page("https://x.example").id, heading: String::new(), text: String::new() };
        assert_eq!(store.put_chunks(scope, site, generation, &[homeless]).await.expect_err("no page").kind(), Kind::NotFound);
    }

    async fn a_failed_crawl_leaves_its_report_and_the_old_index(world) {
        let (store, scope, site) = (world.store(), &world.alice.scope, world.alice.site);
        let good = world.learn(&world.alice, "good").await;
        let report = store.list_pages(scope, site).await.expect("pages");
        let first = world.prepare(&world.alice, "half").await;
        store.drop_generation(scope, site, first).await.expect("dropped");
        assert_eq!(store.load_segments(scope, site, first).await.expect("segments"), Vec::<Vec<u8>>::new());
        let failed = store.list_pages(scope, site).await.expect("pages");
        assert_ne!(failed, report, "the report of the failed crawl");
        let second = world.prepare(&world.alice, "half again").await;
        store.drop_generation(scope, site, second).await.expect("dropped");
        assert_ne!(store.list_pages(scope, site).await.expect("pages"), failed, "reports do not pile up");
        store.drop_generation(scope, site, good).await.expect("no error");
        assert_eq!(store.load_segments(scope, site, good).await.expect("segments"), [b"good".to_vec()], "what answers is never dropped");
        assert_eq!(store.chunks_by_ordinal(scope, site, good, &[0]).await.expect("passages").len(), 1);
    }
}
