//! Handles that lead to others, and handles that are computed from others: HS_ALIAS, `10320/loc`
//! and the templates of HS_NAMESPACE, as all fronts answer them.

use idnode_proto::api as pb;
use idnode_tests::api::{private, value};
use idnode_tests::run::curl;
use serde_json::json;
use tonic::{Code, Status};

use crate::ask::{Dns, Filter, Front, Grpc, Handle, Http, Outcome, shown};
use crate::one_prefix::World;

const TEMPLATES: &str = r#"<namespace><template delimiter="@">
  <foreach>
    <if value="type" test="equals" expression="URL">
      <if value="extension" test="matches" expression="crop\((\d+),(\d+)\)" parameter="x">
        <value data="${data}?w=${x[2]}&amp;h=${x[1]}"/>
      </if>
      <else><value data="${data}?${extension}"/></else>
    </if>
    <else><value/></else>
  </foreach>
</template></namespace>"#;

impl World {
    fn set(&self, identifier: &str, values: Vec<pb::Value>) {
        let done = self.runtime.block_on(async {
            match self.operator.replace(identifier, values.clone(), "").await {
                Err(status) if status.code() == Code::NotFound => {
                    self.operator.create(identifier, values, "").await
                }
                done => done,
            }
        });
        done.unwrap();
    }

    fn set_templates(&self, text: &str) {
        let values = vec![value(400, "HS_NAMESPACE", text)];
        self.try_templates(values).unwrap();
    }

    fn try_templates(&self, set_values: Vec<pb::Value>) -> Result<(), Status> {
        let request = self.operator.request(pb::UpdatePrefixValuesRequest {
            prefix: "88.118.8".to_owned(),
            set_values,
            ..pb::UpdatePrefixValuesRequest::default()
        });
        let mut prefixes = self.operator.prefixes();
        let writing = prefixes.update_prefix_values(request);
        self.runtime.block_on(writing).map(drop)
    }

    /// Those that know templates.
    fn fronts(&self) -> Vec<Box<dyn Front>> {
        vec![
            Box::new(Grpc::of(&self.node)),
            Box::new(Handle::of(&self.node, false)),
            Box::new(Handle::of(&self.node, true)),
            Box::new(Http::of(&self.node)),
        ]
    }

    /// What every front answers, twice: for the second time memory knows what was read.
    #[track_caller]
    fn assert_all(&self, identifier: &str, expected: &Outcome) {
        for round in 0..2 {
            for front in self.fronts() {
                let answer = front.ask(identifier, &Filter::default(), None);
                let name = front.name();
                assert_eq!(&answer, expected, "{name}: {identifier}, round {round}");
            }
        }
    }

    /// Status and location of a redirect.
    fn redirect(&self, path: &str) -> (u16, String) {
        let (status, head, body) = curl(&self.node.http(path), &[]);
        let location = head
            .lines()
            .find_map(|line| line.strip_prefix("location: "));
        (status, location.map_or(body, str::to_owned))
    }
}

fn urls(data: &[(u32, &str)]) -> Outcome {
    let values = data.iter().map(|(index, data)| shown(*index, "URL", data));
    Outcome::Found(values.collect())
}

#[test]
fn handles_that_are_not_registered_are_computed_by_templates() {
    let world = World::new();
    let base = |url: &str| {
        let hidden = private(3, "COST", "17.20");
        vec![value(1, "URL", url), value(2, "NAME", "轴承"), hidden]
    };
    let of = |url: &str| Outcome::Found(vec![shown(1, "URL", url), shown(2, "NAME", "轴承")]);
    world.set("88.118.8/abc", base("https://example.cn/abc"));
    world.assert_all("88.118.8/abc@x", &Outcome::Missing);

    world.set_templates(TEMPLATES);
    world.assert_all("88.118.8/abc@x", &of("https://example.cn/abc?x"));
    let cropped = of("https://example.cn/abc?w=20&h=10");
    world.assert_all("88.118.8/abc@crop(10,20)", &cropped);
    let redirected = world.redirect("/88.118.8/abc@crop(10,20)");
    let location = "https://example.cn/abc?w=20&h=10".to_owned();
    assert_eq!(redirected, (302, location));
    // DNS, whose names keep no case, has what is registered alone.
    let dns = Dns::of(&world.node);
    let ask = |identifier| dns.ask(identifier, &Filter::default(), None);
    for _ in 0..2 {
        assert_eq!(ask("88.118.8/abc@x"), Outcome::Missing);
        assert_eq!(ask("88.118.8/abc"), of("https://example.cn/abc"));
    }
    // Without the delimiter, and without a base, nothing is computed.
    world.assert_all("88.118.8/abc", &of("https://example.cn/abc"));
    world.assert_all("88.118.8/other", &Outcome::Missing);
    world.assert_all("88.118.8/other@x", &Outcome::Missing);

    // What the base or the templates become is what is answered next.
    world.set("88.118.8/abc", base("https://example.cn/new"));
    world.assert_all("88.118.8/abc@x", &of("https://example.cn/new?x"));
    let other = TEMPLATES.replace("${data}?${extension}", "${data}#${extension}");
    world.set_templates(&other);
    world.assert_all("88.118.8/abc@x", &of("https://example.cn/new#x"));
    // What is registered goes before what is computed, and what is deleted is deleted.
    let own = vec![value(7, "URL", "https://example.cn/own")];
    world.set("88.118.8/abc@x", own);
    world.assert_all("88.118.8/abc@x", &urls(&[(7, "https://example.cn/own")]));
    world.assert_all("88.118.8/abc@y", &of("https://example.cn/new#y"));
    let deletion = world.operator.delete("88.118.8/abc", "withdrawn", "");
    world.runtime.block_on(deletion).unwrap();
    world.assert_all("88.118.8/abc@y", &Outcome::Missing);
}

