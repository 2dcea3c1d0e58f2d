#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use super::period::{Period, Unit};
use super::*;
use crate::api::report::Body;
use crate::api::{self, ReportKind};
use key::When;
use proptest::prelude::*;

/// 2026-11-28 00:00:00 in Beijing, milliseconds since the Unix epoch.
const DAY_MS: u64 = 1_795_795_200_000;

#[test]
fn periods_are_those_of_beijing() {
    let day = Period::at(Unit::Day, DAY_MS);
    assert_eq!(day.to_string(), "2026-11-28");
    assert_eq!(
        (day.begins_ms(), day.ends_ms()),
        (DAY_MS, DAY_MS + 86_400_000)
    );
    assert_eq!(Period::at(Unit::Day, DAY_MS - 1).to_string(), "2026-11-27");
    let hour = Period::at(Unit::Hour, DAY_MS + 13 * 3_600_000);
    assert_eq!(hour.to_string(), "2026-11-28T13");
    let month = Period::at(Unit::Month, DAY_MS);
    assert_eq!(month.to_string(), "2026-11");
    assert_eq!(month.days().count(), 30);
    assert_eq!(month.next().next().to_string(), "2027-01");
    assert_eq!(day.day_of_month(), 28);
    // 2028 is a leap year, 2100 is none.
    let lengths = ["2028-02", "2100-02", "2000-02", "2026-12"]
        .map(|it| Period::parse(it).unwrap().days().count());
    assert_eq!(lengths, [29, 28, 29, 31]);
}

#[test]
fn the_monthly_report_is_due_after_ten_working_days() {
    // November 2026 ends on a Monday: the first working day is Tuesday, December 1.
    let due = Period::parse("2026-11").unwrap().due_ms();
    assert_eq!(due, Period::parse("2026-12-14").unwrap().ends_ms());
    // October 2026 ends on a Saturday.
    let due = Period::parse("2026-10").unwrap().due_ms();
    assert_eq!(due, Period::parse("2026-11-13").unwrap().ends_ms());
}

