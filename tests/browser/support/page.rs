//! A page in the browser: what tests do with it, and what they read from it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use fantoccini::{Client, Locator, elements::Element, wd::WebDriverCompatibleCommand};
use serde_json::{Value, json};

use super::{browser::Browser, keep};
use crate::portal_support::eventually;

/// The only tab of a browser.
pub(crate) struct Page {
    pub(crate) client: Client,
    /// The origin of the portal.
    pub(crate) origin: String,
}

/// A command of chromedriver that the client library has no method for.
#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap(), self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (axum::http::Method, Option<String>) {
        (axum::http::Method::POST, Some(self.body.to_string()))
    }
}

/// The colour scheme of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Light,
    Dark,
}

impl Scheme {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// A telephone in the dark, and a desk in the light.
pub(crate) const WINDOWS: [(u32, Scheme); 2] = [(320, Scheme::Dark), (1280, Scheme::Light)];

impl Page {
    pub(crate) fn new(browser: &Browser, origin: &str) -> Self {
        Self {
            client: browser.client.clone(),
            origin: origin.to_owned(),
        }
    }

    // ---- The browser's own settings ---------------------------------------------------------

    /// Sends a command of the developer tools.
    pub(crate) async fn cdp(&self, command: &str, params: Value) -> Value {
        let body = json!({ "cmd": command, "params": params });
        self.client
            .issue_cmd(Extension {
                path: "goog/cdp/execute",
                body,
            })
            .await
            .unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Sets the media, `screen` or `print`, and all features: those left out are reset.
    pub(crate) async fn media(&self, media: &str, scheme: Scheme) {
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme.name() },
            // Otherwise the colours could still be changing when they are read.
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.cdp(
            "Emulation.setEmulatedMedia",
            json!({ "media": media, "features": features }),
        )
        .await;
    }

    pub(crate) async fn scheme(&self, scheme: Scheme) {
        self.media("screen", scheme).await;
    }

    /// Sets the window to this width in CSS pixels; `zoom` 2 is 200 % in a window twice as wide.
    pub(crate) async fn window(&self, width: u32, zoom: u32) {
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": 900 / zoom, "deviceScaleFactor": zoom, "mobile": false }),
        )
        .await;
    }

    /// For pages opened from now on. The tests' own scripts run in any case.
    pub(crate) async fn scripts(&self, enabled: bool) {
        self.cdp(
            "Emulation.setScriptExecutionDisabled",
            json!({ "value": !enabled }),
        )
        .await;
    }

    // ---- Going somewhere ----------------------------------------------------------------------

    pub(crate) async fn open(&self, path: &str) {
        self.go(&format!("{}{path}", self.origin)).await;
    }

