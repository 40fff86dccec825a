//! Checks that nothing that was typed runs as a script or breaks out of its place in a page.
//!
//! A thousand payloads go through every field that a page shows again. A router in front of the
//! portal removes the content security policy from the responses, so that escaping alone has to
//! protect; then some payloads are sent once more with the policy, which must find nothing to
//! refuse.

use axum::{
    Router,
    body::Body,
    http::header,
    middleware,
    response::{Html, IntoResponse as _, Response},
    routing::get,
};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::{
    gallery::request,
    support::{
        browser::Browser,
        page::Page,
        portal::{Portal, foreign, serve},
    },
};

/// Payloads that try to run. `RUN` is replaced by the script, without quotes, spaces or brackets.
const VECTORS: &[&str] = &[
    "<script>RUN</script>",
    "<SCRIPT SRC=data:text/javascript,RUN></SCRIPT>",
    "<scr<script>ipt>RUN</scr</script>ipt>",
    "<script/x>RUN</script>",
    "<img src=x onerror=RUN>",
    "<img/src/onerror=RUN>",
    "<img src=`x`onerror=RUN>",
    "<svg onload=RUN>",
    "<svg/onload=RUN//",
    "<svg><script>RUN</script></svg>",
    "<svg><animate onbegin=RUN attributeName=x dur=1s>",
    "<svg><a xlink:href=javascript:RUN><text y=9>x</text></a></svg>",
    "<math><mtext><table><mglyph><style><img src onerror=RUN></style></mglyph></table></mtext></math>",
    "<body onload=RUN>",
    "<iframe srcdoc='<script>parent.RUN</script>'></iframe>",
    "<iframe src=javascript:RUN></iframe>",
    "<object data=javascript:RUN></object>",
    "<embed src=javascript:RUN>",
    "<input autofocus onfocus=RUN>",
    "<select autofocus onfocus=RUN>",
    "<textarea autofocus onfocus=RUN>",
    "<details open ontoggle=RUN>",
    "<video><source onerror=RUN></video>",
    "<audio src onerror=RUN></audio>",
    "<marquee onstart=RUN>",
    "<a href=javascript:RUN id=x>x</a>",
    "<form action=javascript:RUN><button>x</button></form>",
    "<button formaction=javascript:RUN>x</button>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content=0;url=javascript:RUN>",
    "<link rel=stylesheet href=data:text/css,*{display:none}>",
    "<style>*{background:url(//evil.example/)}</style>",
    "<template><script>RUN</script></template>",
    "<noscript><p title=\"</noscript><img src onerror=RUN>\">",
    "<!--><img src onerror=RUN>-->",
    "<![CDATA[><img src onerror=RUN>]]>",
    "<?xml-stylesheet href=javascript:RUN?>",
    "&lt;script&gt;RUN&lt;/script&gt;",
    "&#60;img src onerror=RUN&#62;",
    "\u{ff1c}script\u{ff1e}RUN\u{ff1c}/script\u{ff1e}",
    "<x onclick=RUN tabindex=1 autofocus onfocus=RUN>",
    " onfocus=RUN autofocus x=",
    " style=animation-name:x onanimationstart=RUN ",
    "{{constructor.constructor('RUN')()}}",
    "${RUN}",
    "javascript:RUN",
    "data:text/html,<script>RUN</script>",
    "'-RUN-'",
    "\\u003cscript\\u003eRUN\\u003c/script\\u003e",
    "%3Cscript%3ERUN%3C/script%3E",
];

/// What a payload tries to break out of: `X` is the payload.
const CONTEXTS: &[&str] = &[
    "X",
    "\"X",
    "'X",
    "`X",
    "\">X",
    "'>X",
    ">X",
    "\"/>X",
    "</textarea>X",
    "</title>X",
    "</script>X",
    "</style>X",
    "-->X",
    "]]>X",
    "sip.contoso.com\"X",
    "https://contoso.com/\">X",
    "sip:contoso.com;X",
    "contoso.com\tX",
    "contoso.com X\ncontoso.com",
    "\u{0}\u{feff}X\u{2028}",
];

const RUN: &str = "top.ran=1";

fn payloads() -> Vec<String> {
    let vectors = VECTORS.iter().map(|vector| vector.replace("RUN", RUN));
    vectors
        .flat_map(|vector| {
            CONTEXTS
                .iter()
                .map(move |context| context.replace('X', &vector))
        })
        .collect()
}

