//! A page for people: an identifier's values in a browser. Everything in it that others have
//! registered is escaped, and nothing is fetched from elsewhere.

use super::data::ValueJson;
use super::target;
use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use idnode_proto::value::{Ttl, ValueRef, types};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use std::fmt::{self, Write};

/// No scripts, no pictures, no frames: the page's own style and links.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'",
);

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2em auto;max-width:64em;\
padding:0 1em;color:#222;background:#fff}h1{font-size:1.4em;overflow-wrap:anywhere}\
table{border-collapse:collapse;width:100%}th,td{border-top:1px solid #ccc;padding:.4em .6em;\
text-align:left;vertical-align:top;overflow-wrap:anywhere}pre{margin:0;white-space:pre-wrap;\
font-size:.9em}td.data{width:60%}footer{margin-top:2em;color:#666;font-size:.9em}";

/// Whether a client would rather have a page than JSON (RFC 9110 §12.5.1). Who names neither
/// gets JSON.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let ranges = || {
        headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|field| field.to_str().ok())
            .flat_map(|field| field.split(','))
    };
    let html = ranges().filter_map(|range| quality(range, &["text/html", "application/xhtml+xml"]));
    let json = ranges().filter_map(|range| quality(range, &["application/json"]));
    let html = html.max().unwrap_or(0);
    html > 0 && html >= json.max().unwrap_or(0)
}

