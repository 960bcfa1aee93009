//! What one limit applies to: an address, or a network around it.
//!
//! Owns the steps from an address to ever coarser networks. An IPv6 address is its /64 from the first step on, since
//! a single subscriber holds at least that many; an IPv4 address written as IPv6 is an IPv4 address.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr};

/// How coarse a key is; each step covers the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// One IPv4 address, or an IPv6 /64.
    Address,
    /// An IPv4 /24, or an IPv6 /48.
    Block,
    /// An IPv4 /16, or an IPv6 /32.
    Region,
}

/// A network within a group of routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    network: u64,
    group: u8,
    version6: bool,
}

impl Key {
    pub(super) fn new(group: u8, address: IpAddr, step: Step) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let dropped = match step {
                    Step::Address => 0,
                    Step::Block => 8,
                    Step::Region => 16,
                };
                let network = u64::from(u32::from(address)) >> dropped;
                Self { network, group, version6: false }
            }
            IpAddr::V6(address) => {
                let dropped = match step {
                    Step::Address => 64,
                    Step::Block => 80,
                    Step::Region => 96,
                };
                let network = (u128::from(address) >> dropped) as u64;
                Self { network, group, version6: true }
            }
        }
    }
}

/// The network that counts as one client: the IPv4 address itself, or the IPv6 /64 with its lower half zero.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) >> 64 << 64)),
    }
}

/// The network that is kept instead of an address, where it is kept for long: an IPv4 /24 or an IPv6 /48.
pub fn network_around(address: IpAddr) -> IpNet {
    widened(IpNet::from(address.to_canonical()))
}

/// A network that names no single client: what is narrower than an IPv4 /24 or an IPv6 /48 becomes one.
pub fn widened(network: IpNet) -> IpNet {
    let widest = if network.addr().is_ipv4() { 24 } else { 48 };
    let prefix = network.prefix_len().min(widest);
    // No prefix is longer than the address that it came from.
    IpNet::new(network.addr(), prefix).map_or(network, |wide| wide.trunc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_for_long_names_no_single_client() {
        let around = |text: &str| network_around(text.parse().unwrap()).to_string();
        assert_eq!((around("192.0.2.7"), around("::ffff:192.0.2.7")), ("192.0.2.0/24".into(), "192.0.2.0/24".into()));
        assert_eq!(around("2001:db8:1:2:3::1"), "2001:db8:1::/48");
        let wide = |text: &str| widened(text.parse().unwrap()).to_string();
        assert_eq!((wide("192.0.2.7/32"), wide("10.0.0.0/8")), ("192.0.2.0/24".into(), "10.0.0.0/8".into()));
        assert_eq!(
            (wide("2001:db8:1:2::/64"), wide("2001:db8::/32")),
            ("2001:db8:1::/48".into(), "2001:db8::/32".into())
        );
    }

    fn key(address: &str, step: Step) -> Key {
        Key::new(1, address.parse().unwrap(), step)
    }

    #[test]
    fn a_64_is_one_client_and_its_neighbour_another() {
        let step = Step::Address;
        assert_eq!(key("2001:db8:1:2::1", step), key("2001:db8:1:2:ffff::9", step));
        assert_ne!(key("2001:db8:1:2::1", step), key("2001:db8:1:3::1", step));
        assert_eq!(network_of("2001:db8:1:2:3::1".parse().unwrap()).to_string(), "2001:db8:1:2::");
    }

    #[test]
    fn an_ipv4_address_has_one_key_however_it_is_written() {
        assert_eq!(key("192.0.2.7", Step::Address), key("::ffff:192.0.2.7", Step::Address));
        assert_eq!(network_of("::ffff:192.0.2.7".parse().unwrap()).to_string(), "192.0.2.7");
        assert_ne!(key("192.0.2.7", Step::Address), key("192.0.2.8", Step::Address));
    }

    #[test]
    fn each_step_covers_what_it_says() {
        assert_eq!(key("192.0.2.7", Step::Block), key("192.0.2.250", Step::Block));
        assert_ne!(key("192.0.2.7", Step::Block), key("192.0.3.7", Step::Block));
        assert_eq!(key("192.0.2.7", Step::Region), key("192.0.255.1", Step::Region));
        assert_ne!(key("192.0.2.7", Step::Region), key("192.1.2.7", Step::Region));
        assert_eq!(key("2001:db8:1:2::", Step::Block), key("2001:db8:1:ffff::", Step::Block));
        assert_ne!(key("2001:db8:1::", Step::Block), key("2001:db8:2::", Step::Block));
        assert_eq!(key("2001:db8:1::", Step::Region), key("2001:db8:ffff::", Step::Region));
        assert_ne!(key("2001:db8::", Step::Region), key("2001:db9::", Step::Region));
    }

    #[test]
    fn groups_and_versions_do_not_meet() {
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        assert_ne!(Key::new(1, address, Step::Address), Key::new(2, address, Step::Address));
        // ::/64 has the same bits as 0.0.0.0.
        assert_ne!(key("::1", Step::Address), key("0.0.0.0", Step::Address));
    }
}
