//! Which addresses belong to the public internet, and which answer with a machine's credentials.
//!
//! Owns: the tables of special-purpose networks (IANA's IPv4 and IPv6 registries) and of metadata services.
//! Never does: I/O, names, URLs. Every function is total: what is in no table is refused, not allowed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 networks that no stranger's website lives in: network, prefix length.
const SPECIAL_V4: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),       // "this network"; 0.0.0.0 reaches loopback
    (Ipv4Addr::new(10, 0, 0, 0), 8),      // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),   // carrier-grade NAT
    (Ipv4Addr::new(127, 0, 0, 0), 8),     // loopback
    (Ipv4Addr::new(169, 254, 0, 0), 16),  // link-local, metadata services
    (Ipv4Addr::new(172, 16, 0, 0), 12),   // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),    // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),    // documentation
    (Ipv4Addr::new(192, 31, 196, 0), 24), // AS112
    (Ipv4Addr::new(192, 52, 193, 0), 24), // multicast tunnelling
    (Ipv4Addr::new(192, 88, 99, 0), 24),  // 6to4 relays
    (Ipv4Addr::new(192, 168, 0, 0), 16),  // private
    (Ipv4Addr::new(192, 175, 48, 0), 24), // AS112
    (Ipv4Addr::new(198, 18, 0, 0), 15),   // benchmarking
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),  // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),     // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),     // reserved, broadcast
];

/// Exceptions inside 2000::/3, the only block that global unicast IPv6 addresses are given from.
const SPECIAL_V6: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments: Teredo, benchmarking, ORCHID
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4: any IPv4 address, through a relay
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48), // AS112
    (Ipv6Addr::new(0x3ffe, 0, 0, 0, 0, 0, 0, 0), 16), // returned test network
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// Services that hand a machine's credentials or configuration to whoever asks from it.
const METADATA_V4: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::new(169, 254, 0, 0), 16), // AWS, GCP, Azure, Oracle, DigitalOcean, ECS (.170.2), EKS (.170.23)
    (Ipv4Addr::new(168, 63, 129, 16), 32), // Azure's host agent, on a global address
    (Ipv4Addr::new(100, 100, 100, 200), 32), // Alibaba
    (Ipv4Addr::new(192, 0, 0, 192), 32), // Oracle, classic
];
const METADATA_V6: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32), // AWS: metadata, EKS, resolver
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0), 32),  // GCP
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),     // link-local
];

const NAT64: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);

/// True for an address that routers of the public internet carry to one host, and that is no metadata service.
///
/// IPv4-mapped addresses and NAT64's well-known prefix (what DNS64 makes of every IPv4 site) are judged by the
/// IPv4 address inside. 6to4, Teredo, ISATAP and NAT64's local prefix, whose insides mean what a relay makes of
/// them, are never global.
pub fn is_global_unicast(address: IpAddr) -> bool {
    let address = embedded(address);
    !is_metadata(address)
        && match address {
            IpAddr::V4(v4) => !in_any_v4(v4, SPECIAL_V4),
            IpAddr::V6(v6) => {
                in_v6(v6, Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3) && !in_any_v6(v6, SPECIAL_V6) && !is_isatap(v6)
            }
        }
}

/// True for the addresses of metadata services, and for all of link-local, where they live.
pub fn is_metadata(address: IpAddr) -> bool {
    match embedded(address) {
        IpAddr::V4(v4) => in_any_v4(v4, METADATA_V4),
        IpAddr::V6(v6) => in_any_v6(v6, METADATA_V6),
    }
}

/// True for the networks an operator runs machines in: loopback, RFC 1918, carrier-grade NAT, fc00::/7.
/// A metadata service is never private, whatever network it sits in.
pub fn is_private(address: IpAddr) -> bool {
    let address = address.to_canonical();
    !is_metadata(address)
        && match address {
            IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || in_v4(v4, Ipv4Addr::new(100, 64, 0, 0), 10),
            IpAddr::V6(v6) => v6.is_loopback() || in_v6(v6, Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
        }
}

/// The IPv4 address that a mapped or well-known NAT64 address leads to; any other address itself.
pub(crate) fn embedded(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if in_v6(v6, NAT64, 96) => {
            let [.., a, b, c, d] = v6.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        other => other,
    }
}

/// Interface identifiers 0000:5efe and 0200:5efe tunnel to the IPv4 address behind them, in any prefix.
fn is_isatap(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    segments[4] & !0x0200 == 0 && segments[5] == 0x5efe
}

fn in_any_v4(address: Ipv4Addr, networks: &[(Ipv4Addr, u32)]) -> bool {
    networks.iter().any(|&(network, length)| in_v4(address, network, length))
}

fn in_any_v6(address: Ipv6Addr, networks: &[(Ipv6Addr, u32)]) -> bool {
    networks.iter().any(|&(network, length)| in_v6(address, network, length))
}

fn in_v4(address: Ipv4Addr, network: Ipv4Addr, length: u32) -> bool {
    (address.to_bits() ^ network.to_bits()).leading_zeros() >= length
}

fn in_v6(address: Ipv6Addr, network: Ipv6Addr, length: u32) -> bool {
    (address.to_bits() ^ network.to_bits()).leading_zeros() >= length
}
