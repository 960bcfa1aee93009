//! What the limiter promises, each promise on its own.

use super::*;
use chatward_types::{HOUR, MINUTE};
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::atomic::AtomicU32;

const CHAT: [Rule; 2] = [Rule { limit: 60, window_seconds: 60 }, Rule { limit: 1000, window_seconds: 3600 }];
const START: Timestamp = 1_700_000_000_000_000;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn v4(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(number))
}

fn limiter() -> WindowLimiter {
    WindowLimiter::new(65_536)
}

fn check(limiter: &WindowLimiter, text: &str, now: Timestamp) -> Decision {
    limiter.check(0, address(text), &CHAT, 1.0, now)
}

/// How many of `requests` at one moment pass.
fn passing(limiter: &WindowLimiter, who: IpAddr, requests: u32, now: Timestamp) -> usize {
    (0..requests).filter(|_| limiter.check(0, who, &CHAT, 1.0, now).allowed).count()
}

#[test]
fn sixty_means_sixty_and_the_window_begins_at_the_first_request() {
    let limiter = limiter();
    // A moment that is no whole minute of the clock.
    let start = START + 17 * SECOND + 1;
    assert_eq!(passing(&limiter, address("192.0.2.1"), 30, start), 30);
    assert_eq!(passing(&limiter, address("192.0.2.1"), 40, start + MINUTE - 1), 30);
    assert_eq!(passing(&limiter, address("192.0.2.1"), 70, start + MINUTE), 60);
    assert_eq!(passing(&limiter, address("192.0.2.2"), 70, start), 60, "another has its own");
}

#[test]
fn a_refusal_lengthens_nothing_and_says_when_to_return() {
    let limiter = limiter();
    assert_eq!(passing(&limiter, address("192.0.2.1"), 60, START), 60);
    for second in 0..60 {
        let decision = check(&limiter, "192.0.2.1", START + second * SECOND);
        assert!(!decision.allowed);
        assert_eq!(i64::from(decision.reset_seconds), 60 - second);
        assert_eq!((decision.limit, decision.remaining, decision.window_seconds), (60, 0, 60));
    }
    let last = check(&limiter, "192.0.2.1", START + MINUTE - 1);
    assert_eq!((last.allowed, last.reset_seconds), (false, 1));
    assert!(check(&limiter, "192.0.2.1", START + MINUTE).allowed);
}

#[test]
fn the_minute_and_the_hour_hold_at_once() {
    let limiter = limiter();
    let mut passed = 0;
    for minute in 0..16 {
        passed += passing(&limiter, address("192.0.2.1"), 60, START + minute * MINUTE);
    }
    passed += passing(&limiter, address("192.0.2.1"), 40, START + 16 * MINUTE);
    assert_eq!(passed, 1000);
    let refused = check(&limiter, "192.0.2.1", START + 16 * MINUTE);
    assert!(!refused.allowed);
    assert_eq!((refused.limit, refused.window_seconds), (1000, 3600), "the hour refuses");
    assert_eq!(refused.reset_seconds, 44 * 60);
    assert!(!check(&limiter, "192.0.2.1", START + HOUR - 1).allowed);
    assert!(check(&limiter, "192.0.2.1", START + HOUR).allowed);
}

#[test]
fn refused_requests_are_counted() {
    let limiter = limiter();
    assert_eq!(passing(&limiter, address("192.0.2.1"), 1000, START), 60);
    let later = check(&limiter, "192.0.2.1", START + MINUTE);
    assert!(!later.allowed && later.window_seconds == 3600, "{later:?}");
}

#[test]
fn of_two_refusing_rules_the_longer_wait_is_told() {
    let limiter = limiter();
    passing(&limiter, address("192.0.2.1"), 1001, START);
    assert_eq!(check(&limiter, "192.0.2.1", START).reset_seconds, 3600);
}

#[test]
fn the_fields_count_down() {
    let limiter = limiter();
    for left in (0..60).rev() {
        let decision = check(&limiter, "192.0.2.1", START);
        assert!(decision.allowed);
        assert_eq!((decision.limit, decision.remaining, decision.reset_seconds), (60, left, 60));
    }
}

#[test]
fn groups_count_apart() {
    let limiter = limiter();
    assert_eq!(passing(&limiter, address("192.0.2.1"), 61, START), 60);
    assert!(limiter.check(1, address("192.0.2.1"), &CHAT, 1.0, START).allowed);
}

#[test]
fn an_ipv6_64_is_one_client() {
    let limiter = limiter();
    let of_64 = |low: u128| IpAddr::V6(Ipv6Addr::from(0x2001_0db8_0001_0002_u128 << 64 | low));
    let passed = (0..100).filter(|low| limiter.check(0, of_64(*low), &CHAT, 1.0, START).allowed).count();
    assert_eq!(passed, 60);
    assert!(check(&limiter, "2001:db8:1:3::", START).allowed);
    assert_eq!(limiter.len(), 2);
}