/// The portal behind a router that removes the policy and allows framing; with `careless` it
/// removes the escaping as well.
async fn without_policy(portal: &Portal, careless: bool) -> String {
    const HARNESS: &str = "<!DOCTYPE html><html lang=en><link rel=icon href=data:,><title>Harness</title><h1>Harness</h1>";
    let open = portal.app.router.clone().layer(middleware::map_response(
        move |mut response: Response| async move {
            let headers = response.headers_mut();
            headers.remove(header::CONTENT_SECURITY_POLICY);
            headers.remove(header::X_FRAME_OPTIONS);
            let kind = headers[header::CONTENT_TYPE].as_bytes();
            if kind.starts_with(b"text/css") {
                // Thousands of pages that no one sees need no layout.
                return ().into_response();
            }
            if !(careless && kind.starts_with(b"text/html")) {
                return response;
            }
            let (mut parts, body) = response.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let body = String::from_utf8(body.to_vec()).unwrap();
            parts.headers.remove(header::CONTENT_LENGTH);
            let body = [
                ("&#60;", "<"),
                ("&#62;", ">"),
                ("&#34;", "\""),
                ("&#39;", "'"),
            ]
            .iter()
            .fold(body, |body, (escaped, plain)| body.replace(escaped, plain));
            Response::from_parts(parts, Body::from(body))
        },
    ));
    let door = Router::new()
        .route("/harness", get(async || Html(HARNESS)))
        .fallback_service(open);
    serve("127.0.0.1", door).await
}

/// Sends forms, several at a time, shows the responses in frames, and checks them. Each page must
/// contain our own elements and nothing else, and show what was typed where it was typed. `quick`:
/// without a navigation for each, and with our own script run once.
const PROBE: &str = r"
const [forms] = arguments;
const faults = [];
window.ran = 0;
window.alert = window.confirm = window.prompt = () => { window.ran = 1 };
const ours = { SCRIPT: e => new URL(e.src, location).pathname.startsWith('/static/') && !e.textContent,
    LINK: e => e.getAttribute('href').startsWith('/static/')
        || (e.rel === 'alternate' && /^\/requests\/PIC(-[0-9A-Z]{4}){4}\/feed\.atom$/.test(e.getAttribute('href'))), META: e => !e.httpEquiv };
