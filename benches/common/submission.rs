//! What does a benchmark submit where it asks the store itself?

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use pic_portal::{
    db::Database,
    request::{Asked, form::RequestForm, reference::SubmissionId, store::Submission},
    service::ManagementKey,
};

static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A request of one edge and two domains that nobody else asks for.
pub(crate) fn submission(db: &Database) -> Submission {
    let n = NEXT.fetch_add(1, Relaxed);
    let form = RequestForm {
        programme: "volume_licensing".into(),
        number: format!("{:07}", n % 10_000_000),
        edge: vec![format!("sip.d{n}.example")],
        domains: vec![format!("d{n}.example it.d{n}.example")],
        deployment: "on_premises".into(),
        terms: "on".into(),
        ..RequestForm::blank()
    };
    let id = SubmissionId::random();
    Submission {
        asked: Asked::Initiate(form.check().expect("a whole form").wanted),
        key: ManagementKey::derive(&db.secret, &id),
        id,
    }
}
