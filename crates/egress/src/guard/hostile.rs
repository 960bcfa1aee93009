//! The rules against a table of hostile URLs and addresses. The table is also served as redirects (`tests/redirects`).

use super::*;
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};

/// URLs that the public reach must refuse before it looks a name up.
#[rustfmt::skip] // several to a line, by topic
pub(crate) const HOSTILE: &[&str] = &[
    // Loopback and its spellings: decimal, octal, hexadecimal, short, padded, mixed.
    "http://127.0.0.1/", "http://127.0.0.53/", "http://127.255.255.254/", "http://2130706433/", "http://0x7f000001/",
    "http://017700000001/", "http://0177.0.0.1/", "http://0x7f.0.0.1/", "http://0x7f.0x0.0x0.0x1/", "http://127.1/",
    "http://127.0.1/", "http://0x7f.1/", "http://0x7F.1/", "http://127.0.0.1./", "http://0000177.0.0.1/",
    "http://00000000000000000000177.1/", "http://127.0x000000000001/", "https://127.0.0.1/", "http://127.0.0.1:443/",
    // Percent-encoded, fullwidth, circled and ideographic spellings of the same.
    "http://%31%32%37.0.0.1/", "http://127%2e0%2e0%2e1/", "http://%6c%6f%63%61%6c%68%6f%73%74/",
    "http://\u{ff11}\u{ff12}\u{ff17}.0.0.1/", "http://127\u{3002}0\u{3002}0\u{3002}1/",
    "http://127\u{ff0e}0\u{ff0e}0\u{ff0e}1/", "http://\u{2460}\u{2461}\u{2466}.0.0.1/",
    "http://\u{24db}\u{24de}\u{24d2}\u{24d0}\u{24db}\u{24d7}\u{24de}\u{24e2}\u{24e3}/",
    "http://%EF%BC%91%EF%BC%92%EF%BC%97.0.0.1/", "http://127.0.0.1\u{ad}/", "http://local\u{200b}host/",
    // The unspecified address and the rest of 0/8.
    "http://0.0.0.0/", "http://0/", "http://0x0/", "http://0.1.2.3/", "http://[::]/",
    // Private, shared, link-local.
    "http://10.0.0.1/", "http://10.255.255.255/", "http://167772161/", "http://0xa000001/", "http://012.0.0.1/",
    "http://172.16.0.1/", "http://172.31.255.254/", "http://0xac100001/", "http://192.168.0.1/", "http://192.168.1/",
    "http://3232235777/", "http://100.64.0.1/", "http://100.127.255.254/", "http://169.254.0.1/",
    "http://169.254.255.255/",
    // Metadata services.
    "http://169.254.169.254/latest/meta-data/", "http://2852039166/", "http://0xa9fea9fe/", "http://0251.0376.0251.0376/",
    "http://0xa9.0xfe.0xa9.0xfe/", "http://169.254.43518/", "http://169.16689662/", "http://169.254.170.2/",
    "http://169.254.170.23/", "http://168.63.129.16/", "http://2822734096/", "http://0xa83f8110/",
    "http://100.100.100.200/", "http://192.0.0.192/", "http://[fd00:ec2::254]/", "http://[fd00:ec2::23]/",
    "http://[fd20:ce::254]/", "http://metadata.google.internal/", "http://metadata/",
    // Multicast, documentation, benchmarking, reserved, broadcast.
    "http://224.0.0.1/", "http://239.255.255.250/", "http://192.0.2.1/", "http://198.51.100.7/", "http://203.0.113.9/",
    "http://198.18.0.1/", "http://198.19.255.255/", "http://192.0.0.1/", "http://192.88.99.1/", "http://240.0.0.1/",
    "http://255.255.255.255/", "http://4294967295/", "http://0xffffffff/",
    // IPv6: loopback, unique local, link-local, site-local, multicast, documentation, discard, segment routing.
    "http://[::1]/", "http://[0:0:0:0:0:0:0:1]/", "http://[0000::0001]/", "http://[fc00::1]/", "http://[fd12:3456::1]/",
    "http://[fe80::1]/", "http://[fe80::1%25eth0]/", "http://[fec0::1]/", "http://[ff02::1]/", "http://[2001:db8::1]/",
    "http://[3fff::1]/", "http://[100::1]/", "http://[5f00::1]/", "http://[4000::1]/",
    // IPv6 with an IPv4 address inside: mapped, compatible, SIIT, NAT64, 6to4, Teredo, ISATAP.
    "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[0:0:0:0:0:ffff:a9fe:a9fe]/",
    "http://[::ffff:192.168.0.1]/", "http://[::ffff:0.0.0.0]/", "http://[::127.0.0.1]/", "http://[::7f00:1]/",
    "http://[::8.8.8.8]/", "http://[::ffff:0:127.0.0.1]/", "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b::169.254.169.254]/", "http://[64:ff9b::a83f:8110]/", "http://[64:ff9b::10.0.0.1]/",
    "http://[64:ff9b:1::1]/", "http://[64:ff9b:1::8.8.8.8]/", "http://[64:ff9b:1:a00:0:100::]/",
    "http://[2002:7f00:1::]/", "http://[2002:a9fe:a9fe::1]/", "http://[2002:808:808::1]/",
    "http://[2001:0:7f00:1::]/", "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]/",
    "http://[2606:4700::5efe:7f00:1]/", "http://[2606:4700::200:5efe:a9fe:a9fe]/", "http://[2001:10::1]/",
    // Local names, and dots that make second spellings.
    "http://localhost/", "http://LOCALHOST/", "http://localhost./", "http://a.localhost/", "http://printer.local/",
    "http://db.internal/", "http://intranet/", "http://router.lan/", "http://nas.home.arpa/", "http://x.onion/",
    "http://site.example./", "http://.site.example/", "http://site..example/", "http://kubernetes/",
    // User information that makes one host look like another.
    "http://site.example@127.0.0.1/", "http://127.0.0.1@site.example/", "http://user:word@site.example/",
    "http://:word@site.example/", "http://site.example%40127.0.0.1/", "http://a@b@site.example/",
    // What parsers disagree about.
    "http://127.0.0.1\\@site.example/", "http:\\\\127.0.0.1\\", "http:/\\127.0.0.1/",
    "http://127.0.0.1#@site.example/", "http://127.0.0.1?@site.example/", "http://127.0.0.1;site.example/",
    "http://site.example%00.127.0.0.1/", "http://127.0.0.1%09/", "http://127.0.0.1%20/", "http://127.0.0.1%2f/",
    "http://1.2.3.4.5/", "http://256.256.256.256/", "http://0x100000000/", "http://[::1/", "http://::1/", "http://[::g]/",
    "http://*/", "http://$(id)/", "http://{host}/", "http://site,example.com/", "http:///127.0.0.1/", "http://",
    // Other ports and schemes.
    "http://site.example:22/", "http://site.example:8080/", "http://93.184.216.34:6379/", "https://site.example:8443/",
    "http://site.example:0/", "http://site.example:65536/", "http://site.example:-80/", "ftp://site.example/",
    "file:///etc/passwd", "gopher://127.0.0.1:6379/_x", "data:text/html,x", "javascript:alert(1)", "ws://site.example/",
    "dict://127.0.0.1:11211/", "ldap://127.0.0.1/", "blob:http://site.example/x", "unix:/run/docker.sock",
    "view-source:http://127.0.0.1/", "jar:http://127.0.0.1!/", "about:blank", "http+unix://%2frun%2fdocker.sock/",
];