#[test]
fn under_load_limits_tighten_but_never_to_nothing() {
    let limiter = limiter();
    let tight = |limiter: &WindowLimiter, scale| {
        let rules = [Rule { limit: 60, window_seconds: 60 }];
        limiter.check(0, address("192.0.2.1"), &rules, scale, START)
    };
    for _ in 0..30 {
        assert_eq!(tight(&limiter, 0.5).limit, 30);
    }
    assert!(!tight(&limiter, 0.5).allowed);
    assert!(tight(&limiter, 1.0).allowed, "the load is gone, the rest of the window is back");
    let rule = Rule { limit: 3, window_seconds: 60 };
    for scale in [0.0, 0.1, -1.0, f32::NAN] {
        assert_eq!(rule.scaled(scale), 1);
    }
    assert_eq!(rule.scaled(f32::INFINITY), 3);
    assert_eq!(Rule { limit: u32::MAX, window_seconds: 1 }.scaled(1.0), u32::MAX);
    assert_eq!(Rule { limit: 0, window_seconds: 1 }.scaled(0.5), 0);
}

#[test]
fn no_rule_refuses_nobody_and_too_many_refuse_everybody() {
    let limiter = limiter();
    assert!(limiter.check(0, v4(1), &[], 1.0, START).allowed);
    assert!(!limiter.check(0, v4(1), &[CHAT[0]; MAX_RULES + 1], 1.0, START).allowed);
    let closed = [Rule { limit: 0, window_seconds: 60 }];
    assert!(!limiter.check(1, v4(1), &closed, 1.0, START).allowed);
}

#[test]
fn a_flood_of_a_million_addresses_stays_within_capacity_and_buys_nothing() {
    let capacity = 4096;
    let limiter = WindowLimiter::new(capacity);
    let before = address("198.51.100.7");
    assert_eq!(passing(&limiter, before, 60, START), 60);

    let mut passed = 0_u64;
    for number in 0..1_000_000_u32 {
        // Spread over every /16, so that no network is spared.
        let flooder = v4(number.wrapping_mul(2_654_435_761));
        passed += u64::from(limiter.check(0, flooder, &CHAT, 1.0, START + 1).allowed);
        assert!(number % 1000 != 0 || limiter.len() <= capacity);
    }
    assert!(limiter.len() <= capacity && limiter.len() > capacity / 2, "{}", limiter.len());
    assert!(limiter.shared() > 0);
    // Whoever found no room shares: what passes is bounded by the counts held, not by the addresses.
    assert!(passed <= (capacity as u64 + 1) * 60, "{passed} passed");

    assert!(!limiter.check(0, before, &CHAT, 1.0, START + MINUTE - 1).allowed, "pushed out");
    assert_eq!(passing(&limiter, before, 61, START + MINUTE), 60);

    // Addresses of the flood come back: all of them together have what is left of the shared counts.
    let again = (0..100_000_u32)
        .map(|number| v4(number.wrapping_mul(2_654_435_761)))
        .filter(|flooder| limiter.check(0, *flooder, &CHAT, 1.0, START + 2).allowed)
        .count();
    assert!(again <= capacity * 60);
    assert!(limiter.len() <= capacity);
}

#[test]
fn no_single_address_of_an_overflow_gets_more_than_its_limit() {
    let limiter = WindowLimiter::new(192);
    for number in 0..100_000_u32 {
        limiter.check(0, v4(number.wrapping_mul(2_654_435_761)), &CHAT, 1.0, START);
    }
    for number in 0..1000_u32 {
        let who = v4(number.wrapping_mul(40_503).wrapping_add(7));
        assert!(passing(&limiter, who, 70, START + SECOND) <= 60);
    }
}

#[test]
fn an_address_takes_its_shared_count_along_when_room_appears() {
    let short = [Rule { limit: 1, window_seconds: 10 }];
    let limiter = WindowLimiter::new(2048);
    // Fill every shard of addresses with windows that end after ten seconds.
    for number in 0..5_000_u32 {
        limiter.check(1, v4(number), &short, 1.0, START);
    }
    let who = address("203.0.113.9");
    let now = START + 9 * SECOND;
    let step = |limiter: &WindowLimiter, now| limiter.check(0, who, &CHAT, 1.0, now).allowed;
    let passed = (0..61).filter(|_| step(&limiter, now)).count();
    assert_eq!(passed, 60, "limited in the shared window");
    // The fillers are over, there is room, and yet the minute is used up.
    limiter.sweep(START + 20 * SECOND);
    let own_before = limiter.addresses.len();
    assert!(!step(&limiter, START + 20 * SECOND), "a fresh window was bought");
    assert_eq!(limiter.addresses.len(), own_before + 1, "it has windows of its own now");
    assert!(step(&limiter, now + MINUTE));
}

