//! Response rate limiting, as an attacker meets it and as everybody else does.

use std::net::IpAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use idnode_tests::dns::{Ask, Edns, Said, Udp, flag, option, rtype};
use idnode_tests::run::success;

use crate::zones::{ELSEWHERE, HIT, MISS, OUTSIDE, World, ZONE};

/// Ten answers a second, and every other one beyond them truncated; nobody is exempt.
const LIMITED: [&str; 3] = [
    "dns.rrl_responses_per_s=10",
    "dns.rrl_slip=2",
    "dns.rrl_exempt=192.0.2.0/24",
];
const LIMIT: usize = 10;
const QUERIES: usize = 200;

/// What came back of many queries.
#[derive(Debug)]
struct Harvest {
    whole: usize,
    truncated: usize,
    lost: usize,
    /// Most answers that may have been sent whole: a second may end while they are asked for.
    most_whole: usize,
}

impl Harvest {
    fn assert_limited(&self, what: &str) {
        assert!(
            (LIMIT..=self.most_whole).contains(&self.whole),
            "{what}: {self:?}"
        );
        assert!(self.truncated.abs_diff(self.lost) <= 2, "{what}: {self:?}");
    }
}

/// Sends queries at once from an address, and waits for what comes.
fn flood(world: &World, source: &str, query: impl Fn(usize) -> Ask) -> Harvest {
    let source: IpAddr = source.parse().unwrap();
    let client = Udp::from(source, world.node.at.dns);
    let began = Instant::now();
    let (mut whole, mut truncated) = (0, 0);
    let answers = std::thread::scope(|scope| {
        // Read as they come, with time for that, so that the kernel has room for all of them.
        let receiving = scope.spawn(|| {
            let receive = || client.receive(Duration::from_millis(500));
            std::iter::from_fn(receive).collect::<Vec<_>>()
        });
        for n in 0..QUERIES {
            client.send(&query(n).id(n as u16).bytes());
            if n % 40 == 39 {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        receiving.join().unwrap()
    });
    for answer in answers {
        let said = Said::read(&answer);
        assert!(said.has(flag::QR) && said.question_count == 1, "{said:?}");
        if said.has(flag::TC) {
            assert!(said.sections.iter().all(Vec::is_empty), "{said:?}");
            truncated += 1;
        } else {
            whole += 1;
        }
    }
    assert!(whole + truncated <= QUERIES, "more answers than questions");
    // Seconds that were begun.
    let seconds = 2 + usize::try_from(began.elapsed().as_secs()).unwrap();
    Harvest {
        whole,
        truncated,
        lost: QUERIES - whole - truncated,
        most_whole: LIMIT * seconds,
    }
}

#[test]
fn equal_answers_to_one_network_are_limited_and_others_are_not_touched() {
    let world = World::with(&LIMITED);
    let ask = |_| Ask::of(HIT, rtype::TXT);
    flood(&world, "127.1.1.1", ask).assert_limited("a kept answer");
    // The same network is still beyond its limit; the next one is not.
    let neighbour = flood(&world, "127.1.1.77", ask);
    assert!(neighbour.whole <= neighbour.most_whole, "{neighbour:?}");
    assert!(neighbour.truncated > 0, "{neighbour:?}");
    let other = Udp::from("127.1.2.1".parse().unwrap(), world.node.at.dns);
    for id in 0..LIMIT as u16 {
        other.send(&ask(0).id(id).bytes());
        let answer = other.receive(Duration::from_secs(5)).expect("an answer");
        let said = Said::read(&answer);
        assert!(!said.has(flag::TC) && said.answers().len() == 3, "{said:?}");
    }
    let limited = world.bound_hits("dns_response_rate");
    assert!(limited as usize >= 2 * (QUERIES - 3 * LIMIT), "{limited}");
    world.node.stop();
}

#[test]
fn the_letters_of_a_name_and_the_form_of_a_query_make_no_other_answer() {
    let world = World::with(&LIMITED);
    // Spelt with other letters each time, with and without EDNS and DO.
    let spelt = |n: usize| {
        let spell = |(at, letter): (usize, char)| match n >> (at % 8) & 1 {
            0 => letter,
            _ => letter.to_ascii_uppercase(),
        };
        let name: String = HIT.chars().enumerate().map(spell).collect();
        let ask = Ask::of(&name, rtype::TXT);
        match n % 4 {
            0 => ask,
            1 => ask.edns(Edns::v(0)),
            2 => ask.edns(Edns::v(0).flags(flag::DO)),
            // Not what clients send, and parsed elsewhere.
            _ => ask.flags(flag::TC),
        }
    };
    flood(&world, "127.1.3.1", spelt).assert_limited("spelt otherwise");
    world.node.stop();
}

#[test]
fn answers_that_come_from_the_disk_are_limited_as_others() {
    let world = World::with(&LIMITED);
    let hashed = |_| Ask::of(&world.hashed, rtype::URI);
    flood(&world, "127.1.4.1", hashed).assert_limited("a hashed name");
    world.node.stop();
}

#[test]
fn answers_without_records_are_limited_by_their_kind() {
    let world = World::with(&LIMITED);
    let missing = |n| Ask::of(&format!("no-{n}.{MISS}"), rtype::A);
    flood(&world, "127.1.5.1", missing).assert_limited("NXDOMAIN");
    let elsewhere = |n| {
        let name = ELSEWHERE.replacen("any", &format!("any-{n}"), 1);
        Ask::of(&name, rtype::TXT)
    };
    flood(&world, "127.1.5.1", elsewhere).assert_limited("where a prefix is served");
    let no_data = |_| Ask::of(HIT, rtype::MX);
    flood(&world, "127.1.5.1", no_data).assert_limited("NODATA");
    let refused = |n| Ask::of(&format!("a{n}.{OUTSIDE}"), rtype::A);
    flood(&world, "127.1.5.1", refused).assert_limited("REFUSED");
    let bad = |n: usize| {
        let high = Edns::v(1 + (n % 200) as u8);
        Ask::of(ZONE, rtype::SOA).edns(high)
    };
    flood(&world, "127.1.5.1", bad).assert_limited("BADVERS");
    world.node.stop();
}

#[test]
fn what_every_name_of_a_signed_zone_has_is_limited_as_if_there_were_nothing() {
    let world = World::with(&LIMITED);
    world.sign();
    for (source, qtype) in [("127.1.9.1", rtype::NSEC), ("127.1.10.1", rtype::RRSIG)] {
        let any_name = |n| {
            let asked = Ask::of(&format!("no-{n}.{MISS}"), qtype);
            asked.edns(Edns::v(0).flags(flag::DO))
        };
        flood(&world, source, any_name).assert_limited("signed");
    }
    world.node.stop();
}

#[test]
fn every_answer_beyond_is_truncated_or_none_is() {
    let [limit, _, exempt] = LIMITED;
    let ask = |_| Ask::of(HIT, rtype::TXT);
    let world = World::with(&[limit, "dns.rrl_slip=1", exempt]);
    let harvest = flood(&world, "127.1.6.1", ask);
    assert!(harvest.lost == 0, "{harvest:?}");
    assert!(harvest.whole <= harvest.most_whole, "{harvest:?}");
    world.node.stop();
    let world = World::with(&[limit, "dns.rrl_slip=0", exempt]);
    let harvest = flood(&world, "127.1.6.1", ask);
    assert!(harvest.truncated == 0, "{harvest:?}");
    assert!(
        (LIMIT..=harvest.most_whole).contains(&harvest.whole),
        "{harvest:?}"
    );
    world.node.stop();
}

#[test]
fn whoever_shows_that_its_address_is_its_own_is_not_limited() {
    let world = World::with(&LIMITED);
    let source = "127.1.7.1".parse().unwrap();
    let own = [1, 2, 3, 4, 5, 6, 7, 8];
    let client = Udp::from(source, world.node.at.dns);
    client.send(
        &Ask::of(HIT, rtype::A)
            .edns(Edns::v(0).option(option::COOKIE, &own))
            .bytes(),
    );
    let answer = client.receive(Duration::from_secs(5)).expect("an answer");
    let cookie = Said::read(&answer).edns[0]
        .find(option::COOKIE)
        .unwrap()
        .to_vec();
    assert!(cookie.len() == 24 && cookie.starts_with(&own));
    let known = |_| Ask::of(HIT, rtype::TXT).edns(Edns::v(0).option(option::COOKIE, &cookie));
    let harvest = flood(&world, "127.1.7.1", known);
    assert_eq!(harvest.whole, QUERIES, "{harvest:?}");
    // The same cookie from another address is none.
    flood(&world, "127.1.8.1", known).assert_limited("a cookie of another's");
    // Nor is a connection limited: this is what a truncated answer leads to.
    flood(&world, "127.1.7.1", |_| Ask::of(HIT, rtype::TXT)).assert_limited("no cookie");
    let text = success(
        Command::new("dig")
            .args(["-b", "127.1.7.1", "@127.0.0.1", "-p"])
            .arg(world.node.at.dns.port().to_string())
            .args(["+tcp", "+norec", "+noedns", "+keepopen"])
            .args([HIT, "TXT"].repeat(3 * LIMIT)),
    );
    assert_eq!(text.matches("status: NOERROR").count(), 3 * LIMIT, "{text}");
    assert!(!text.contains(" tc"), "{text}");
    world.node.stop();
}

/// What waits for the disk is bounded before anything is made for it: beyond that, datagrams
/// are lost, and counted.
#[test]
fn queries_that_wait_for_the_disk_are_dropped_beyond_the_bound() {
    let world = World::with(&["dns.max_waiting_queries=1"]);
    let (mut lost, mut answered) = (0, 0);
    for _ in 0..50 {
        let harvest = flood(&world, "127.0.0.1", |_| Ask::of(&world.hashed, rtype::URI));
        answered += harvest.whole;
        lost += harvest.lost;
        if lost > 0 {
            break;
        }
    }
    assert!(answered > 0 && lost > 0, "{answered} {lost}");
    assert_eq!(world.bound_hits("dns_waiting_queries"), lost as u64);
    world.node.stop();
}
