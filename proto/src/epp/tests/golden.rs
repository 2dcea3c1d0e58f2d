//! Documents of the forms that the drafts give, section by section: their elements, their order,
//! their namespaces; with values of this node. What is written is compared letter by letter.

use crate::epp::enterprise::*;
use crate::epp::identifier::*;
use crate::epp::prefix::*;
use crate::epp::*;

/// Reads a document that is printed in lines, and checks that what is written for it is the same.
fn same(printed: &str, document: Document) {
    let written: String = printed.lines().map(str::trim_start).collect();
    assert_eq!(Document::parse(printed.as_bytes()).as_ref(), Ok(&document));
    assert_eq!(document.encode(), written);
}

fn command(id: &str, operation: Operation) -> Document {
    Document::Command(Command::new(id, operation))
}

fn ok(code: ResultCode, id: &str, server_id: &str) -> Response {
    Response::new(code, Some(id.to_owned()), server_id)
}

#[test]
fn interface_3_1_1_check_of_an_enterprise() {
    same(
        r#"<?xml version="1.0" encoding="UTF-8"?>
           <epp xmlns="urn:ietf:params:xml:ns:epp-1.0">
             <command>
               <check>
                 <ent:check xmlns:ent="urn:ietf:params:xml:ns:idis-ent-1.0">
                   <ent:shrUserId>shanxi-118</ent:shrUserId>
                   <ent:entCrtType>1</ent:entCrtType>
                   <ent:entCrtCode>91110000600037341L</ent:entCrtCode>
                 </ent:check>
               </check>
               <clTRID>ec-1</clTRID>
             </command>
           </epp>"#,
        command(
            "ec-1",
            Operation::CheckEnterprise(EnterpriseCheck {
                user: "shanxi-118".into(),
                certificate_type: "1".into(),
                certificate_code: "91110000600037341L".into(),
            }),
        ),
    );
    same(
        r#"<?xml version="1.0" encoding="UTF-8"?>
           <epp xmlns="urn:ietf:params:xml:ns:epp-1.0">
             <response>
               <result code="1000">
                 <msg>Command completed successfully</msg>
               </result>
               <resData>
                 <ent:chkData xmlns:ent="urn:ietf:params:xml:ns:idis-ent-1.0">
                   <ent:entId>00000007</ent:entId>
                 </ent:chkData>
               </resData>
               <trID>
                 <clTRID>ec-1</clTRID>
                 <svTRID>SV-1</svTRID>
               </trID>
             </response>
           </epp>"#,
        Document::Response(Response {
            data: Some(Data::CheckedEnterprise("00000007".into())),
            ..ok(ResultCode::OK, "ec-1", "SV-1")
        }),
    );
}

const PREFIX_CHECK: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
    <epp xmlns="urn:ietf:params:xml:ns:epp-1.0">
      <command>
        <check>
          <prefix:check xmlns:prefix="urn:ietf:params:xml:ns:idis-entprefix-1.0">
            <prefix:shrPrefix>88.118</prefix:shrPrefix>
            <prefix:prefix>88.118.8</prefix:prefix>
          </prefix:check>
        </check>
        <clTRID>12345</clTRID>
      </command>
    </epp>"#;

#[test]
fn interface_3_1_1_check_of_a_prefix() {
    let check = PrefixCheck {
        node_prefix: "88.118".into(),
        prefix: "88.118.8".into(),
    };
    let document = command("12345", Operation::CheckPrefix(check));
    same(PREFIX_CHECK, document.clone());
    // Printed documents fold long names of namespaces.
    let folded = PREFIX_CHECK.replace("idis-entprefix", "idis-\n   entprefix");
    assert_eq!(Document::parse(folded.as_bytes()), Ok(document));
}

const PREFIX_CREATE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
    <epp xmlns="urn:ietf:params:xml:ns:epp-1.0">
      <command>
        <create>
          <prefix:create xmlns:prefix="urn:ietf:params:xml:ns:idis-entprefix-1.0">
            <prefix:shrPrefix>88.118</prefix:shrPrefix>
            <prefix:entId>00000007</prefix:entId>
            <prefix:prefix>88.118.8</prefix:prefix>
          </prefix:create>
        </create>
        <clTRID>123456</clTRID>
      </command>
    </epp>"#;