#[test]
fn a_full_shard_gives_the_place_of_an_ended_window_away() {
    let limiter = WindowLimiter::new(192);
    for number in 0..10_000_u32 {
        limiter.check(0, v4(number), &CHAT[..1], 1.0, START);
    }
    let full = limiter.addresses.len();
    assert_eq!(full, (192 - 2 * 24) / SHARDS * SHARDS);
    let later = START + 2 * MINUTE;
    let passed = passing(&limiter, address("203.0.113.9"), 61, later);
    assert_eq!(passed, 60);
    assert!(limiter.addresses.len() <= full);
    assert!(limiter.addresses.running(&Key::new(0, address("203.0.113.9"), Step::Address), later).is_some());
}

#[test]
fn state_goes_by_itself_within_two_windows() {
    let limiter = limiter();
    let rules = [Rule { limit: 100, window_seconds: 900 }];
    for number in 0..20_000_u32 {
        limiter.check(0, v4(number), &rules, 1.0, START);
    }
    assert_eq!(limiter.len(), 20_000);
    // One client who asks now and then is all it takes; nobody calls sweep.
    let mut now = START;
    while now < START + 2 * 900 * SECOND {
        limiter.check(0, address("203.0.113.9"), &rules, 1.0, now);
        now += 7 * SECOND;
    }
    assert_eq!(limiter.len(), 1);
}

#[test]
fn after_a_quiet_time_one_request_sweeps_all() {
    let limiter = limiter();
    for number in 0..20_000_u32 {
        limiter.check(0, v4(number), &CHAT, 1.0, START);
    }
    limiter.check(0, address("203.0.113.9"), &CHAT, 1.0, START + 2 * HOUR);
    assert_eq!(limiter.len(), 1);
}

#[test]
fn sweeping_forgets_what_is_over_and_nothing_else() {
    let limiter = limiter();
    for number in 0..1000_u32 {
        limiter.check(0, v4(number), &CHAT, 1.0, START);
    }
    assert_eq!(passing(&limiter, address("192.0.2.1"), 60, START + 30 * MINUTE), 60);
    limiter.sweep(START + HOUR - 1);
    assert_eq!(limiter.len(), 1001, "the hour still runs");
    limiter.sweep(START + HOUR);
    assert_eq!(limiter.len(), 1);
    limiter.sweep(START + 30 * MINUTE + HOUR);
    assert!(limiter.is_empty());
}

#[test]
fn a_clock_set_back_shuts_nobody_out_for_longer_than_a_window() {
    let limiter = limiter();
    assert_eq!(passing(&limiter, address("192.0.2.1"), 61, START), 60);
    let back = START - 24 * HOUR;
    let refused = check(&limiter, "192.0.2.1", back);
    assert!(!refused.allowed && refused.reset_seconds <= 60);
    assert!(check(&limiter, "192.0.2.1", back + MINUTE).allowed);
}

#[test]
fn under_contention_sixty_still_means_sixty() {
    let limiter = WindowLimiter::new(1024);
    let passed = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for thread in 0..8_u32 {
            let (limiter, passed) = (&limiter, &passed);
            scope.spawn(move || {
                for number in 0..2000_u32 {
                    if limiter.check(0, address("192.0.2.1"), &CHAT, 1.0, START).allowed {
                        passed.fetch_add(1, Ordering::Relaxed);
                    }
                    // Others, so that shards fill and are swept meanwhile.
                    let now = START + i64::from(number);
                    limiter.check(1, v4(number << 3 | thread), &CHAT, 1.0, now);
                }
            });
        }
    });
    assert_eq!(passed.into_inner(), 60);
    assert!(limiter.len() <= 1024);
}

proptest! {
    /// Against a model that keeps every request's time, for one address in a table with room.
    #[test]
    fn it_agrees_with_a_plain_model(steps in prop::collection::vec(0_i64..40 * SECOND, 1..400)) {
        let limiter = limiter();
        let rules = [Rule { limit: 5, window_seconds: 60 }, Rule { limit: 12, window_seconds: 300 }];
        let mut model = [(Timestamp::MIN, 0_u32); 2];
        let mut now = START;
        for step in steps {
            now += step;
            let mut allowed = true;
            for (rule, (start, count)) in rules.iter().zip(&mut model) {
                if now.saturating_sub(*start) >= rule.length() {
                    (*start, *count) = (now, 0);
                }
                allowed &= *count < rule.limit;
                *count += 1;
            }
            let decision = limiter.check(0, v4(7), &rules, 1.0, now);
            prop_assert_eq!(decision.allowed, allowed);
            prop_assert!(decision.reset_seconds >= 1 && decision.reset_seconds <= 300);
        }
    }
}