#[test]
fn every_hostile_url_is_refused_for_strangers() {
    assert!(HOSTILE.len() >= 80, "{}", HOSTILE.len());
    let allowed: Vec<_> = HOSTILE
        .iter()
        .filter(|text| Url::parse(text).is_ok_and(|url| check_url(&url, &Reach::Public).is_ok()))
        .collect();
    assert!(allowed.is_empty(), "{allowed:?}");
}

#[test]
fn ordinary_urls_pass() {
    for text in [
        "http://site.example/",
        "https://site.example/a?b=c#d",
        "https://www.site.example:443/",
        "http://93.184.216.34/",
        "https://site.example:80/",
        "https://xn--bcher-kva.example/",
        "https://b\u{fc}cher.example/",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]/",
        "https://[2a00:1450:4001::1]/",
        "http://[64:ff9b::8.8.8.8]/",
        "http://[::ffff:8.8.8.8]/",
        "https://a_b.site.example/",
        "https://localhost.site.example/",
        "https://mylocalhost.example/",
        "https://internal.example/",
        "https://11.0.0.1/",
        "https://172.32.0.1/",
        "https://100.128.0.1/",
        "https://192.169.0.1/",
        "https://223.255.255.254/",
        "https://@site.example/",
        // Others might read loopback here. What counts is that this parser's reading (87.0.0.1, site.example) is
        // what is judged and dialled.
        "http://0127.0.0.1/",
        "http://site.example\\@127.0.0.1/",
    ] {
        assert_eq!(check_url(&Url::parse(text).unwrap(), &Reach::Public), Ok(()), "{text}");
    }
    let long = format!("https://site.example/{}", "a".repeat(MAX_URL_BYTES));
    assert_eq!(check_url(&Url::parse(&long).unwrap(), &Reach::Public), Err(Refusal::TooLong));
}

