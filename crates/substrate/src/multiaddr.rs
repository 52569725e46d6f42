//! Where a node can be reached, as authority discovery publishes it, and which of that an operator
//! allows.
//!
//! An [`Address`] is a host, usually a port, how to speak behind it, and the node's peer id:
//! `/ip4/192.0.2.7/tcp/30333/ws/p2p/12D3Koo…`. An [`AddressRule`] is the beginning of such an
//! address, without the peer id; behind an IP address it may name a net:
//! `/ip4/10.0.0.0/ipcidr/8/tcp/30333`.
//!
//! Invariants: bytes have one reading; an address of any other form (through a relay, with a second
//! host, with parts that are not known here) is none, because what is behind an allowed beginning
//! could lead elsewhere.
//!
//! Source: the multiformats specification of multiaddr and its table of protocols.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const IP4: u64 = 4;
const IP6: u64 = 41;
const TCP: u64 = 6;
const UDP: u64 = 273;
const P2P: u64 = 421;
/// Names that a resolver turns into addresses.
const DNS: [(u64, &str); 4] = [(53, "dns"), (54, "dns4"), (55, "dns6"), (56, "dnsaddr")];
/// What is spoken behind the port.
const LAYERS: [(u64, &str); 5] =
    [(477, "ws"), (478, "wss"), (448, "tls"), (460, "quic"), (461, "quic-v1")];
const MAX_NAME_BYTES: usize = 253;
/// A peer id is a multihash: the public key itself (36 bytes) or its SHA-256 digest (32).
const PEER_ID_BYTES: [usize; 2] = [38, 34];

/// An address of a node, with its peer id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    place: Place,
    pub(crate) peer: PeerId,
}

/// Which addresses may be published: those that begin like this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressRule {
    place: Place,
    /// How many leading bits of the IP address count.
    net: Option<u8>,
}

/// The name of a node's network key: a multihash, written in base 58.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerId(Vec<u8>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    host: Host,
    port: Option<(Transport, u16)>,
    layers: Vec<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Ip(IpAddr),
    Name(&'static str, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Tcp,
    Udp,
}

impl Address {
    /// Reads an address in its binary form; `None` when it is none of the form above.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Bytes(bytes);
        let host = reader.host()?;
        let mut code = reader.number()?;
        let transport = match code {
            TCP => Some(Transport::Tcp),
            UDP => Some(Transport::Udp),
            _ => None,
        };
        let mut port = None;
        if let Some(transport) = transport {
            port = Some((transport, u16::from_be_bytes(reader.array()?)));
            code = reader.number()?;
        }
        let mut layers = Vec::new();
        while let Some(layer) = named(&LAYERS, code) {
            layers.push(layer);
            code = reader.number()?;
        }
        if code != P2P {
            return None;
        }
        let peer = PeerId::new(reader.sized()?)?;
        reader.0.is_empty().then_some(Self { place: Place { host, port, layers }, peer })
    }
}

