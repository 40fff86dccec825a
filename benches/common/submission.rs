//! Makes submissions for benchmarks that call the store directly.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::UNIX_EPOCH,
};

use pic_portal::{
    db::Database,
    request::{Asked, form::RequestForm, reference::SubmissionId, store::Submission},
};

static NEXT: AtomicUsize = AtomicUsize::new(0);
/// Tells this run from earlier ones on the same database.
static RUN: LazyLock<u64> =
    LazyLock::new(|| UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()));

/// A request of one edge and two domains that no other submission uses.
pub(crate) fn submission(db: &Database) -> Submission {
    let n = NEXT.fetch_add(1, Relaxed);
    let domain = format!("d{n}.r{}.example", *RUN);
    let form = RequestForm {
        programme: "volume_licensing".into(),
        number: format!("{:07}", n % 10_000_000),
        edge: vec![format!("sip.{domain}")],
        domains: vec![format!("{domain} it.{domain}")],
        deployment: "on_premises".into(),
        terms: "on".into(),
        ..RequestForm::blank()
    };
    let asked = Asked::Initiate(form.check().expect("a whole form").wanted);
    Submission::new(&db.secret, &SubmissionId::random(), asked)
}