#[test]
fn the_operator_reaches_private_hosts_on_any_port_but_no_metadata_and_no_plain_public_host() {
    let check = |text: &str| check_url(&Url::parse(text).unwrap(), &Reach::Operator);
    for text in [
        "http://127.0.0.1:11434/",
        "http://localhost:11434/",
        "http://[::1]:8000/",
        "http://10.1.2.3:8000/",
        "http://ollama:11434/",
        "http://[fd12::1]/",
        "http://100.64.1.1:1/",
        "https://api.site.example/v1",
        "https://8.8.8.8:8443/",
        "http://model.internal:9000/",
    ] {
        assert_eq!(check(text), Ok(()), "{text}");
    }
    for (text, refusal) in [
        ("http://169.254.169.254/", Refusal::Metadata),
        ("https://169.254.169.254/", Refusal::Metadata),
        ("http://0xa9fea9fe/", Refusal::Metadata),
        ("http://[::ffff:a9fe:a9fe]/", Refusal::Metadata),
        ("http://[64:ff9b::a9fe:a9fe]/", Refusal::Metadata),
        ("http://[fd00:ec2::254]/", Refusal::Metadata),
        ("http://[fe80::1]/", Refusal::Metadata),
        ("https://168.63.129.16/", Refusal::Metadata),
        ("http://100.100.100.200/", Refusal::Metadata),
        ("http://0.0.0.0:8000/", Refusal::NotPublic),
        ("http://255.255.255.255/", Refusal::NotPublic),
        ("http://224.0.0.1/", Refusal::NotPublic),
        ("http://[2002:7f00:1::]/", Refusal::NotPublic),
        ("http://[64:ff9b::7f00:1]/", Refusal::NotPublic),
        ("http://8.8.8.8/", Refusal::PlainHttp),
        ("http://[2606:4700::1111]/", Refusal::PlainHttp),
        ("http://key@127.0.0.1/", Refusal::UserInfo),
        ("http://127.0.0.1:0/", Refusal::Port),
        ("http://ollama.:11434/", Refusal::HostName),
        ("ftp://127.0.0.1/", Refusal::Scheme),
    ] {
        assert_eq!(check(text), Err(refusal), "{text}");
    }
}

#[test]
fn the_exact_reach_is_one_literal_socket() {
    let reach = Reach::Exact(([127, 0, 0, 1], 4000).into());
    let check = |text: &str| check_url(&Url::parse(text).unwrap(), &reach);
    assert_eq!(check("http://127.0.0.1:4000/any?thing"), Ok(()));
    for text in [
        "http://127.0.0.1/",
        "http://127.0.0.1:4001/",
        "http://127.0.0.2:4000/",
        "http://localhost:4000/",
        "http://[::1]:4000/",
        "http://[::ffff:127.0.0.1]:4000/",
        "https://site.example/",
        "http://8.8.8.8/",
    ] {
        assert_eq!(check(text), Err(Refusal::NotTheSocket), "{text}");
    }
    let metadata = Reach::Exact(([169, 254, 169, 254], 80).into());
    let url = Url::parse("http://169.254.169.254/").unwrap();
    assert_eq!(check_url(&url, &metadata), Err(Refusal::Metadata));
}