#[test]
fn interface_3_2_1_create_of_a_prefix_in_either_namespace() {
    let create = PrefixCreate {
        node_prefix: "88.118".into(),
        enterprise_id: "00000007".into(),
        prefix: "88.118.8".into(),
    };
    let document = command("123456", Operation::CreatePrefix(create));
    same(PREFIX_CREATE, document.clone());
    // The draft's own example has another namespace here: taken, never sent.
    let old = PREFIX_CREATE.replace("idis-entprefix-1.0", "prefix-1.0");
    assert_ne!(old, PREFIX_CREATE);
    assert_eq!(Document::parse(old.as_bytes()), Ok(document));
}

#[test]
fn interface_3_1_3_poll() {
    let printed = |poll: &str| {
        format!(
            r#"<?xml version="1.0" encoding="UTF-8"?><epp xmlns="{NS_EPP}"><command>{poll}<clTRID>12345</clTRID></command></epp>"#
        )
    };
    let request = command("12345", Operation::Poll(Poll::Request));
    same(&printed(r#"<poll op="req"/>"#), request.clone());
    let long = printed(r#"<poll op="req"></poll>"#);
    assert_eq!(Document::parse(long.as_bytes()), Ok(request));
    let acknowledge = Operation::Poll(Poll::Acknowledge("00001".into()));
    same(
        &printed(r#"<poll op="ack" msgID="00001"/>"#),
        command("12345", acknowledge),
    );
}

const AUDIT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
    <epp xmlns="urn:ietf:params:xml:ns:epp-1.0">
      <response>
        <result code="1301">
          <msg>Command completed successfully; ack to dequeue</msg>
        </result>
        <msgQ count="5" id="12345">
          <qDate>2026-10-19T07:09:37.393Z</qDate>
          <msg>the review of 88.118.8</msg>
        </msgQ>
        <resData>
          <prefix:resData xmlns:prefix="urn:ietf:params:xml:ns:idis-entprefix-1.0">
            <prefix:clTRID>pc-1</prefix:clTRID>
            <prefix:svTRID>SV-1</prefix:svTRID>
            <prefix:entId>00000007</prefix:entId>
            <prefix:prefix>88.118.8</prefix:prefix>
            <prefix:state>1</prefix:state>
            <prefix:auditResult>1</prefix:auditResult>
            <prefix:auditResultMsg>材料齐全</prefix:auditResultMsg>
          </prefix:resData>
        </resData>
        <trID>
          <clTRID>12345</clTRID>
          <svTRID>s12345</svTRID>
        </trID>
      </response>
    </epp>"#;

#[test]
fn interface_3_1_3_message_and_acknowledgement() {
    let audit = Audit {
        client_id: "pc-1".into(),
        server_id: "SV-1".into(),
        enterprise_id: "00000007".into(),
        prefix: "88.118.8".into(),
        state: "1".into(),
        result: "1".into(),
        message: "材料齐全".into(),
    };
    assert!(audit.is_passed());
    let response = Response {
        queue: Some(MessageQueue {
            count: 5,
            id: "12345".into(),
            date: Some("2026-10-19T07:09:37.393Z".into()),
            text: Some("the review of 88.118.8".into()),
        }),
        data: Some(Data::Audit(audit)),
        ..ok(ResultCode::MESSAGE, "12345", "s12345")
    };
    same(AUDIT, Document::Response(response));
    // A message of blanks alone is none.
    let blank = AUDIT.replace("材料齐全", "      ");
    let Ok(Document::Response(response)) = Document::parse(blank.as_bytes()) else {
        panic!("{blank}")
    };
    assert!(matches!(response.data, Some(Data::Audit(audit)) if audit.message.is_empty()));
    same(
        r#"<?xml version="1.0" encoding="UTF-8"?>
           <epp xmlns="urn:ietf:params:xml:ns:epp-1.0">
             <response>
               <result code="1000">
                 <msg>Command completed successfully</msg>
               </result>
               <msgQ count="4" id="12345"></msgQ>
               <trID>
                 <clTRID>12346</clTRID>
                 <svTRID>s12346</svTRID>
               </trID>
             </response>
           </epp>"#,
        Document::Response(Response {
            queue: Some(MessageQueue {
                count: 4,
                id: "12345".into(),
                date: None,
                text: None,
            }),
            ..ok(ResultCode::OK, "12346", "s12346")
        }),
    );
}

/// The elements of an enterprise, in the order of section 3.2.1.
const ENTERPRISE: &str = r#"<ent:entType>1</ent:entType>
    <ent:entCrCode>91110000600037341L</ent:entCrCode>
    <ent:entCrtImg>aWRub2Rl</ent:entCrtImg>
    <ent:entCrtImgType>png</ent:entCrtImgType>
    <ent:entNameCn>太原重型机械</ent:entNameCn>
    <ent:entProvinceCode>140000</ent:entProvinceCode>
    <ent:entCityCode>140100</ent:entCityCode>
    <ent:entCountyCode>140105</ent:entCountyCode>
    <ent:entAddrCn>小店区 1 号</ent:entAddrCn>
    <ent:entNameEn>Taiyuan Works</ent:entNameEn>
    <ent:entAddrEn>1 Xiaodian</ent:entAddrEn>
    <ent:entWebSite>https://works.example/?a=1&amp;b=2</ent:entWebSite>
    <ent:entDesc>cranes</ent:entDesc>
    <ent:contact>
      <ent:name>office</ent:name>
      <ent:email>office@works.example</ent:email>
      <ent:phone>+86.3510000000</ent:phone>
    </ent:contact>
    <ent:legalPerson>
      <ent:name>head</ent:name>
      <ent:idType>1</ent:idType>
      <ent:idNo>140105000000000000</ent:idNo>
      <ent:idImgType>png</ent:idImgType>
      <ent:idImg>aWRub2Rl</ent:idImg>
    </ent:legalPerson>"#;

fn reach() -> Reach {
    let text = |text: &str| Some(text.to_owned());
    Reach {
        province: text("140000"),
        city: text("140100"),
        county: text("140105"),
        address: text("小店区 1 号"),
        name_en: text("Taiyuan Works"),
        address_en: text("1 Xiaodian"),
        website: text("https://works.example/?a=1&b=2"),
        description: text("cranes"),
        contact: Some(Contact {
            name: "office".into(),
            email: "office@works.example".into(),
            phone: "+86.3510000000".into(),
        }),
    }
}

fn enterprise() -> Enterprise {
    let image = Image {
        data: "aWRub2Rl".into(),
        kind: "png".into(),
    };
    Enterprise {
        kind: "1".into(),
        certificate_code: "91110000600037341L".into(),
        certificate_image: image.clone(),
        name: "太原重型机械".into(),
        reach: reach(),
        legal_person: LegalPerson {
            name: "head".into(),
            id_type: "1".into(),
            id_number: "140105000000000000".into(),
            image,
        },
    }
}

fn of_enterprise(verb: &str, inside: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
        <epp xmlns="{NS_EPP}"><command><{verb}><ent:{verb} xmlns:ent="{NS_ENTERPRISE}">
        {inside}</ent:{verb}></{verb}><clTRID>12345</clTRID></command></epp>"#
    )
}

#[test]
fn interface_3_2_1_create_of_an_enterprise() {
    let inside = format!("<ent:shrPrefix>88.118</ent:shrPrefix>\n{ENTERPRISE}");
    let create = EnterpriseCreate {
        node_prefix: "88.118".into(),
        enterprise: enterprise(),
    };
    let operation = Operation::CreateEnterprise(Box::new(create));
    same(
        &of_enterprise("create", &inside),
        command("12345", operation),
    );
}

#[test]
fn interface_3_2_5_updates_of_an_enterprise() {
    let update = |change| {
        let update = EnterpriseUpdate {
            enterprise_id: "00000007".into(),
            change,
        };
        command("12345", Operation::UpdateEnterprise(Box::new(update)))
    };
    let id = "<ent:entId>00000007</ent:entId>";
    same(
        &of_enterprise(
            "update",
            &format!(
                "<ent:shrPrefix>88.118</ent:shrPrefix>\n{id}\n<ent:chgAll>{ENTERPRISE}</ent:chgAll>"
            ),
        ),
        update(Change::All {
            node_prefix: "88.118".into(),
            enterprise: Box::new(enterprise()),
        }),
    );
    same(
        &of_enterprise(
            "update",
            &format!(
                "<ent:shrUserId>shanxi-118</ent:shrUserId>\n{id}\n<ent:chg>\
                 <ent:entCityCode>140200</ent:entCityCode></ent:chg>"
            ),
        ),
        update(Change::Some {
            user: "shanxi-118".into(),
            reach: Reach {
                city: Some("140200".into()),
                ..Reach::default()
            },
        }),
    );
}

/// An administrator and a site as section 3.1.2 of the mapping draft has them, in one line.
const ADMINISTRATOR: &str = r#"<identifier:administrator><identifier:adminIndex>100</identifier:adminIndex><identifier:pubkey type="dsa_pub_key">AAAAB3Nz</identifier:pubkey><identifier:permissionList><identifier:permission>add_handle</identifier:permission><identifier:permission>remove_admin</identifier:permission></identifier:permissionList></identifier:administrator>"#;
const SITE: &str = r#"<identifier:siteInfo><identifier:siteIndex>500</identifier:siteIndex><identifier:protocolVersion>2.10</identifier:protocolVersion><identifier:serviceInfo><identifier:serverID>1</identifier:serverID><identifier:addr ip="v4">192.0.2.2</identifier:addr><identifier:addr ip="v6">2001:db8::2</identifier:addr><identifier:pubkey type="dsa_pub_key">AAAAB3Nz</identifier:pubkey><identifier:serviceInterfaces><identifier:serviceType>query</identifier:serviceType><identifier:protocol>tcp</identifier:protocol><identifier:port>2641</identifier:port></identifier:serviceInterfaces></identifier:serviceInfo></identifier:siteInfo>"#;

fn key() -> PublicKey {
    PublicKey {
        kind: Some("dsa_pub_key".into()),
        data: "AAAAB3Nz".into(),
    }
}

fn administrator() -> Administrator {
    Administrator {
        index: 100,
        key: key(),
        permissions: vec!["add_handle".into(), "remove_admin".into()],
    }
}

fn site() -> SiteInfo {
    SiteInfo {
        index: 500,
        protocol_version: "2.10".into(),
        services: vec![Service {
            server_id: 1,
            addresses: vec![
                ("v4".into(), "192.0.2.2".into()),
                ("v6".into(), "2001:db8::2".into()),
            ],
            key: Some(key()),
            interfaces: vec![Interface {
                service: "query".into(),
                protocol: "tcp".into(),
                port: 2641,
            }],
        }],
    }
}

fn object() -> IdentifierCreate {
    IdentifierCreate {
        name: "88.118.8".into(),
        kind: Kind::Handle,
        contacts: vec!["jd1234".into()],
        urls: vec!["www.works.example".into()],
        administrators: vec![administrator()],
        sites: vec![site()],
    }
}

fn of_identifier(verb: &str, inside: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?><epp xmlns="{NS_EPP}"><command><{verb}><identifier:{verb} xmlns:identifier="{NS_IDENTIFIER}">{inside}</identifier:{verb}></{verb}><clTRID>ABC-12345</clTRID></command></epp>"#
    )
}

fn lists(status: &str) -> String {
    format!(
        "<identifier:name>88.118.8</identifier:name><identifier:type>handle</identifier:type>{status}\
         <identifier:contact>jd1234</identifier:contact><identifier:url>www.works.example</identifier:url>\
         <identifier:administratorList>{ADMINISTRATOR}</identifier:administratorList>\
         <identifier:siteList>{SITE}</identifier:siteList>"
    )
}

#[test]
fn mapping_3_commands_on_identifiers() {
    let id = "ABC-12345";
    let name = |name: &str| format!("<identifier:name>{name}</identifier:name>");
    same(
        &of_identifier("check", &(name("88.118.8") + &name("88.118.9"))),
        command(
            id,
            Operation::CheckIdentifiers(vec!["88.118.8".into(), "88.118.9".into()]),
        ),
    );
    same(
        &of_identifier("info", &name("88.118.8")),
        command(id, Operation::InfoIdentifier("88.118.8".into())),
    );
    same(
        &of_identifier("delete", &name("88.118.8")),
        command(id, Operation::DeleteIdentifier("88.118.8".into())),
    );
    same(
        &of_identifier("create", &lists("")),
        command(id, Operation::CreateIdentifier(Box::new(object()))),
    );
    let added = format!(
        "<identifier:add><identifier:contact>jd12345</identifier:contact>\
         <identifier:url>www.abc.example</identifier:url>{ADMINISTRATOR}{SITE}</identifier:add>"
    );
    let removed = "<identifier:rem><identifier:contact>jd12345</identifier:contact>\
         <identifier:url>www.abc.example</identifier:url>\
         <identifier:adminIndex>101</identifier:adminIndex>\
         <identifier:siteIndex>500</identifier:siteIndex></identifier:rem>";
    let changed = format!(
        r#"<identifier:chg><identifier:status s="clientUpdateProhibited"/>{ADMINISTRATOR}{SITE}</identifier:chg>"#
    );
    let update = IdentifierUpdate {
        name: "88.118.8".into(),
        add: Some(Added {
            contacts: vec!["jd12345".into()],
            urls: vec!["www.abc.example".into()],
            status: None,
            administrators: vec![administrator()],
            sites: vec![site()],
        }),
        remove: Some(Removed {
            contacts: vec!["jd12345".into()],
            urls: vec!["www.abc.example".into()],
            administrators: vec![101],
            sites: vec![500],
        }),
        change: Some(Added {
            status: Some("clientUpdateProhibited".into()),
            administrators: vec![administrator()],
            sites: vec![site()],
            ..Added::default()
        }),
    };
    same(
        &of_identifier("update", &(name("88.118.8") + &added + removed + &changed)),
        command(id, Operation::UpdateIdentifier(Box::new(update))),
    );
}

#[test]
fn mapping_3_answers_about_identifiers() {
    let answer = |data: &str| {
        format!(
            r#"<?xml version="1.0" encoding="UTF-8"?><epp xmlns="{NS_EPP}"><response><result code="1000"><msg>Command completed successfully</msg></result><resData>{data}</resData><trID><clTRID>ABC-12345</clTRID><svTRID>54322-XYZ</svTRID></trID></response></epp>"#
        )
    };
    let response = |data| {
        Document::Response(Response {
            data: Some(data),
            ..ok(ResultCode::OK, "ABC-12345", "54322-XYZ")
        })
    };
    same(
        &answer(&format!(
            r#"<identifier:infData xmlns:identifier="{NS_IDENTIFIER}">{}</identifier:infData>"#,
            lists(r#"<identifier:status s="clientUpdateProhibited"/>"#)
        )),
        response(Data::Identifier(Box::new(IdentifierInfo {
            object: object(),
            statuses: vec!["clientUpdateProhibited".into()],
        }))),
    );
    let checked = format!(
        r#"<identifier:chkData xmlns:identifier="{NS_IDENTIFIER}"><identifier:cd><identifier:name avail="false">88.118.8</identifier:name><identifier:reason>The identifier already exists</identifier:reason></identifier:cd><identifier:cd><identifier:name avail="true">88.118.9</identifier:name></identifier:cd></identifier:chkData>"#
    );
    let one = |name: &str, available, reason: Option<&str>| Checked {
        name: name.into(),
        available,
        reason: reason.map(str::to_owned),
    };
    let data = Data::CheckedIdentifiers(vec![
        one("88.118.8", false, Some("The identifier already exists")),
        one("88.118.9", true, None),
    ]);
    same(&answer(&checked), response(data.clone()));
    // Printed documents have blanks around names.
    let folded = answer(&checked).replace("88.118.8<", "88.118.8\n   <");
    assert_eq!(Document::parse(folded.as_bytes()), Ok(response(data)));
}

#[test]
fn rfc_5730_2_9_1_1_log_in_and_2_4_greeting() {
    same(
        r#"<?xml version="1.0" encoding="UTF-8"?>
           <epp xmlns="urn:ietf:params:xml:ns:epp-1.0">
             <command>
               <login>
                 <clID>shanxi-118</clID>
                 <pw>secret</pw>
                 <options>
                   <version>1.0</version>
                   <lang>en</lang>
                 </options>
                 <svcs>
                   <objURI>urn:ietf:params:xml:ns:idis-ent-1.0</objURI>
                   <objURI>urn:ietf:params:xml:ns:idis-entprefix-1.0</objURI>
                   <objURI>urn:ietf:params:xml:ns:identifier-1.0</objURI>
                 </svcs>
               </login>
               <clTRID>ABC-12345</clTRID>
             </command>
           </epp>"#,
        command(
            "ABC-12345",
            Operation::Login(Login::of_client("shanxi-118", "secret")),
        ),
    );
    same(
        r#"<?xml version="1.0" encoding="UTF-8"?>
           <epp xmlns="urn:ietf:params:xml:ns:epp-1.0">
             <greeting>
               <svID>BMS</svID>
               <svDate>2026-06-08T22:00:00Z</svDate>
               <svcMenu>
                 <version>1.0</version>
                 <lang>en</lang>
                 <objURI>urn:ietf:params:xml:ns:idis-ent-1.0</objURI>
                 <objURI>urn:ietf:params:xml:ns:idis-entprefix-1.0</objURI>
                 <objURI>urn:ietf:params:xml:ns:identifier-1.0</objURI>
               </svcMenu>
               <dcp>
                 <access><all/></access>
                 <statement>
                   <purpose><admin/><prov/></purpose>
                   <recipient><ours/></recipient>
                   <retention><business/></retention>
                 </statement>
               </dcp>
             </greeting>
           </epp>"#,
        Document::Greeting(Greeting::of_server("BMS", "2026-06-08T22:00:00Z")),
    );
    let none = r#"<epp xmlns="urn:ietf:params:xml:ns:epp-1.0"><hello/></epp>"#;
    assert_eq!(Document::parse(none.as_bytes()), Ok(Document::Hello));
    let other_prefix = r#"<e:epp xmlns:e="urn:ietf:params:xml:ns:epp-1.0"><e:hello/></e:epp>"#;
    assert_eq!(
        Document::parse(other_prefix.as_bytes()),
        Ok(Document::Hello)
    );
}

#[test]
fn an_answer_holds_whatever_its_data_is() {
    let of = |data: &str| {
        let document = format!(
            "<epp xmlns=\"{NS_EPP}\"><response><result code=\"1301\"><msg>m</msg></result>\
             <msgQ count=\"1\" id=\"7\"/>{data}<trID><clTRID>a-1</clTRID><svTRID>s</svTRID></trID>\
             </response></epp>"
        );
        match Document::parse(document.as_bytes()) {
            Ok(Document::Response(response)) => response,
            other => panic!("{other:?}"),
        }
    };
    let short = format!(
        "<resData><p:resData xmlns:p=\"{NS_PREFIX}\"><p:state>1</p:state></p:resData></resData>"
    );
    for data in [
        "<resData><x xmlns=\"urn:x\"/></resData>",
        "<resData/>",
        "<resData><x/><y/></resData>",
        &short,
    ] {
        let response = of(data);
        assert!(matches!(response.data, Some(Data::Unknown(_))), "{data}");
        assert_eq!(response.queue.unwrap().id, "7");
    }
    assert_eq!(of("").data, None);
}