const never = 'BASE,IFRAME,OBJECT,EMBED,STYLE,IMG,VIDEO,AUDIO,MARQUEE,MATH,TEMPLATE,ANIMATE,X'.split(',');
function look(doc, form) {
    if (window.ran) { window.ran = 0; return 'a script ran'; }
    if (!doc.querySelector('main')) return 'no page of the portal: ' + doc.documentElement.textContent.slice(0, 80);
    for (const e of doc.querySelectorAll('*')) {
        const name = e.tagName.toUpperCase();
        if (never.includes(name)) return `there is a ${name}`;
        if (ours[name] && !ours[name](e)) return `a ${name} of somebody else's`;
        for (const a of e.attributes) {
            if (/^on/i.test(a.name) || a.name === 'style') return `an attribute ${a.name}`;
            if (/^(href|src|action|formaction|data|xlink:href)$/i.test(a.name)
                && !/^(\/|#|http:\/\/127|https:\/\/support)/.test(a.value)) return `a link to ${a.value}`;
        }
    }
    // What is shown again is shown as it was typed.
    for (const [id, typed] of Object.entries(form.shown)) {
        const field = doc.getElementById(id) ?? doc.querySelector(`[name=${id}]`);
        const plain = text => text.replace(/\r\n?/g, '\n').replace(/\0/g, '\ufffd');
        const expected = field?.tagName === 'INPUT' && field.type === 'text' ? plain(typed).replace(/\n/g, '') : plain(typed);
        if (!field) return `no field ${id}`;
        if (plain(field.value) !== expected) return `${id} is ${JSON.stringify(field.value)} and not ${JSON.stringify(expected)}`;
    }
    return null;
}
async function send(frame, form) {
    const fields = new URLSearchParams(form.fields);
    const answer = form.method === 'post'
        ? await fetch(form.path, { method: 'post', body: fields }) : await fetch(`${form.path}?${fields}`);
    const page = await answer.text();
    const loaded = new Promise(done => frame.onload = done);
    if (form.quick) {
        const doc = frame.contentDocument;
        doc.open(); doc.write(page); doc.close();
    } else {
        frame.srcdoc = page;
    }
    await loaded;
    const fault = look(frame.contentDocument, form);
    if (fault) faults.push(`${form.name}: ${fault}`);
}
return Promise.all([0, 1, 2, 3].map(async lane => {
    const frame = document.createElement('iframe');
    document.body.append(frame);
    for (let i = lane; i < forms.length; i += 4) await send(frame, forms[i]);
    frame.remove();
})).then(() => faults);
";

/// Probes all forms; returns the payloads that got through.
async fn probe(page: &Page, forms: &[Value]) -> Vec<String> {
    let mut faults = Vec::new();
    for some in forms.chunks(250) {
        let found = page.eval_with(PROBE, vec![json!(some)]).await;
        faults.extend(found.as_array().unwrap().iter().map(ToString::to_string));
    }
    faults
}

async fn assert_nothing_comes_through(page: &Page, forms: &[Value]) {
    let mut faults = probe(page, forms).await;
    let count = faults.len();
    faults.truncate(20);
    assert!(
        faults.is_empty(),
        "{count} came through:\n{}",
        faults.join("\n")
    );
}

/// The request form with a different payload in every field; over all payloads every field gets
/// every one.
fn whole_form(payloads: &[String], at: usize) -> Value {
    let payload = |shift: usize| payloads[(at + 37 * shift) % payloads.len()].as_str();
    let edges = [(payload(0), payload(1)), (payload(2), payload(3))];
    let mut fields = request(payload(4), &edges, "review");
    for (name, value) in &mut fields {
        match name.as_str() {
            "programme" => payload(5).clone_into(value),
            "deployment" => payload(6).clone_into(value),
            "terms" => payload(7).clone_into(value),
            "submission_id" if at.is_multiple_of(2) => payload(8).clone_into(value),
            _ => {}
        }
    }
    let mut shown = json!({ "number": payload(4), "edge-1": payload(0), "domains-1": payload(1),
        "edge-2": payload(2), "domains-2": payload(3) });
    // An invalid submission id is replaced by a new one, so it is not shown again.
    shown
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.as_str().unwrap().contains('\0'));
    json!({ "name": format!("form {at}"), "method": "post", "path": "/requests/new", "fields": fields, "shown": shown })
}

/// The probe itself works: it notices what a template without escaping lets through.
#[tokio::test]
async fn the_probe_sees_what_comes_through() {
    let portal = Portal::start().await;
    let browser = Browser::start().await;
    let page = Page::new(&browser, &without_policy(&portal, true).await);
    page.open("/harness").await;
    let typed = [
        ("\"><img src=x onerror=RUN>", "a script ran"),
        ("\"><script>RUN</script>", "a script ran"),
        ("\"><svg onload=RUN>", "a script ran"),
        ("\"><a href=javascript:RUN>", "a link to"),
        ("\"><x onclick=RUN>", "there is a X"),
        ("\" onclick=RUN x=\"", "an attribute onclick"),
        ("\"><b>", "q is"),
    ];
    for (payload, fault) in typed {
        let payload = payload.replace("RUN", RUN);
        for quick in [false, true] {
            let form = json!({ "name": payload, "method": "get", "path": "/status", "quick": quick,
                "fields": [["q", payload]], "shown": { "q": payload } });
            let faults = probe(&page, &[form]).await;
            assert!(
                faults.len() == 1 && faults[0].contains(fault),
                "{payload}: {faults:?}"
            );
        }
    }
}

#[tokio::test]
async fn nothing_typed_into_the_form_runs() {
    let portal = Portal::start().await;
    let browser = Browser::start().await;
    let page = Page::new(&browser, &without_policy(&portal, false).await);
    page.open("/harness").await;
    let payloads = payloads();
    assert_eq!(payloads.len(), 1000);
    let forms: Vec<_> = (0..payloads.len())
        .map(|at| whole_form(&payloads, at))
        .collect();
    assert_nothing_comes_through(&page, &forms).await;
}

#[tokio::test]
async fn nothing_typed_elsewhere_runs() {
    let portal = Portal::start().await;
    let (reference, _) = portal
        .app
        .submit(&[("sip.contoso.com", "contoso.com")])
        .await;
    let browser = Browser::start().await;
    let page = Page::new(&browser, &without_policy(&portal, false).await);
    page.open("/harness").await;
    let mut forms = Vec::new();
    for (at, payload) in payloads().iter().enumerate() {
        let shown = if payload.contains('\0') {
            json!({})
        } else {
            json!({ "q": payload })
        };
        forms.push(
            json!({ "name": format!("q {at}"), "method": "get", "path": "/status", "quick": true,
            "fields": [["q", payload]], "shown": shown }),
        );
        let shown = if payload.contains('\0') {
            json!({})
        } else {
            json!({ "address": payload })
        };
        forms.push(
            json!({ "name": format!("address {at}"), "method": "post", "path": "/help/address", "quick": true,
            "fields": [["address", payload]], "shown": shown }),
        );
        if at % 10 == 0 {
            // It is never shown again.
            forms.push(json!({ "name": format!("key {at}"), "method": "post",
                "path": format!("/requests/{reference}/withdraw"),
                "fields": [["management_key", payload]], "shown": { "management_key": "" } }));
            forms.push(
                json!({ "name": format!("path {at}"), "method": "get", "shown": {}, "fields": [],
                "path": format!("/requests/{}", percent(payload)) }),
            );
        }
    }
    assert_nothing_comes_through(&page, &forms).await;
}

fn percent(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "%{byte:02X}");
        out
    })
}

