//! Networks that nobody is served from, and the lockdown: what every request and every connection asks first.
//!
//! Owns the list in memory: bounded, replaced whole, read without a lock, with one look-up a length of prefix that is in
//! use. While there is no block and no lockdown, the question costs one atomic read. Whoever waits for a change
//! ([`Gate::changes`]) hears of it at once. Never blocks what it was told to spare: a proxy never, whatever is asked, and an
//! allowed network only where an operator insisted.

use arc_swap::ArcSwap;
use chatward_types::Timestamp;
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use tokio::sync::watch;

/// An address or a network as people write it, in its canonical form: host bits cleared, IPv4 in IPv6 as IPv4.
pub fn parse_network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(IpNet::from(address.to_canonical()));
    }
    let network = text.parse::<IpNet>().ok()?;
    let canonical = match (network.addr().to_canonical(), network) {
        (IpAddr::V4(address), IpNet::V6(six)) => IpNet::new(address.into(), six.prefix_len().checked_sub(96)?).ok()?,
        _ => network,
    };
    Some(canonical.trunc())
}

/// The list, the switch, and the news of both.
#[derive(Debug)]
pub struct Gate {
    /// Whether anything is blocked or locked: the only thing that a request reads on an ordinary day.
    shut: AtomicBool,
    /// One of [`OPEN`], [`LOCKED`] and [`SIGN_IN`].
    locked: AtomicU8,
    lists: ArcSwap<Lists>,
    proxies: Vec<IpNet>,
    allowed: Vec<IpNet>,
    news: watch::Sender<u64>,
    refused: AtomicU64,
}

const OPEN: u8 = 0;
const LOCKED: u8 = 1;
/// Locked, but people may log in.
const SIGN_IN: u8 = 2;

/// Blocks as anybody makes them, and those that hold for allowed networks too.
#[derive(Debug, Default)]
struct Lists {
    ordinary: Table,
    forced: Table,
}

/// A blocked network, as the gate needs to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocked {
    /// The network.
    pub network: IpNet,
    /// When it ends; open where it does not.
    pub until: Option<Timestamp>,
    /// Whether it holds for allowed networks too.
    pub forced: bool,
}

/// Until when each network is blocked, by version and length of prefix.
#[derive(Debug, Default)]
struct Table {
    v4: Vec<(u8, HashMap<u32, Timestamp>)>,
    v6: Vec<(u8, HashMap<u128, Timestamp>)>,
    count: usize,
}

/// Why somebody is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shut {
    /// The address is blocked.
    Blocked,
    /// Nobody is served.
    Locked,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new(Vec::new(), Vec::new())
    }
}

