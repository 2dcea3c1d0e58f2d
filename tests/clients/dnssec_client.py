"""A reader of signed answers that shares no code with the node: dnspython.

usage: dnssec_client.py PORT NAME...

Asks a node on 127.0.0.1 for each name and type, in random spellings, over TCP, with DO, and
checks of every answer
 - that each set of records has a valid signature by a key of its zone (RFC 4035 section 5.3);
 - that there is an NSEC record of the name itself where there is no such type, ending at the
   name's immediate successor, and
 - that its bit map lists exactly those types that the name answers (RFC 9824), or says that the
   name does not exist where it is NXDOMAIN without DO; with CO as well it is NXDOMAIN again.
"""

import random
import sys

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

PORT = int(sys.argv[1])
TYPES = [
    dns.rdatatype.from_text(text)
    for text in "A NS SOA MX TXT AAAA NAPTR DS DNSKEY CDS CDNSKEY HINFO CAA URI PTR TYPE64 TYPE65 TYPE65280".split()
]
NXNAME = 128
COMPACT_OK = 0x4000
RRSIG, NSEC = int(dns.rdatatype.RRSIG), int(dns.rdatatype.NSEC)
ZONES = [dns.name.from_text(text) for text in ("id.example.", "ors.example.", "ons.example.")]


def ask(name, rtype, want_dnssec=True, flags=0):
    query = dns.message.make_query(name, rtype, use_edns=0, want_dnssec=want_dnssec)
    query.ednsflags |= flags
    return dns.query.tcp(query, "127.0.0.1", port=PORT, timeout=10)


def set_of(section, rtype):
    sets = [found for found in section if found.rdtype == rtype]
    assert len(sets) <= 1, sets
    return sets[0] if sets else None


def keys_of(zone):
    answer = ask(zone, dns.rdatatype.DNSKEY)
    keys = set_of(answer.answer, dns.rdatatype.DNSKEY)
    verify(answer.answer, {zone: keys}, 1)
    return keys


def verify(section, keys, least):
    """Every set of a section but NS of a cut is signed; how many were."""
    verified = 0
    for rrset in section:
        if rrset.rdtype in (dns.rdatatype.RRSIG,):
            continue
        signatures = [
            other for other in section
            if other.rdtype == dns.rdatatype.RRSIG and other.covers == rrset.rdtype
        ]
        assert len(signatures) == 1, f"{rrset} has {len(signatures)} sets of signatures"
        assert signatures[0].ttl == rrset.ttl, "the TTL of a set and its signature"
        dns.dnssec.validate(rrset, signatures[0], keys)
        verified += 1
    assert verified >= least, section
    return verified


def spelled(name):
    labels = []
    for label in name.labels:
        text = label.decode("ascii")
        labels.append("".join(random.choice((c.upper(), c.lower())) for c in text).encode())
    return dns.name.Name(labels)


def check(name, keys):
    """The answers of one name that were verified."""
    present, bitmaps, verified = set(), [], 0
    exists = ask(name, dns.rdatatype.TXT, want_dnssec=False).rcode() == dns.rcode.NOERROR
    for rtype in TYPES:
        asked = spelled(name)
        answer = ask(asked, rtype)
        assert answer.rcode() == dns.rcode.NOERROR, answer
        assert answer.flags & dns.flags.AA, answer
        if answer.answer:
            present.add(int(rtype))
            found = set_of(answer.answer, rtype)
            # Names compare without case: the spelling is compared as text.
            assert found.name.labels == asked.labels, f"{found.name} for {asked}"
            verified += verify(answer.answer, keys, 1)
            # What is beside it are whole sets.
            verified += verify(answer.additional, keys, 0)
            continue
        verified += verify(answer.authority, keys, 2)
        nsec = set_of(answer.authority, dns.rdatatype.NSEC)
        assert nsec.name == asked and len(nsec) == 1, nsec
        successor = dns.name.Name((b"\x00",) + name.canonicalize().labels)
        assert nsec[0].next.labels == successor.labels, nsec
        types = set()
        for window, bitmap in nsec[0].windows:
            assert bitmap and bitmap[-1], "a bit map has no zeros at its end"
            for at, byte in enumerate(bitmap):
                types |= {window * 256 + at * 8 + bit for bit in range(8) if byte & 0x80 >> bit}
        bitmaps.append(types)
    expected = present | {RRSIG, NSEC} if exists else {RRSIG, NSEC, NXNAME}
    for types in bitmaps:
        assert types == expected, f"{name}: NSEC says {types}, the answers {expected}"
    compact = ask(name, dns.rdatatype.MX, flags=COMPACT_OK)
    assert compact.rcode() == (dns.rcode.NOERROR if exists else dns.rcode.NXDOMAIN), compact
    assert compact.ednsflags & COMPACT_OK, "CO is repeated"
    verified += verify(compact.authority, keys, 2)
    assert exists or not present, f"{name} is NXDOMAIN and has {present}"
    return verified


def variants(name):
    """Names near one: below it, beside it."""
    yield name
    yield dns.name.Name((b"x" + bytes([random.choice(b"abc123-_")]),) + name.labels)
    yield dns.name.Name((name.labels[0] + b"0",) + name.labels[1:])


def main():
    random.seed(9824)
    keys = {zone: keys_of(zone) for zone in ZONES}
    total = 0
    for text in sys.argv[2:]:
        for name in variants(dns.name.from_text(text)):
            if any(name.is_subdomain(zone) for zone in ZONES):
                total += check(name, keys)
    assert total > len(sys.argv), total
    print(f"{total} answers verified")


main()