/// *Check your answers* shows only what was accepted as a number or a name: payloads are refused
/// before.
#[tokio::test]
async fn nothing_that_could_run_gets_as_far_as_the_answers() {
    let portal = Portal::start().await;
    for payload in payloads()
        .iter()
        .filter(|payload| payload.contains(['<', '"', '\'']))
    {
        let name = format!("sip.contoso.com{payload}");
        for fields in [
            request(
                &format!("1234567{payload}"),
                &[("sip.contoso.com", "contoso.com")],
                "review",
            ),
            request("1234567", &[(&name, "contoso.com")], "review"),
            request("1234567", &[("sip.contoso.com", &name)], "review"),
        ] {
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            let answer = portal.app.post("/requests/new", &fields).await;
            assert_eq!(answer.status, 422, "{payload}");
        }
    }
}

/// With the policy in place, it has nothing to refuse.
#[tokio::test]
async fn the_policy_finds_nothing_to_refuse() {
    let portal = Portal::start().await;
    let (_browser, page) = portal.browser().await;
    let payloads = payloads();
    page.open("/requests/new").await;
    for at in (0..payloads.len()).step_by(41) {
        let form = whole_form(&payloads, at);
        let fields: Vec<(String, String)> = serde_json::from_value(form["fields"].clone()).unwrap();
        page.send(
            "/requests/new",
            &fields,
            "application/x-www-form-urlencoded",
        )
        .await;
        assert_eq!(page.status().await, 422);
        assert!(page.eval("return window.ran").await.is_null());
    }
    page.assert_quiet(&[422]).await;
}

// ---- Other sites ------------------------------------------------------------------------------

/// Another port is another origin of the same site, another address is another site: both are
/// refused.
#[tokio::test]
async fn a_form_of_another_site_is_refused() {
    let portal = Portal::start().await;
    let (reference, key) = portal
        .app
        .submit(&[("sip.contoso.com", "contoso.com")])
        .await;
    let (_browser, page) = portal.browser().await;
    for host in ["127.0.0.1", "127.0.0.2"] {
        let elsewhere = foreign(host).await;
        let withdraw = format!("/requests/{reference}/withdraw");
        let key = vec![("management_key".to_owned(), key.clone())];
        let whole = request(
            "1234567",
            &[("sip.fabrikam.example", "fabrikam.example")],
            "submit",
        );
        for (path, fields) in [("/requests/new", &whole), (withdraw.as_str(), &key)] {
            for enctype in ["application/x-www-form-urlencoded", "text/plain"] {
                page.go(&elsewhere).await;
                page.send(&format!("{}{path}", portal.origin), fields, enctype)
                    .await;
                assert_eq!(
                    page.status().await,
                    403,
                    "{path} from {elsewhere} as {enctype}"
                );
            }
        }
    }
    assert_eq!(portal.app.number("SELECT count(*) FROM request").await, 1);
    assert_eq!(portal.app.state(&reference).await, "pending");
    page.assert_quiet(&[403]).await;
}

#[tokio::test]
async fn no_other_site_can_frame_a_page() {
    let portal = Portal::start().await;
    let (reference, _) = portal
        .app
        .submit(&[("sip.contoso.com", "contoso.com")])
        .await;
    let (_browser, page) = portal.browser().await;
    for host in ["127.0.0.1", "127.0.0.2"] {
        page.go(&foreign(host).await).await;
        for path in [
            "/".to_owned(),
            "/requests/new".to_owned(),
            format!("/requests/{reference}"),
            "/no/such/page".to_owned(),
        ] {
            page.eval_with(
                "const frame = document.createElement('iframe'); frame.src = arguments[0];
                return new Promise(done => { frame.onload = done; document.body.append(frame); }).then(() => 1)",
                vec![json!(format!("{}{path}", portal.origin))],
            )
            .await;
            let said = page.console().await.join("\n");
            assert!(
                said.contains("frame-ancestors"),
                "{path} in {host} was framed: {said}"
            );
        }
    }
}