/// The edges of each network of the tables: first and last inside, and their neighbours outside.
#[test]
fn networks_begin_and_end_where_the_registries_say() {
    for (first, last, before, after) in [
        ("0.0.0.0", "0.255.255.255", None, Some("1.0.0.0")),
        ("10.0.0.0", "10.255.255.255", Some("9.255.255.255"), Some("11.0.0.0")),
        ("100.64.0.0", "100.127.255.255", Some("100.63.255.255"), Some("100.128.0.0")),
        ("127.0.0.0", "127.255.255.255", Some("126.255.255.255"), Some("128.0.0.0")),
        ("169.254.0.0", "169.254.255.255", Some("169.253.255.255"), Some("169.255.0.0")),
        ("172.16.0.0", "172.31.255.255", Some("172.15.255.255"), Some("172.32.0.0")),
        ("192.0.0.0", "192.0.0.255", Some("191.255.255.255"), Some("192.0.1.0")),
        ("192.0.2.0", "192.0.2.255", Some("192.0.1.255"), Some("192.0.3.0")),
        ("192.88.99.0", "192.88.99.255", Some("192.88.98.255"), Some("192.88.100.0")),
        ("192.168.0.0", "192.168.255.255", Some("192.167.255.255"), Some("192.169.0.0")),
        ("198.18.0.0", "198.19.255.255", Some("198.17.255.255"), Some("198.20.0.0")),
        ("198.51.100.0", "198.51.100.255", Some("198.51.99.255"), Some("198.51.101.0")),
        ("203.0.113.0", "203.0.113.255", Some("203.0.112.255"), Some("203.0.114.0")),
        ("224.0.0.0", "255.255.255.255", Some("223.255.255.255"), None),
        ("168.63.129.16", "168.63.129.16", Some("168.63.129.15"), Some("168.63.129.17")),
        ("::", "1fff:ffff::", None, Some("2000::")),
        ("2001::", "2001:1ff:ffff::", Some("2000:ffff::"), Some("2001:200::")),
        ("2001:db8::", "2001:db8:ffff::1", Some("2001:db7:ffff::"), Some("2001:db9::")),
        ("2002::", "2002:ffff:ffff::1", Some("2001:ffff::"), Some("2003::")),
        ("3fff::", "3fff:fff:ffff::", Some("3ffd:ffff::"), Some("3fff:1000::")),
        ("4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some("3fff:ffff::"), None),
    ] {
        let global = |text: &str| is_global_unicast(text.parse().unwrap());
        assert!(!global(first) && !global(last), "{first} to {last}");
        assert!(before.is_none_or(global) && after.is_none_or(global), "around {first} to {last}");
    }
}

proptest! {
    #[test]
    fn an_ipv4_address_is_judged_alike_in_every_spelling(bits: u32) {
        let v4 = Ipv4Addr::from_bits(bits);
        let global = is_global_unicast(v4.into());
        prop_assert_eq!(is_global_unicast(v4.to_ipv6_mapped().into()), global);
        let [a, b, c, d] = v4.octets();
        let pair = |high: u8, low: u8| u16::from_be_bytes([high, low]);
        let nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, pair(a, b), pair(c, d));
        prop_assert_eq!(is_global_unicast(nat64.into()), global);
        let six_to_four = Ipv6Addr::new(0x2002, pair(a, b), pair(c, d), 0, 0, 0, 0, 1);
        prop_assert!(!is_global_unicast(six_to_four.into()));
        for text in [
            format!("http://{bits}/"), format!("http://{bits:#x}/"), format!("http://0{bits:o}/"),
            format!("http://{a:#x}.{b}.0{c:o}.{d}/"), format!("http://{a}.{}/", bits & 0x00ff_ffff),
            format!("http://[::ffff:{v4}]/"), format!("http://%3{}/", &bits.to_string()),
        ] {
            let Ok(url) = Url::parse(&text) else { continue };
            // The last one percent-encodes the first digit.
            prop_assert_eq!(check_url(&url, &Reach::Public).is_err(), !global, "{}", text);
        }
    }

    #[test]
    fn no_address_is_both_global_and_private_or_metadata(bits: u128, v4: u32) {
        for address in [IpAddr::from(Ipv6Addr::from_bits(bits)), IpAddr::from(Ipv4Addr::from_bits(v4))] {
            let kinds = [is_global_unicast(address), is_private(address), is_metadata(address)];
            prop_assert!(kinds.iter().filter(|kind| **kind).count() <= 1, "{address}");
        }
    }

    #[test]
    fn no_text_makes_the_check_panic_or_pass_with_a_host_that_is_not_plain(text in "https?://.{0,40}") {
        if let Ok(url) = Url::parse(&text)
            && check_url(&url, &Reach::Public).is_ok()
        {
            let host = url.host_str().unwrap();
            prop_assert!(host.contains(['.', ':']) && !host.ends_with('.') && !host.contains('@'));
            prop_assert!(crate::client::request_uri(&url).is_some_and(|uri| uri.host() == Some(host)));
        }
    }
}
