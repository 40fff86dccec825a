//! Acts on several requests of a list: shows what will be done, and does it once that is confirmed.

use std::{collections::HashSet, sync::Arc};

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use serde::Deserialize;

use super::{
    desk, map_forbidden,
    queue::line,
    service::cancel_service,
    session::{Agent, own_path, step_up},
    view::{Desk, QueueLine, Tab},
    words,
};
use crate::{
    agreement::ServiceId,
    db::{PgPool, notify::Notifier},
    error::{Error, Problem},
    request::{Reason, Standing, State as Stored, queue::Queue, reference::Reference},
    secret::Secret,
    staff::{
        CancelReason, Deed, Mark, Name, REFUSALS, StaffId,
        case::store,
        queue::store::{PAGE, Row, lines},
    },
    web::{
        form::Fields,
        page, page_with,
        parts::{Choice, Field, count},
        shell::{Section, Shell},
        site::Site,
    },
};

impl Deed {
    /// What a button says that begins it.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::CheckAgain => "Check again",
            Self::Take => "Take",
            Self::GiveBack => "Give back",
            Self::Refuse => "Refuse",
            Self::Withdraw => "Withdraw",
            Self::Cancel => "Cancel the service of",
        }
    }

    /// What was done, before "3 requests".
    const fn done(self) -> &'static str {
        match self {
            Self::CheckAgain => "Queued for another check:",
            Self::Take => "Taken:",
            Self::GiveBack => "Given back:",
            Self::Refuse => "Refused:",
            Self::Withdraw => "Withdrawn:",
            Self::Cancel => "Cancelled the services of",
        }
    }

    /// The reasons to choose from, if it needs one.
    fn reasons(self) -> Vec<Choice> {
        let choice = |value: &str, label: &str| Choice {
            value: value.into(),
            label: label.into(),
            hint: String::new(),
        };
        match self {
            Self::Refuse => {
                let all = REFUSALS.iter();
                all.map(|it| choice(it.as_str(), words::reason(*it)))
                    .collect()
            }
            Self::Cancel => {
                let all = CancelReason::ALL.iter();
                all.map(|it| choice(it.as_str(), words::cancel_reason(*it)))
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    /// What has to be confirmed with a box, or empty.
    const fn confirm(self) -> &'static str {
        match self {
            Self::CheckAgain | Self::Take | Self::GiveBack => "",
            Self::Refuse => "Refuse these requests for good: they cannot be taken up again.",
            Self::Withdraw => {
                "Their administrators have asked for it: withdraw these requests for good."
            }
            Self::Cancel => {
                "Cancel these services: none of their SIP domains is to be in force any more."
            }
        }
    }

    /// Whether it can be done to a request that stands like this.
    fn fits(self, row: &Row, standing: Standing) -> bool {
        let is_pending = matches!(row.facts.state, Stored::Pending(_));
        match self {
            Self::Refuse | Self::Withdraw => is_pending,
            Self::CheckAgain => is_pending || standing.is_in_force(),
            Self::Cancel => standing.is_in_force(),
            Self::Take => true,
            Self::GiveBack => row.marks.iter().any(|(mark, _)| *mark == Mark::Taken),
        }
    }
}

/// The fields of `POST /staff/requests/bulk`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BulkForm {
    /// The references.
    request: Vec<String>,
    /// What is to be done, as in [`Deed`].
    action: String,
    /// The address of the list.
    back: String,
    /// The reason, where one is needed.
    reason: String,
    /// `on`: the box is ticked.
    confirm: String,
    /// `on`: it was shown what will be done.
    go: String,
}

/// `POST /staff/requests/bulk`: the page that shows what will be done, and then what was done.
#[derive(Debug, Template)]
#[template(path = "staff/bulk.html")]
struct BulkPage<'a> {
    shell: Shell<'a>,
    desk: Desk,
    /// The heading.
    title: String,
    /// The value of `action`.
    action: &'static str,
    /// Whether it was done.
    is_done: bool,
    /// Those to which it is done.
    lines: Vec<QueueLine>,
    /// Those that are left out.
    left_out: Vec<QueueLine>,
    /// The address of the list.
    back: String,
    /// How many of them others have taken, if they are taken over; or empty.
    taken_over: String,
    /// The text of the button.
    button: String,
    reason: Field,
    /// What is said below the question for the reason, or empty.
    reason_hint: &'static str,
    reasons: Vec<Choice>,
    confirm: Field,
    /// The text beside the box, or empty.
    confirm_text: &'static str,
}

impl BulkPage<'_> {
    /// The query of the list, so that whoever has to sign in first comes back to it.
    fn query(&self) -> &str {
        self.back.find('?').map_or("", |at| &self.back[at..])
    }

    fn problems(&self) -> Vec<crate::web::parts::Problem> {
        let fields = [&self.reason, &self.confirm].into_iter();
        fields.flat_map(Field::problems).collect()
    }
}

/// What the actions need.
struct Hands<'a> {
    pool: &'a PgPool,
    queue: &'a Queue,
    secret: &'a Secret,
    staff: StaffId,
}

