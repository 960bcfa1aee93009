//! Whose request it is: the peer's, or what the one configured header of a trusted peer says.

use crate::world::World;
use http::{Method, StatusCode};
use std::net::IpAddr;

const SESSION: &str = "/api/v1/widget/session";
/// Every header that some proxy somewhere writes a client's address into.
const HEADERS: [&str; 9] = [
    "x-forwarded-for",
    "x-real-ip",
    "cf-connecting-ip",
    "forwarded",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "fastly-client-ip",
    "x-original-forwarded-for",
];

async fn behind(proxies: &str, header: &str) -> World {
    let world = World::builder().set("server.trusted_proxies", proxies);
    world.set("server.client_address_header", header).start().await
}

/// The address that the event of a request with these headers names, which is also the one that is limited.
async fn seen(world: &World, headers: &[(&str, &str)]) -> IpAddr {
    let mut call = world.call(Method::GET, SESSION);
    for (name, value) in headers {
        call = call.another_header(name, value);
    }
    let reply = call.send().await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    let events = world.app.events.tail();
    let event = events.iter().rev().find(|event| event.request_id.as_deref() == Some(reply.header("x-request-id")));
    event.and_then(|event| event.address).unwrap_or_else(|| panic!("no event of {headers:?}"))
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|_| panic!("{text}"))
}

#[tokio::test]
async fn no_header_of_an_untrusted_peer_is_believed() {
    for world in [World::start().await, behind("10.0.0.0/8", "x-forwarded-for").await] {
        for header in HEADERS {
            let value = if header == "forwarded" { "for=198.51.100.1" } else { "198.51.100.1" };
            assert_eq!(seen(&world, &[(header, value)]).await, address("127.0.0.1"), "{header}");
        }
    }
}

#[tokio::test]
async fn a_new_spoofed_address_each_time_buys_no_request() {
    let world = World::builder()
        .set("server.trusted_proxies", "10.0.0.0/8")
        .set("server.client_address_header", "x-forwarded-for")
        .set("limits.per_minute", 3)
        .start()
        .await;
    for number in 0..6 {
        let spoofed = format!("198.51.100.{number}");
        let reply = world.call(Method::GET, SESSION).header("x-forwarded-for", &spoofed).send().await;
        assert_eq!(reply.status == StatusCode::TOO_MANY_REQUESTS, number >= 3, "request {number}");
    }
}

#[tokio::test]
async fn forwarded_addresses_are_read_from_right_to_left_past_trusted_hops() {
    let world = behind("127.0.0.1/32,192.0.2.0/24,2001:db8:aa::/48", "x-forwarded-for").await;
    for (fields, client) in [
        (&["203.0.113.9"][..], "203.0.113.9"),
        (&["198.51.100.66, 203.0.113.9"], "203.0.113.9"),
        (&["198.51.100.66, 203.0.113.9, 192.0.2.10"], "203.0.113.9"),
        (&["198.51.100.66", "203.0.113.9", "192.0.2.10, 2001:db8:aa::1"], "203.0.113.9"),
        (&["127.0.0.1, 203.0.113.9 , 192.0.2.10"], "203.0.113.9"),
        (&["192.0.2.11,192.0.2.10"], "192.0.2.11"),
        // What cannot be read ends the chain at the last hop that a trusted one vouched for.
        (&["198.51.100.66, unknown, 192.0.2.10"], "192.0.2.10"),
        (&["198.51.100.66,"], "127.0.0.1"),
        (&["203.0.113.9:4711"], "203.0.113.9"),
        (&["[2001:db8:1:2::7]:4711, 192.0.2.10"], "2001:db8:1:2::7"),
        (&["::ffff:203.0.113.9"], "203.0.113.9"),
    ] {
        let headers: Vec<(&str, &str)> = fields.iter().map(|field| ("x-forwarded-for", *field)).collect();
        assert_eq!(seen(&world, &headers).await, address(client), "{fields:?}");
    }
}

#[tokio::test]
async fn only_the_configured_header_of_a_trusted_peer_counts() {
    for (configured, value) in [
        ("x-forwarded-for", "203.0.113.9"),
        ("x-real-ip", "203.0.113.9"),
        ("cf-connecting-ip", "203.0.113.9"),
        ("forwarded", "for=198.51.100.66, for=203.0.113.9;proto=https"),
    ] {
        let world = behind("127.0.0.1/32", configured).await;
        assert_eq!(seen(&world, &[(configured, value)]).await, address("203.0.113.9"), "{configured}");
        for other in HEADERS.iter().filter(|other| **other != configured) {
            let spoofed = if *other == "forwarded" { "for=198.51.100.1" } else { "198.51.100.1" };
            assert_eq!(seen(&world, &[(other, spoofed)]).await, address("127.0.0.1"), "{other}");
            assert_eq!(seen(&world, &[(other, spoofed), (configured, value)]).await, address("203.0.113.9"));
        }
    }
    let world = behind("127.0.0.1/32", "x-real-ip").await;
    let twice = [("x-real-ip", "198.51.100.1"), ("x-real-ip", "203.0.113.9")];
    assert_eq!(seen(&world, &twice).await, address("127.0.0.1"), "one of two was added by somebody");
}

#[tokio::test]
async fn an_ipv6_client_is_its_64_and_each_client_of_a_proxy_has_its_own_windows() {
    let world = World::builder()
        .set("server.trusted_proxies", "127.0.0.1/32")
        .set("server.client_address_header", "x-forwarded-for")
        .set("limits.per_minute", 2)
        .start()
        .await;
    let limited = async |client: &str| {
        let reply = world.call(Method::GET, SESSION).header("x-forwarded-for", client).send().await;
        reply.status == StatusCode::TOO_MANY_REQUESTS
    };
    assert!(!limited("2001:db8:1:2::1").await);
    assert!(!limited("2001:db8:1:2:ffff::2").await);
    assert!(limited("2001:db8:1:2:aaaa:bbbb:cccc:dddd").await, "the same /64");
    assert!(!limited("2001:db8:1:3::1").await, "the next /64");
    assert!(!limited("203.0.113.9").await);
}