    pub(crate) async fn go(&self, url: &str) {
        self.client
            .goto(url)
            .await
            .unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// Does what leads to another page, and waits until that is loaded.
    pub(crate) async fn leave(&self, how: impl AsyncFnOnce()) {
        self.eval("window.before = true").await;
        how().await;
        self.until(
            "another page is loaded",
            "return !window.before && document.readyState === 'complete'",
        )
        .await;
    }

    /// Waits until `script` returns true.
    pub(crate) async fn until(&self, what: &str, script: &str) {
        eventually(what, async || {
            // Between two pages scripts fail.
            let said = self.client.execute(script, vec![]).await;
            said.is_ok_and(|said| said == true).then_some(())
        })
        .await;
    }

    /// Sends a form from the open page, as if the page contained it.
    pub(crate) async fn send(&self, url: &str, fields: &[(String, String)], enctype: &str) {
        self.leave(async || {
            self.eval_with(
                "const [url, fields, enctype] = arguments;
                const form = document.createElement('form');
                form.method = 'post'; form.action = url; form.enctype = enctype;
                for (const [name, value] of fields) {
                    const field = document.createElement('textarea');
                    field.name = name; field.value = value; form.append(field);
                }
                document.body.append(form);
                form.submit()",
                vec![json!(url), json!(fields), json!(enctype)],
            )
            .await;
        })
        .await;
    }

    /// Presses the button or link with this text, and waits for the page it leads to.
    pub(crate) async fn press(&self, words: &str) {
        let target = self.pressable(words).await;
        self.leave(async || target.click().await.unwrap()).await;
    }

    /// The visible button or link with this name.
    pub(crate) async fn pressable(&self, words: &str) -> Element {
        let path = format!(
            "//*[self::button or self::a][normalize-space(.)='{words}'][not(@tabindex='-1')]"
        );
        self.client
            .find(Locator::XPath(&path))
            .await
            .unwrap_or_else(|_| panic!("nothing to press says “{words}”"))
    }

    pub(crate) async fn find(&self, css: &str) -> Element {
        self.client
            .find(Locator::Css(css))
            .await
            .unwrap_or_else(|_| panic!("there is no {css}"))
    }

    pub(crate) async fn has(&self, css: &str) -> bool {
        !self
            .client
            .find_all(Locator::Css(css))
            .await
            .unwrap()
            .is_empty()
    }

    /// Fills in the form of a request, with both declarations, and leaves it open.
    pub(crate) async fn fill_in(&self, edge: &str, domains: &str) {
        self.click("label[for=programme]").await;
        self.fill("#number", "1234567").await;
        self.fill("#edge-1", edge).await;
        self.fill("#domains-1", domains).await;
        self.declare().await;
    }

    /// Answers where the users are homed, and ticks both declarations.
    pub(crate) async fn declare(&self) {
        self.click("label[for=on_premises], label[for=deployment]")
            .await;
        self.click("label[for=licences]").await;
        self.click("label[for=may_act]").await;
    }

    /// The text of the main part of the page.
    pub(crate) async fn words(&self) -> String {
        self.find("main").await.text().await.unwrap()
    }

    /// Empties a field and types into it.
    pub(crate) async fn fill(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    pub(crate) async fn click(&self, css: &str) {
        self.find(css).await.click().await.unwrap();
    }

    // ---- Asking ------------------------------------------------------------------------------

    pub(crate) async fn eval(&self, script: &str) -> Value {
        self.eval_with(script, vec![]).await
    }

    pub(crate) async fn eval_with(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.client
            .execute(script, arguments)
            .await
            .unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    pub(crate) async fn eval_text(&self, script: &str) -> String {
        let value = self.eval(script).await;
        let text = value.as_str();
        text.unwrap_or_else(|| panic!("{script}: {value}"))
            .to_owned()
    }

    /// The path in the address, with its fragment.
    pub(crate) async fn path(&self) -> String {
        self.eval_text("return location.pathname + location.hash")
            .await
    }

    pub(crate) async fn h1(&self) -> String {
        self.find("h1").await.text().await.unwrap()
    }

    /// The HTTP status of the page.
    pub(crate) async fn status(&self) -> u64 {
        self.eval("return performance.getEntriesByType('navigation')[0].responseStatus")
            .await
            .as_u64()
            .unwrap()
    }

    /// Takes pictures of the open page in windows of these widths and colours, and checks that it fits
    /// into each and is accessible.
    pub(crate) async fn assert_fits(&self, windows: &[(u32, Scheme)], scripts: bool, name: &str) {
        for (width, scheme) in windows {
            self.window(*width, 1).await;
            self.scheme(*scheme).await;
            self.picture(&format!("{name}-{}-{width}", scheme.name()))
                .await;
            self.assert_no_sideways_scrolling(name).await;
            // Without scripts there are no timers, which axe needs.
            if scripts {
                assert_eq!(self.axe().await, Vec::<String>::new(), "{name}");
            }
        }
    }

    /// Checks that nothing is wider than the window.
    pub(crate) async fn assert_no_sideways_scrolling(&self, page: &str) {
        let beyond = self
            .eval(
                "const edge = innerWidth;
                if (document.documentElement.scrollWidth <= edge) return [];
                return [...document.querySelectorAll('body *')]
                    .filter(e => e.getBoundingClientRect().right > edge)
                    .map(e => e.tagName + '.' + e.className + ': ' + e.textContent.trim().slice(0, 60))",
            )
            .await;
        assert_eq!(beyond, json!([]), "{page} scrolls sideways");
    }

    /// Checks that the console is empty: no script error, no refusal by the content security
    /// policy, no missing file. A page that is an error page on purpose appears there with its
    /// status: those of `statuses` are expected.
    pub(crate) async fn assert_quiet(&self, statuses: &[u16]) {
        let lines = self.console().await;
        let expected: Vec<String> = statuses
            .iter()
            .map(|status| format!("the server responded with a status of {status} "))
            .collect();
        let loud: Vec<&String> = lines
            .iter()
            .filter(|line| {
                line.contains("/static/") || !expected.iter().any(|words| line.contains(words))
            })
            .collect();
        assert!(loud.is_empty(), "the console says: {loud:#?}");
    }

    /// The console messages since the last call.
    pub(crate) async fn console(&self) -> Vec<String> {
        let log = self
            .client
            .issue_cmd(Extension {
                path: "se/log",
                body: json!({ "type": "browser" }),
            })
            .await
            .unwrap();
        let lines = log.as_array().unwrap().iter();
        lines
            .map(|line| line["message"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    // ---- Keeping -----------------------------------------------------------------------------

    /// A picture of the whole page, including what is below the window's edge.
    pub(crate) async fn picture(&self, name: &str) {
        let shot = self
            .cdp(
                "Page.captureScreenshot",
                json!({ "format": "png", "captureBeyondViewport": true }),
            )
            .await;
        keep(&format!("{name}.png"), &bytes(&shot));
    }

    /// The page on paper, as a PDF.
    pub(crate) async fn print(&self, name: &str) -> Vec<u8> {
        let printed = self
            .cdp(
                "Page.printToPDF",
                json!({ "paperWidth": 8.27, "paperHeight": 11.69, "printBackground": true,
                        "generateTaggedPDF": true, "displayHeaderFooter": false }),
            )
            .await;
        let pdf = bytes(&printed);
        keep(&format!("{name}.pdf"), &pdf);
        pdf
    }
}

fn bytes(answer: &Value) -> Vec<u8> {
    STANDARD.decode(answer["data"].as_str().unwrap()).unwrap()
}