/// Every front refuses templates that cannot be read, and says what is wrong with them.
#[test]
fn templates_that_cannot_be_read_are_refused() {
    let world = World::new();
    world.set("88.118.8/abc", vec![value(1, "URL", "https://example.cn/")]);
    world.set_templates(TEMPLATES);
    let broken = TEMPLATES.replace("equals", "contains");
    let twice = vec![
        value(400, "HS_NAMESPACE", TEMPLATES),
        value(401, "hs_namespace", TEMPLATES),
    ];
    let refused = |values| world.try_templates(values).unwrap_err();
    for (values, reason) in [
        (
            vec![value(400, "HS_NAMESPACE", &broken)],
            "contains is unknown",
        ),
        (
            vec![value(400, "HS_NAMESPACE", "<namespace/")],
            "is no HS_NAMESPACE",
        ),
        (twice, "second HS_NAMESPACE"),
    ] {
        let status = refused(values);
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert!(status.message().contains(reason), "{status}");
    }
    let http = json!({"index": 400, "type": "HS_NAMESPACE", "data": broken}).to_string();
    let token = format!("authorization: Bearer {}", world.dir.token());
    let arguments = [
        "-X",
        "PUT",
        "-H",
        &token,
        "-H",
        "content-type: application/json",
        "-d",
        &http,
    ];
    let url = world
        .node
        .http("/api/handles/0.NA/88.118.8?index=400&overwrite=true");
    let (status, _, body) = curl(&url, &arguments);
    assert_eq!(status, 400, "{body}");
    assert!(body.contains("contains is unknown"), "{body}");
    let expected = urls(&[(1, "https://example.cn/?x")]);
    world.assert_all("88.118.8/abc@x", &expected);
}

#[test]
fn hidden_values_stay_hidden_in_what_is_computed() {
    let world = World::new();
    let base = vec![private(1, "URL", "https://example.cn/hidden")];
    world.set("88.118.8/abc", base);
    world.set_templates(TEMPLATES);
    world.assert_all("88.118.8/abc@x", &Outcome::NoSuchValues);
    let all = pb::ResolveRequest {
        identifier: "88.118.8/abc@x".to_owned(),
        ..pb::ResolveRequest::default()
    };
    let mut resolution = world.operator.resolution();
    let asking = resolution.resolve(world.operator.request(all));
    let answer = world.runtime.block_on(asking).unwrap().into_inner();
    let Some(pb::resolve_response::Outcome::Record(record)) = answer.outcome else {
        panic!("{answer:?}")
    };
    let data = idnode_tests::api::text(&record.values[0]);
    assert_eq!(data, "https://example.cn/hidden?x");
}

#[test]
fn aliases_and_locations_lead_on() {
    let world = World::new();
    let aliased = |of: &str| vec![value(1, "HS_ALIAS", of)];
    world.set("88.118.8/one", aliased("88.118.8/two"));
    world.set("88.118.8/two", aliased("88.118.8/three"));
    let places = r#"<locations><location id="a" href="https://a.example.cn/" weight="0"/>
        <location id="b" href="https://b.example.cn/"/></locations>"#;
    let values = vec![
        value(1, "URL", "https://example.cn/3"),
        value(9, "10320/loc", places),
    ];
    world.set("88.118.8/three", values);
    world.set("88.118.8/round", aliased("88.118.8/ROUND"));
    // The fronts show the alias itself.
    let alias = Outcome::Found(vec![shown(1, "HS_ALIAS", "88.118.8/two")]);
    for front in world.fronts() {
        let answer = front.ask("88.118.8/one", &Filter::default(), None);
        assert_eq!(answer, alias, "{}", front.name());
    }
    let to = |location: &str| (302, location.to_owned());
    assert_eq!(world.redirect("/88.118.8/one"), to("https://b.example.cn/"));
    let wanted = world.redirect("/88.118.8/one?locatt=id:a");
    assert_eq!(wanted, to("https://a.example.cn/"));
    let (status, problem) = world.redirect("/88.118.8/round");
    assert_eq!(status, 404);
    assert!(problem.contains("alias-circle"), "{problem}");

    let idctl = world.node.idctl(None);
    let native = world.node.at.handle.to_string();
    for front in [vec![], vec!["--front", "handle", "--handle", &native]] {
        let ask = |handle, more: &[&'static str]| {
            let mut arguments = vec!["resolve", handle, "--type", "URL"];
            arguments.extend(&front);
            arguments.extend(more);
            arguments
        };
        let followed = idctl.json(&ask("88.118.8/one", &["--follow-alias"]));
        assert_eq!(followed["identifier"], "88.118.8/three");
        let values = followed["record"]["values"].as_array().unwrap();
        assert_eq!(values.len(), 1, "{followed}");
        assert_eq!(values[0]["data"]["value"], "https://example.cn/3");
        let (_, error) = idctl.refused(&ask("88.118.8/round", &["--follow-alias"]));
        assert!(error.to_string().contains("more than 8 aliases"), "{error}");
    }
}