/// The quality that a range gives to one of the types, in thousandths.
fn quality(range: &str, types: &[&str]) -> Option<u16> {
    let mut parts = range.split(';').map(str::trim);
    let kind = parts.next()?;
    if !types.iter().any(|wanted| kind.eq_ignore_ascii_case(wanted)) {
        return None;
    }
    let given = parts
        .filter_map(|part| part.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    match given {
        None => Some(1_000),
        Some((_, text)) => {
            let quality: f32 = text.trim().parse().ok()?;
            // A cast of what is out of range takes the nearest number that fits.
            Some((quality.clamp(0.0, 1.0) * 1_000.0) as u16)
        }
    }
}

/// The page of an identifier, as it is spelled; `json` is where its values are as JSON.
pub(super) fn of_values(
    handle: &str,
    values: &[ValueRef<'_>],
    schemes: &[String],
    json: &str,
) -> Response<Body> {
    let mut page = String::with_capacity(4 << 10);
    // Writing to a String cannot fail.
    let _ = write_page(&mut page, handle, values, schemes, json);
    let fields = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (StatusCode::OK, fields, page).into_response()
}

fn write_page(
    page: &mut String,
    handle: &str,
    values: &[ValueRef<'_>],
    schemes: &[String],
    json: &str,
) -> fmt::Result {
    let name = Escaped(handle);
    write!(
        page,
        "<!doctype html>\n<html lang=\"zh\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{name}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>标识 {name}</h1>\n"
    )?;
    if values.is_empty() {
        page.push_str("<p>没有公开的数据 · no public values</p>\n");
    } else {
        page.push_str(
            "<table>\n<tr><th>索引 index</th><th>类型 type</th><th>数据 data</th>\
             <th>权限 permissions</th><th>TTL</th><th>时间 time</th></tr>\n",
        );
        for value in values {
            write_row(page, value, schemes)?;
        }
        page.push_str("</table>\n");
    }
    write!(
        page,
        "<footer><a href=\"{}\">JSON</a> · 标识解析二级节点 idnode {}</footer>\n</body>\n</html>\n",
        Escaped(json),
        env!("CARGO_PKG_VERSION")
    )
}

fn write_row(page: &mut String, value: &ValueRef<'_>, schemes: &[String]) -> fmt::Result {
    let kind = Escaped(value.value_type());
    write!(
        page,
        "<tr><td>{}</td><td>{kind}</td><td class=\"data\">",
        value.index()
    )?;
    write_data(page, value, schemes)?;
    write!(page, "</td><td>{}</td><td>", value.permissions())?;
    match value.ttl() {
        Ttl::RelativeS(ttl_s) => write!(page, "{ttl_s} s")?,
        Ttl::AbsoluteS(end_s) => write!(page, "{}", time(end_s))?,
    }
    writeln!(page, "</td><td>{}</td></tr>", time(value.timestamp_s()))
}

fn time(at_s: u32) -> Timestamp {
    Timestamp::from_second(at_s.into()).unwrap_or_default()
}

/// A link for a URL that may be redirected to, text for text, JSON for the rest.
fn write_data(page: &mut String, value: &ValueRef<'_>, schemes: &[String]) -> fmt::Result {
    let is_url = value.value_type() == types::URL;
    let target = target::of_url(value.data(), schemes).ok();
    let target = target.as_ref().and_then(|target| target.to_str().ok());
    if let Some(target) = target.filter(|_| is_url) {
        let shown = percent_decode_str(target).decode_utf8_lossy();
        return write!(
            page,
            "<a href=\"{}\" rel=\"noopener noreferrer nofollow\">{}</a>",
            Escaped(target),
            Escaped(&shown)
        );
    }
    let json = serde_json::to_value(ValueJson(value)).unwrap_or_default();
    let data = json.get("data");
    let text = data.and_then(|data| match data.get("format")?.as_str()? {
        "string" | "base64" => data.get("value")?.as_str().map(str::to_owned),
        _ => serde_json::to_string_pretty(data.get("value")?).ok(),
    });
    write!(page, "<pre>{}</pre>", Escaped(&text.unwrap_or_default()))
}

/// Text in HTML, between tags or between double quotes.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // HTML has no way to say most of these; shown they turn text around.
                c if c.is_control() && !matches!(c, '\n' | '\t')
                    || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
                {
                    f.write_char('\u{fffd}')?;
                }
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use idnode_proto::value::Value;

    fn wanted(accept: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for field in accept {
            headers.append(header::ACCEPT, field.parse().unwrap());
        }
        is_wanted(&headers)
    }

    #[test]
    fn a_page_is_for_who_asks_for_one() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        assert!(wanted(&[browser]));
        assert!(wanted(&["application/json;q=0.5, text/html"]));
        assert!(wanted(&["application/json;q=0.1", "Text/HTML ; q=0.2"]));
        for json in [
            &[][..],
            &["*/*"],
            &["application/json"],
            &["text/html;q=0"],
            &["text/html;q=x"],
            &["text/html;q=0.5, application/json"],
            &["text/plain, text/*"],
        ] {
            assert!(!wanted(json), "{json:?}");
        }
    }

    #[test]
    fn nothing_registered_becomes_markup() {
        let values = [
            Value::new(1, "<b>", "</pre><script>alert('1')</script>"),
            Value::new(2, "URL", "https://a.example/?q=\"><script>&x='"),
            Value::new(3, "URL", "javascript:alert(1)"),
            Value::new(4, "X", "a\u{202e}b\u{7}"),
        ];
        let mut scratch = vec![Vec::new(); values.len()];
        let views: Vec<_> = values
            .iter()
            .zip(&mut scratch)
            .map(|(value, scratch)| value.view_in(scratch).unwrap())
            .collect();
        let mut page = String::new();
        let schemes = ["https".to_owned()];
        write_page(&mut page, "88.118.8/<i>\"", &views, &schemes, "/x?a=\"b").unwrap();
        for markup in [
            "<script",
            "<b>",
            "<i>",
            "=\"javascript",
            "?a=\"b",
            "\u{202e}",
        ] {
            assert!(!page.contains(markup), "{markup}\n{page}");
        }
        assert!(page.contains("&lt;script&gt;alert(&#39;1&#39;)"));
        assert!(page.contains("<a href=\"https://a.example/?q=%22%3E%3Cscript%3E&amp;x=&#39;\""));
        assert!(page.contains("<pre>javascript:alert(1)</pre>"));
    }
}
