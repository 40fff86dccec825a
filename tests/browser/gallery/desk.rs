//! The pages of the support desk, after a fortnight of requests.

use std::time::Duration;

use pic_portal::{
    retention::{Cause, sweep::Sweeper},
    staff::{Role, store},
};
use tokio_util::sync::CancellationToken;

use super::{At, Gallery, HOUR, RISK, Way, store_findings};
use crate::portal_support::desk::signed_in;

const DAY: Duration = Duration::from_secs(24 * HOUR);

/// Requests provisioned on each day of the fortnight before the last three days.
const DAYS: [usize; 10] = [3, 0, 5, 2, 8, 1, 0, 4, 6, 2];

// Findings as rows, as in the parent module.
const HELD: &str = "
    (false, 1, 1, 'domain-held', 'blocking', '', 'service 1'),
    (false, 2, 2, 'srv-port', 'blocking', '_sipfederationtls._tcp.fabrikam.example. SRV 0 0 5061 edge.fabrikam.example.', 'priority 0, weight 0, port 443, target edge.fabrikam.example'),
    (true, 1, 1, 'certificate-expires-soon', 'warning', 'valid for more than 30 days', 'until 2 December 2026'),
    (false, 3, 3, 'srv', 'ok', '', 'priority 0, weight 0, port 5061, target edge.fabrikam.example')";

/// Every third pending request has a finding, of three kinds in turn.
const WAITING: &str = "
    INSERT INTO finding (request_id, code, subject, severity, at)
    SELECT request_id, code, code || '.example', severity, pic_now()
    FROM (SELECT request_id, row_number() OVER (ORDER BY request_id) AS place FROM work) AS w
    JOIN (VALUES (0, 'srv-missing', 'blocking'), (3, 'certificate-name', 'blocking'), (6, 'srv-suffix', 'warning'))
        AS f (place, code, severity) ON w.place % 9 = f.place
    ON CONFLICT DO NOTHING";

impl Gallery {
    pub(super) async fn pages_of_the_desk(&mut self) {
        let set_up = store::new_set_up(self.sound.app.pool()).await;
        let set_up = set_up.unwrap().expect("there is no account");
        let path = || format!("/staff/set-up?token={}", set_up.reveal());
        let account = |name: &str, password: &str| {
            let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            vec![field("name", name), field("password", password)]
        };
        self.show("staff-set-up", 200, Way::Get(path()));
        let wrong = Way::Post(path(), account("anna@contoso.com", "short"));
        self.show("staff-set-up-error", 422, wrong);

        let app = &self.desk.app;
        let contoso = "contoso.com, xn--mnchen-3ya.contoso.com";
        let (in_force, _) = app.submit(&[("sip.contoso.com", contoso)]).await;
        for count in DAYS {
            app.store(count).await;
            app.work().await;
            app.advance(DAY).await;
        }
        let asked = "contoso.com, fabrikam.example, free.example";
        let (held, _) = app.submit(&[("edge.fabrikam.example", asked)]).await;
        app.work().await;
        app.advance(3 * DAY).await;
        let (refused, _) = app.submit(&[("sip.contoso.com", "contoso.com")]).await;
        let (withdrawn, _) = app.submit(&[("sip.gone.example", "gone.example")]).await;
        app.store(30).await;
        // Requests that the background task holds now count as held; the others wait.
        app.run(
            "UPDATE work SET due_at = pic_now() + interval '9 hours' WHERE due_at <= pic_now() AND
             request_id <> (SELECT min(request_id) FROM work)",
        )
        .await;

        self.agent = signed_in(app, "anna", Role::Agent).await;
        self.act_on(&held, &refused, &withdrawn).await;
        let app = &self.desk.app;
        app.work().await;
        app.run("UPDATE work SET due_at = pic_now() + interval '9 hours'")
            .await;
        app.run(WAITING).await;
        store_findings(app, &held, HELD).await;
        store_findings(app, &in_force, RISK).await;
        let stop = CancellationToken::new();
        let sweeper = Sweeper::new(app.pool().clone(), Duration::from_secs(HOUR), stop);
        sweeper.sweep(Cause::Hand).await.unwrap();
        app.worker().show_once().await.unwrap();

        // The audit comes first, because opening a request is recorded.
        for (name, path) in [
            ("staff-audit", "/staff/audit"),
            ("staff-overview", "/staff"),
            ("staff-queue", "/staff/requests"),
            ("staff-queue-pending", "/staff/requests?state=pending"),
            ("staff-queue-marked", "/staff/requests?mark=taken"),
            ("staff-queue-search", "/staff/requests?q=1234567"),
            ("staff-queue-rejected", "/staff/requests?state=rejected"),
            ("staff-queue-empty", "/staff/requests?q=nowhere.example"),
            (
                "staff-request",
                &format!("/staff/requests/{held}?state=pending"),
            ),
            (
                "staff-request-refused",
                &format!("/staff/requests/{refused}"),
            ),
            ("staff-service", "/staff/services/1"),
            ("staff-account", "/staff/account"),
            ("staff-gateways", "/staff/gateways"),
        ] {
            let way = Way::GetWith(path.to_owned(), self.agent.clone());
            self.show_at(At::Desk, name, 200, way);
        }
        let path = || "/staff/sign-in".to_owned();
        self.show_at(At::Desk, "staff-sign-in", 200, Way::Get(path()));
        let wrong = Way::Post(path(), account("anna", "wrong"));
        self.show_at(At::Desk, "staff-sign-in-error", 422, wrong);
        // A portal with an OpenID provider that does not answer.
        for (name, status, path) in [
            ("staff-sign-in-provider", 200, "/staff/sign-in"),
            ("staff-sign-in-away", 503, "/staff/sign-in/oidc"),
            (
                "staff-sign-in-refused",
                403,
                "/staff/sign-in/oidc/callback?state=0",
            ),
        ] {
            self.show_at(At::Looking, name, status, Way::Get(path.into()));
        }
    }

    /// What an agent did to three requests.
    async fn act_on(&self, held: &str, refused: &str, withdrawn: &str) {
        let app = &self.desk.app;
        for (reference, action, fields) in [
            (held, "check-again", &[][..]),
            (held, "mark", &[("set", "taken")]),
            (held, "mark", &[("set", "waits-for-licensing")]),
            (
                refused,
                "refuse",
                &[("reason", "duplicate"), ("confirm", "on")],
            ),
            (withdrawn, "withdraw", &[("confirm", "on")]),
        ] {
            let path = format!("/staff/requests/{reference}/{action}");
            let done = app.post_with(&path, fields, &self.agent).await;
            let shown = format!("/staff/requests/{reference}");
            assert!(done.header("location").starts_with(&shown), "{}", done.body);
        }
    }
}