impl AddressRule {
    /// Reads a rule as an operator writes it; `None` when it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.strip_prefix('/')?.split('/').peekable();
        let (kind, value) = (words.next()?, words.next()?);
        let host = match kind {
            "ip4" => Host::Ip(IpAddr::V4(value.parse().ok()?)),
            "ip6" => Host::Ip(IpAddr::V6(value.parse().ok()?)),
            _ => Host::Name(DNS.iter().find(|(_, name)| *name == kind)?.1, name(value)?),
        };
        let mut net = None;
        if words.next_if_eq(&"ipcidr").is_some() {
            let Host::Ip(ip) = &host else { return None };
            let most = if ip.is_ipv4() { 32 } else { 128 };
            net = Some(words.next()?.parse().ok().filter(|bits| *bits <= most)?);
        }
        let transport = match words.peek() {
            Some(&"tcp") => Some(Transport::Tcp),
            Some(&"udp") => Some(Transport::Udp),
            _ => None,
        };
        let mut port = None;
        if let Some(transport) = transport {
            words.next();
            port = Some((transport, words.next()?.parse().ok()?));
        }
        let layer =
            |word: &str| LAYERS.iter().find(|(_, name)| *name == word).map(|(_, name)| *name);
        let layers: Vec<_> = words.map(layer).collect::<Option<_>>()?;
        let is_complete = layers.is_empty() || port.is_some();
        is_complete.then_some(Self { place: Place { host, port, layers }, net })
    }

    /// Whether the address begins like this.
    pub(crate) fn allows(&self, address: &Address) -> bool {
        let (rule, asked) = (&self.place, &address.place);
        let same_host = match (&rule.host, &asked.host, self.net) {
            (Host::Ip(net), Host::Ip(ip), Some(bits)) => is_in_net(*ip, *net, bits),
            (rule, asked, _) => rule == asked,
        };
        same_host
            && (rule.port.is_none() || rule.port == asked.port)
            && asked.layers.starts_with(&rule.layers)
    }
}

impl PeerId {
    fn new(bytes: &[u8]) -> Option<Self> {
        PEER_ID_BYTES.contains(&bytes.len()).then(|| Self(bytes.to_vec()))
    }

    /// Reads a peer id as nodes print it; `None` when it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        bs58::decode(text).into_vec().ok().as_deref().and_then(Self::new)
    }
}

fn is_in_net(ip: IpAddr, net: IpAddr, bits: u8) -> bool {
    let same = |one: u128, other: u128, width: u8| {
        let ignored = u32::from(width.saturating_sub(bits));
        one.checked_shr(ignored).unwrap_or(0) == other.checked_shr(ignored).unwrap_or(0)
    };
    match (ip, net) {
        (IpAddr::V4(ip), IpAddr::V4(net)) => {
            same(u128::from(ip.to_bits()), u128::from(net.to_bits()), 32)
        }
        (IpAddr::V6(ip), IpAddr::V6(net)) => same(ip.to_bits(), net.to_bits(), 128),
        _ => false,
    }
}

/// A host name in lower case; `None` for what is none.
fn name(text: &str) -> Option<String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let fits = (1..=MAX_NAME_BYTES).contains(&text.len()) && text.bytes().all(is_allowed);
    fits.then(|| text.to_ascii_lowercase())
}

fn named(table: &[(u64, &'static str)], code: u64) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == code).map(|(_, name)| *name)
}

/// Takes values off the front.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    /// An unsigned LEB128 integer below 2^63, in its shortest form.
    pub(crate) fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for place in 0..9 {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return (byte != 0 || place == 0).then_some(value);
            }
        }
        None
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    /// Bytes behind their length.
    pub(crate) fn sized(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    fn host(&mut self) -> Option<Host> {
        match self.number()? {
            IP4 => Some(Host::Ip(IpAddr::V4(Ipv4Addr::from(self.array::<4>()?)))),
            IP6 => Some(Host::Ip(IpAddr::V6(Ipv6Addr::from(self.array::<16>()?)))),
            code => {
                let kind = named(&DNS, code)?;
                let text = std::str::from_utf8(self.sized()?).ok()?;
                Some(Host::Name(kind, name(text)?))
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place.host {
            Host::Ip(IpAddr::V4(ip)) => write!(f, "/ip4/{ip}"),
            Host::Ip(IpAddr::V6(ip)) => write!(f, "/ip6/{ip}"),
            Host::Name(kind, name) => write!(f, "/{kind}/{name}"),
        }?;
        match self.place.port {
            Some((Transport::Tcp, port)) => write!(f, "/tcp/{port}"),
            Some((Transport::Udp, port)) => write!(f, "/udp/{port}"),
            None => Ok(()),
        }?;
        self.place.layers.iter().try_for_each(|layer| write!(f, "/{layer}"))?;
        write!(f, "/p2p/{}", self.peer)
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bs58::encode(&self.0).into_string())
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