impl Gate {
    /// Nothing blocked; proxies never will be, allowed networks only by force.
    pub fn new(proxies: Vec<IpNet>, allowed: Vec<IpNet>) -> Self {
        Self {
            shut: AtomicBool::new(false),
            locked: AtomicU8::new(OPEN),
            lists: ArcSwap::default(),
            proxies,
            allowed,
            news: watch::Sender::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Replaces the list.
    pub fn replace(&self, blocks: impl Iterator<Item = Blocked>) {
        let mut lists = Lists::default();
        for block in blocks {
            let table = if block.forced { &mut lists.forced } else { &mut lists.ordinary };
            table.add(block.network, block.until.unwrap_or(Timestamp::MAX));
        }
        self.lists.store(Arc::new(lists));
        self.tell();
    }

    /// Switches the lockdown on; `sign_in` says whether people may log in meanwhile.
    pub fn lock(&self, sign_in: bool) {
        self.locked.store(if sign_in { SIGN_IN } else { LOCKED }, Ordering::Release);
        self.tell();
    }

    /// Switches the lockdown off.
    pub fn unlock(&self) {
        self.locked.store(OPEN, Ordering::Release);
        self.tell();
    }

    fn tell(&self) {
        let shut = self.is_locked() || self.blocked() > 0;
        self.shut.store(shut, Ordering::Release);
        self.news.send_modify(|number| *number = number.wrapping_add(1));
    }

    /// Whether nobody is served.
    pub fn is_locked(&self) -> bool {
        self.locked.load(Ordering::Acquire) != OPEN
    }

    /// Whether people may log in during the lockdown.
    pub fn allows_sign_in(&self) -> bool {
        self.locked.load(Ordering::Acquire) == SIGN_IN
    }

    /// Networks in the list.
    pub fn blocked(&self) -> usize {
        let lists = self.lists.load();
        lists.ordinary.count + lists.forced.count
    }

    /// Requests and connections that were refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Counts a refusal.
    pub fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether this address is served now, and if not, why.
    pub fn ask(&self, address: IpAddr, now: Timestamp) -> Option<Shut> {
        if !self.shut.load(Ordering::Acquire) {
            return None;
        }
        if self.covers(address, now) { Some(Shut::Blocked) } else { self.is_locked().then_some(Shut::Locked) }
    }

    /// Whether a block covers this address now.
    pub fn covers(&self, address: IpAddr, now: Timestamp) -> bool {
        if !self.shut.load(Ordering::Acquire) {
            return false;
        }
        let address = address.to_canonical();
        let lists = self.lists.load();
        let holds = |table: &Table| table.until(address).is_some_and(|until| until > now);
        (holds(&lists.ordinary) && !self.spares(address)) || (holds(&lists.forced) && !inside(&self.proxies, address))
    }

    /// Whether this address is never blocked unless somebody insists.
    pub fn spares(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        inside(&self.proxies, address) || inside(&self.allowed, address)
    }

    /// Whether a block of this network would be one of proxies alone, whom no block is for.
    pub fn is_proxies(&self, network: &IpNet) -> bool {
        self.proxies.iter().any(|spared| spared.contains(network))
    }

    /// Whether a block of this network would be one of allowed addresses alone.
    pub fn is_allowed(&self, network: &IpNet) -> bool {
        self.allowed.iter().any(|spared| spared.contains(network))
    }

    /// Hears of every change from now on.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }
}

fn inside(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

impl Table {
    fn add(&mut self, network: IpNet, until: Timestamp) {
        let length = network.prefix_len();
        let known = match network {
            IpNet::V4(network) => entry(&mut self.v4, length).insert(network.network().into(), until),
            IpNet::V6(network) => entry(&mut self.v6, length).insert(network.network().into(), until),
        };
        self.count += usize::from(known.is_none());
    }

    /// The latest end of all prefixes that cover the address: a longer one that has ended hides no shorter one.
    fn until(&self, address: IpAddr) -> Option<Timestamp> {
        match address {
            IpAddr::V4(address) => {
                let bits = u32::from(address);
                let at = |(length, networks): &(u8, HashMap<u32, Timestamp>)| {
                    networks.get(&(bits & u32::MAX.checked_shl(32 - u32::from(*length)).unwrap_or(0))).copied()
                };
                self.v4.iter().filter_map(at).max()
            }
            IpAddr::V6(address) => {
                let bits = u128::from(address);
                let at = |(length, networks): &(u8, HashMap<u128, Timestamp>)| {
                    networks.get(&(bits & u128::MAX.checked_shl(128 - u32::from(*length)).unwrap_or(0))).copied()
                };
                self.v6.iter().filter_map(at).max()
            }
        }
    }
}

fn entry<K>(list: &mut Vec<(u8, HashMap<K, Timestamp>)>, length: u8) -> &mut HashMap<K, Timestamp> {
    let at = match list.iter().position(|(known, _)| *known == length) {
        Some(at) => at,
        None => {
            list.push((length, HashMap::new()));
            list.len() - 1
        }
    };
    &mut list[at].1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(networks: &[(&str, Option<Timestamp>)]) -> Gate {
        let gate = Gate::new(Vec::new(), vec![parse_network("10.0.0.1").unwrap()]);
        gate.replace(networks.iter().map(|(text, until)| block(text, *until, false)));
        gate
    }

    fn block(text: &str, until: Option<Timestamp>, forced: bool) -> Blocked {
        Blocked { network: parse_network(text).unwrap(), until, forced }
    }

    fn asks(gate: &Gate, address: &str, now: Timestamp) -> Option<Shut> {
        gate.ask(address.parse().unwrap(), now)
    }

    #[test]
    fn networks_are_read_in_one_form() {
        for (text, canonical) in [
            ("192.0.2.7", "192.0.2.7/32"),
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
            ("2001:DB8::1/64", "2001:db8::/64"),
        ] {
            assert_eq!(parse_network(text).unwrap().to_string(), canonical, "{text}");
        }
        for bad in ["", "shop.example", "192.0.2.0/33", "192.0.2", "1.2.3.4/24/3", "::ffff:192.0.2.0/64"] {
            assert_eq!(parse_network(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_block_covers_its_network_however_an_address_is_written() {
        let gate = gate(&[("192.0.2.0/24", None), ("2001:db8:1::/48", None), ("198.51.100.7", Some(50))]);
        for blocked in ["192.0.2.1", "::ffff:192.0.2.255", "2001:db8:1:ffff::1", "198.51.100.7"] {
            assert_eq!(asks(&gate, blocked, 10), Some(Shut::Blocked), "{blocked}");
        }
        for served in ["192.0.3.1", "2001:db8:2::1", "198.51.100.8", "::1"] {
            assert_eq!(asks(&gate, served, 10), None, "{served}");
        }
        assert_eq!(asks(&gate, "198.51.100.7", 50), None, "it has ended");
    }

    #[test]
    fn an_ended_block_hides_no_wider_one_and_what_is_spared_stays_served() {
        let gate = gate(&[("10.0.0.0/8", None), ("10.0.0.2", Some(5)), ("0.0.0.0/0", Some(20))]);
        assert_eq!(asks(&gate, "10.0.0.2", 6), Some(Shut::Blocked));
        assert_eq!(asks(&gate, "10.0.0.1", 6), None);
        assert_eq!(asks(&gate, "203.0.113.9", 6), Some(Shut::Blocked));
        assert!(gate.is_allowed(&parse_network("10.0.0.1").unwrap()));
        assert!(!gate.is_allowed(&parse_network("10.0.0.0/8").unwrap()));
    }

    #[test]
    fn a_forced_block_holds_for_an_allowed_network_and_never_for_a_proxy() {
        let networks = |text: &str| vec![parse_network(text).unwrap()];
        let gate = Gate::new(networks("192.0.2.1"), networks("10.0.0.0/8"));
        gate.replace([block("10.1.0.0/16", None, true), block("0.0.0.0/0", Some(9), true)].into_iter());
        assert_eq!(gate.blocked(), 2);
        assert_eq!(asks(&gate, "10.1.2.3", 10), Some(Shut::Blocked));
        assert_eq!(asks(&gate, "10.2.2.3", 10), None);
        assert_eq!(asks(&gate, "10.2.2.3", 5), Some(Shut::Blocked));
        assert_eq!(asks(&gate, "192.0.2.1", 5), None, "behind a proxy stands everybody");
        assert!(gate.spares("192.0.2.1".parse().unwrap()) && gate.is_proxies(&parse_network("192.0.2.1").unwrap()));
    }

    #[test]
    fn a_lockdown_serves_nobody_and_each_change_is_news() {
        let gate = gate(&[]);
        let mut news = gate.changes();
        assert_eq!(asks(&gate, "192.0.2.1", 0), None);
        gate.lock(false);
        assert!(news.has_changed().unwrap());
        news.mark_unchanged();
        assert_eq!(asks(&gate, "192.0.2.1", 0), Some(Shut::Locked));
        assert!(!gate.allows_sign_in());
        gate.lock(true);
        assert!(gate.is_locked() && gate.allows_sign_in());
        news.mark_unchanged();
        gate.unlock();
        assert!(!gate.allows_sign_in());
        assert!(news.has_changed().unwrap());
        assert_eq!(asks(&gate, "192.0.2.1", 0), None);
    }
}