impl Hands<'_> {
    /// Does it to one request, as its own page does. `false`: it was no longer possible.
    async fn act(&self, deed: Deed, row: &Row, reason: &str) -> Result<bool, Error> {
        let (pool, staff, reference) = (self.pool, self.staff, row.reference);
        let done = match deed {
            Deed::CheckAgain => store::check_again(pool, staff, reference).await,
            Deed::Take => store::mark(pool, staff, reference, Mark::Taken, true).await,
            Deed::GiveBack => store::mark(pool, staff, reference, Mark::Taken, false).await,
            Deed::Refuse => match Reason::parse(reason) {
                Some(reason) => store::refuse(pool, staff, reference, reason).await,
                None => Ok(false),
            },
            Deed::Withdraw => store::withdraw(pool, staff, reference).await,
            Deed::Cancel => {
                let Some(reason) = CancelReason::parse(reason) else {
                    return Ok(false);
                };
                let service = ServiceId(row.service);
                let done =
                    cancel_service(pool, self.queue, self.secret, staff, service, reason).await;
                return match done {
                    Ok(_) => Ok(true),
                    Err(Error::NothingInForce | Error::Pending | Error::NoService) => Ok(false),
                    Err(error) => Err(error),
                };
            }
        };
        map_forbidden(done)
    }
}

/// How many of the requests others than `me` have taken, where they are taken over; or empty.
fn taken_over(deed: Deed, rows: &[Row], me: &Name) -> String {
    let is_anothers = |row: &&Row| {
        let mut marks = row.marks.iter();
        marks.any(|(mark, by)| *mark == Mark::Taken && by != me)
    };
    match rows.iter().filter(is_anothers).count() {
        taken @ 1.. if deed == Deed::Take => format!(
            "{} taken by others: you take over.",
            count(taken, "request is", "requests are")
        ),
        _ => String::new(),
    }
}

/// `POST /staff/requests/bulk`.
pub(crate) async fn bulk(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    State(notifier): State<Notifier>,
    State(queue): State<Queue>,
    State(secret): State<Secret>,
    Agent(signed_in): Agent,
    Fields(form): Fields<BulkForm>,
) -> Result<Response, Error> {
    let deed = Deed::parse(&form.action).ok_or(Error::OtherFields)?;
    let back = own_path(&form.back).unwrap_or(super::QUEUE);
    if !deed.confirm().is_empty()
        && let Some(page) = step_up(&site, &pool, &signed_in, back).await?
    {
        return Ok(page);
    }
    let references: Option<Vec<_>> = form
        .request
        .iter()
        .map(|reference| Reference::parse(reference))
        .collect();
    let references = references.filter(|all| all.len() <= PAGE);
    let references = references.ok_or(Error::OtherFields)?;
    let clocks = &site.clocks;
    let rows = lines(&pool, &references, clocks.promise).await?;
    let (mut rows, mut left_out): (Vec<_>, Vec<_>) = rows
        .into_iter()
        .partition(|row| deed.fits(row, Standing::of(&row.facts, clocks, row.now)));

    let reasons = deed.reasons();
    let mut reason = Field::new("reason");
    let mut confirm = Field::new("confirm");
    let mut wrong = Vec::new();
    if form.go == "on" {
        if !reasons.is_empty() && !reasons.iter().any(|it| it.value == form.reason) {
            let message = "Choose the reason";
            reason.errors.push(message.into());
            wrong.push(("reason", message));
        }
        if !deed.confirm().is_empty() && form.confirm != "on" {
            let message = "Tick the box: this cannot be undone";
            confirm.errors.push(message.into());
            wrong.push(("confirm", message));
        }
        reason.value.clone_from(&form.reason);
    }
    let is_done = form.go == "on" && wrong.is_empty();
    if is_done {
        let hands = Hands {
            pool: &pool,
            queue: &queue,
            secret: &secret,
            staff: signed_in.account.id,
        };
        let mut done = HashSet::new();
        for row in &rows {
            if hands.act(deed, row, &form.reason).await? {
                done.insert(row.id);
            }
        }
        // As they are now.
        let after = lines(&pool, &references, clocks.promise).await?;
        (rows, left_out) = after.into_iter().partition(|row| done.contains(&row.id));
        if deed == Deed::CheckAgain {
            notifier.wake();
        }
        notifier.changed();
    }

    let many = count(rows.len(), "request", "requests");
    let mut shell = site.shell(Section::Staff);
    shell.error = !wrong.is_empty();
    let show = |rows: &[Row]| rows.iter().map(|row| line(row, clocks, "")).collect();
    let view = BulkPage {
        shell,
        desk: desk(&signed_in, Tab::Requests),
        title: format!(
            "{} {many}",
            if is_done { deed.done() } else { deed.words() }
        ),
        action: deed.as_str(),
        is_done,
        lines: show(&rows),
        left_out: show(&left_out),
        back: back.to_owned(),
        taken_over: taken_over(deed, &rows, &signed_in.account.name),
        button: format!("{} {many}", deed.words()),
        reason,
        reason_hint: match deed {
            Deed::Refuse => "It is shown to the administrator of each.",
            _ => "",
        },
        reasons,
        confirm,
        confirm_text: deed.confirm(),
    };
    if wrong.is_empty() {
        return page(StatusCode::OK, &view);
    }
    page_with(Problem::form(wrong), &view)
}