#[test]
fn what_is_no_period_is_refused() {
    for text in [
        "",
        "2026",
        "2026-13",
        "2026-00",
        "2026-11-31",
        "2026-1-01",
        "2026-11-28T24",
        "2026-11T03",
        "2026-11-28T3",
        "+2026-11",
        "2026-11-28T03:00",
        "1969-12",
        "99999-01",
    ] {
        assert_eq!(Period::parse(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn periods_and_keys_round_trip(ms in 0_u64..250_000_000_000_000, which in 0_usize..3, scope in ".{0,40}") {
        let unit = [Unit::Hour, Unit::Day, Unit::Month][which];
        let period = Period::at(unit, ms);
        prop_assert!(period.has(ms));
        prop_assert!(period.begins_ms() <= ms && ms < period.ends_ms());
        prop_assert_eq!(Period::parse(&period.to_string()), Some(period));
        prop_assert_eq!(period.next().previous(), period);
        prop_assert_eq!(period.ends_ms(), period.next().begins_ms());
        let kind = [Kind::Enterprises, Kind::Statistics, Kind::Service][which];
        let key = ReportKey::of_period(kind, period, &scope);
        prop_assert_eq!(ReportKey::parse(&key.to_string()), Some(key));
        let event = ReportKey::of_event(7, ms);
        prop_assert_eq!(ReportKey::parse(&event.to_string()), Some(event));
    }

    #[test]
    fn junk_is_no_key(text in ".{0,60}") {
        if let Some(key) = ReportKey::parse(&text) {
            prop_assert_eq!(key.to_string(), text);
        }
    }
}

fn statistics() -> api::Report {
    let key = ReportKey::of_period(Kind::Statistics, Period::at(Unit::Day, DAY_MS), "88.118.8");
    let source = |source: &str, queries| api::SourceCount {
        source: source.to_owned(),
        queries,
        over_at_most: 0,
        deviation: 0.0,
    };
    let mut report = key.report("88.118", DAY_MS + 86_400_000, 0);
    report.body = Some(Body::Statistics(api::PrefixDay {
        prefix: "88.118.8".to_owned(),
        scheme: api::Scheme::Handle.into(),
        new_identifiers: 5,
        deleted_identifiers: 2,
        identifiers: 13,
        identifiers_before: 10,
        queries: 100,
        successes: 90,
        sources: vec![source("192.0.2.7", 60), source("2001:db8::/64", 40)],
        sampled_one_in: 1.0,
        source_capacity: 128,
        unlisted_at_most: 0,
        unrecorded_s: 0,
    }));
    report
}

type Spoil<B> = fn(&mut B);

#[test]
fn a_profile_is_whole_or_empty_and_in_order() {
    let key = ReportKey::of_period(Kind::Enterprises, Period::at(Unit::Hour, DAY_MS), "1");
    let listing = |spoil: &Spoil<api::ReportedEnterprise>| {
        let mut enterprise = api::ReportedEnterprise {
            id: 1,
            name: "轴承厂".to_owned(),
            certificate_code: "91110000600037341L".to_owned(),
            description: "x".repeat(2_048),
            country_code: "CN".to_owned(),
            province_code: "140000".to_owned(),
            contact: Some(api::Contact::default()),
            ..api::ReportedEnterprise::default()
        };
        spoil(&mut enterprise);
        let mut report = key.report("88.118", DAY_MS + 3_600_000, 0);
        report.body = Some(Body::Enterprises(api::EnterpriseListing {
            parts: 1,
            enterprises: vec![enterprise],
            ..api::EnterpriseListing::default()
        }));
        check(&report)
    };
    let untouched: Spoil<api::ReportedEnterprise> = |_| {};
    listing(&untouched).unwrap();
    let spoils: [(&str, Spoil<api::ReportedEnterprise>); 5] = [
        ("description", |it| it.description.push('x')),
        ("address", |it| it.address = "x".repeat(1_025)),
        ("city_code", |it| it.city_code = "太原".to_owned()),
        ("country_code", |it| it.country_code = "CHN".to_owned()),
        ("contact.phone", |it| {
            it.contact.get_or_insert_default().phone = "0".repeat(1_025)
        }),
    ];
    for (field, spoil) in spoils {
        let flaw = listing(&spoil).unwrap_err();
        assert_eq!(flaw.field, format!("enterprises.enterprises[0].{field}"));
    }
}

#[test]
fn a_day_of_a_prefix_must_add_up() {
    assert!(matches!(
        check(&statistics()).unwrap().when,
        When::Period(_)
    ));
    let spoils: [(&str, Spoil<api::PrefixDay>); 10] = [
        ("statistics.identifiers", |it| it.identifiers = 14),
        ("statistics.successes", |it| it.successes = 101),
        ("statistics.sources", |it| it.sources[0].queries = 61),
        ("statistics.sources[1].queries", |it| {
            it.sources[1].queries = 70
        }),
        ("statistics.sources[1].source", |it| {
            it.sources[1].source = "192.0.2.7".into()
        }),
        ("statistics.sources[0].source", |it| {
            it.sources[0].source = "192.0.2.07".into()
        }),
        ("statistics.sources[1].source", |it| {
            it.sources[1].source = "2001:db8::1/64".into()
        }),
        ("statistics.sources[0].over_at_most", |it| {
            it.sources[0].over_at_most = 61
        }),
        ("statistics.sampled_one_in", |it| {
            it.sampled_one_in = f64::NAN
        }),
        ("statistics.prefix", |it| it.prefix = "88.118.9".into()),
    ];
    for (field, spoil) in spoils {
        let mut report = statistics();
        let Some(Body::Statistics(day)) = &mut report.body else {
            panic!()
        };
        spoil(day);
        assert_eq!(check(&report).unwrap_err().field, field);
    }
    let mut report = statistics();
    let Some(Body::Statistics(day)) = &mut report.body else {
        panic!()
    };
    day.queries = u64::MAX;
    day.sources[0].queries = u64::MAX;
    let flaw = check(&report).unwrap_err();
    assert_eq!(flaw.field, "statistics.sources");
    assert!(flaw.reason.contains("64 bits"), "{flaw}");
    // What sampling may have added is not held against the sum.
    let mut report = statistics();
    let Some(Body::Statistics(day)) = &mut report.body else {
        panic!()
    };
    (
        day.sampled_one_in,
        day.sources[0].queries,
        day.sources[0].deviation,
    ) = (10.0, 70, 8.0);
    check(&report).unwrap();
}

#[test]
fn what_surrounds_a_body_must_fit_it() {
    let spoils: [(&str, Spoil<api::Report>); 7] = [
        ("key", |it| it.key = "statistics/2026-11-28".into()),
        ("kind", |it| it.kind = ReportKind::Monitoring.into()),
        ("scope", |it| it.scope = "88.118.9".into()),
        ("begins_at", |it| {
            it.begins_at = Some(timestamp(DAY_MS + 1_000))
        }),
        ("made_at", |it| it.made_at = Some(timestamp(DAY_MS + 1_000))),
        ("made_at", |it| it.made_at = None),
        ("body", |it| it.body = None),
    ];
    for (field, spoil) in spoils {
        let mut report = statistics();
        spoil(&mut report);
        assert_eq!(check(&report).unwrap_err().field, field);
    }
}

fn recovery() -> api::Report {
    let mut report = ReportKey::of_event(2, DAY_MS).report("88.118", DAY_MS, 0);
    report.body = Some(Body::Fault(api::FaultEvent {
        number: 2,
        related_number: 1,
        state: api::FaultState::Recovery.into(),
        r#type: api::FaultType::System.into(),
        at: Some(timestamp(DAY_MS)),
        since: Some(timestamp(DAY_MS - 20_000)),
        check: "disk".into(),
        cause: "5 GiB free".into(),
    }));
    report
}

#[test]
fn a_recovery_names_its_fault() {
    check(&recovery()).unwrap();
    let spoils: [(&str, Spoil<api::FaultEvent>); 5] = [
        ("fault.related_number", |it| it.related_number = 0),
        ("fault.related_number", |it| it.related_number = 2),
        ("fault.number", |it| it.number = 3),
        ("fault.type", |it| it.r#type = 0),
        ("fault.since", |it| it.since = Some(timestamp(DAY_MS + 1))),
    ];
    for (field, spoil) in spoils {
        let mut report = recovery();
        let Some(Body::Fault(event)) = &mut report.body else {
            panic!()
        };
        spoil(event);
        assert_eq!(check(&report).unwrap_err().field, field);
    }
}

#[test]
fn latencies_are_ordered_and_of_the_day() {
    let key = ReportKey::of_period(Kind::Monitoring, Period::at(Unit::Day, DAY_MS), "1");
    let latency = api::LatencyDay {
        count: 3,
        average_ms: 0.5,
        max_ms: 1.0,
        max_at: Some(timestamp(DAY_MS + 1_000)),
        min_ms: 0.1,
        min_at: Some(timestamp(DAY_MS + 2_000)),
    };
    let level = |prefix: &str, queries| api::LevelDay {
        prefix: prefix.to_owned(),
        resolution: Some(latency),
        registration: Some(api::LatencyDay::default()),
        queries,
        peak_qps: 2,
        peak_at: Some(timestamp(DAY_MS)),
    };
    let good = api::Monitoring {
        node: Some(level("", 5)),
        prefixes: vec![level("88.118.8", 3)],
        parts: 1,
    };
    let of = |body: api::Monitoring| {
        let mut report = key.report("88.118", DAY_MS + 86_400_000, 0);
        report.body = Some(Body::Monitoring(body));
        check(&report)
    };
    of(good.clone()).unwrap();
    let spoils: [(&str, Spoil<api::LevelDay>); 5] = [
        ("resolution.average_ms", |it| {
            it.resolution.as_mut().unwrap().average_ms = 1.5
        }),
        ("resolution.max_at", |it| {
            it.resolution.as_mut().unwrap().max_at = Some(timestamp(DAY_MS + 86_400_000));
        }),
        ("registration.count", |it| {
            it.registration.as_mut().unwrap().max_ms = 1.0
        }),
        ("peak_qps", |it| it.peak_qps = 6),
        ("peak_at", |it| it.peak_at = None),
    ];
    for (field, spoil) in spoils {
        let mut bad = good.clone();
        spoil(bad.node.as_mut().unwrap());
        assert_eq!(
            of(bad).unwrap_err().field,
            format!("monitoring.node.{field}")
        );
    }
    let mut bad = good.clone();
    bad.prefixes[0].queries = 6;
    assert_eq!(of(bad).unwrap_err().field, "monitoring.node.queries");
    // Sums that wrap around would hide it.
    let mut bad = good;
    bad.prefixes = vec![level("88.118.8", u64::MAX), level("88.118.9", 2)];
    assert_eq!(of(bad).unwrap_err().field, "monitoring.prefixes");
}

#[test]
fn a_month_that_does_not_fit_its_sum_is_refused() {
    let month = Period::at(Unit::Month, DAY_MS);
    let key = ReportKey::of_period(Kind::Application, month, "88.118.8");
    let day = |day| api::ApplicationDay {
        day,
        queries: 1 << 63,
        ..api::ApplicationDay::default()
    };
    let mut report = key.report("88.118", month.ends_ms(), 0);
    report.body = Some(Body::Application(api::ApplicationData {
        prefix: "88.118.8".to_owned(),
        scheme: api::Scheme::Handle.into(),
        queries: u64::MAX,
        active_days: 2,
        days: vec![day(1), day(2)],
        ..api::ApplicationData::default()
    }));
    assert_eq!(check(&report).unwrap_err().field, "application.days");
}
