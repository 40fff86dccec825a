use std::{collections::VecDeque, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{
    request::{Asked, form::RequestForm, reference::SubmissionId},
    secret::Secret,
};

const LIMITS: Limits = Limits {
    batch: 3,
    rows: 8,
    crowd: 2,
    hurry: Duration::ZERO,
    waiting: 6,
    waiting_rows: 20,
    late: Duration::from_secs(2),
    store: Duration::ZERO,
    patience: Duration::ZERO,
};

/// A request with `domains` domains.
pub(in crate::request::queue) fn submission(domains: usize) -> Submission {
    let names: Vec<_> = (0..domains).map(|n| format!("d{n}.example")).collect();
    let form = RequestForm {
        programme: "volume_licensing".into(),
        number: "1234567".into(),
        edge: vec!["sip.contoso.com".into()],
        domains: vec![names.join(" ")],
        deployment: "on_premises".into(),
        terms: "on".into(),
        ..RequestForm::blank()
    };
    let secret = Secret::from_bytes(&[7; 32]).unwrap();
    let asked = Asked::Initiate(form.check().unwrap().wanted);
    Submission::new(&secret, &SubmissionId::random(), asked)
}

fn member(domains: usize, since: Instant) -> (Member, oneshot::Receiver<Answer>) {
    let (sender, answer) = oneshot::channel();
    (Member::new(submission(domains), since, sender), answer)
}

#[test]
fn two_writers_at_most_are_started_and_each_is_counted_out_once_nobody_waits() {
    let (mut line, now) = (Line::default(), Instant::now());
    assert!(!line.hasten(), "there is nobody to wait for");
    let mut answers = Vec::new();
    for expected in [Joined::StartsWriter, Joined::StartsWriter, Joined::Waits] {
        let (member, answer) = member(1, now);
        answers.push(answer);
        assert_eq!(line.join(member, now, &LIMITS), expected);
    }
    assert_eq!(line.take(&LIMITS).unwrap().len(), 3);
    assert!(line.take(&LIMITS).is_none());
    assert_eq!(line.writers(), 1);
    let (late, _answer) = member(1, now);
    assert_eq!(line.join(late, now, &LIMITS), Joined::Waits, "one alone");
    assert!(line.hasten());
    assert!(!line.hasten());
    assert_eq!(line.writers(), 2);
}

#[test]
fn the_log_is_told_now_and_then() {
    let (mut line, now) = (Line::default(), Instant::now());
    let (oldest, _answer) = member(1, now);
    line.join(oldest, now, &LIMITS);
    let mut refused = |after| {
        let now = now + Duration::from_secs(after);
        line.join(member(1, now).0, now, &LIMITS)
    };
    assert_eq!(refused(3), Joined::Refused { tell: true });
    assert_eq!(refused(12), Joined::Refused { tell: false });
    assert_eq!(refused(13), Joined::Refused { tell: true });
}

#[derive(Clone, Debug)]
enum Step {
    Join(usize),
    Leave(usize),
    Take,
    Hasten,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..12_usize).prop_map(Step::Join),
        1 => (0..6_usize).prop_map(Step::Leave),
        2 => Just(Step::Take),
        1 => Just(Step::Hasten),
        1 => (0..1_500_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    /// For any order of events: each submission that was accepted is taken once, in the order of
    /// coming, unless its client has gone; limits hold; and while one waits, a writer is running.
    #[test]
    fn nobody_is_lost_and_nobody_overtakes(steps in prop::collection::vec(step(), 1..80)) {
        let (mut line, mut now) = (Line::default(), Instant::now());
        // The submissions in the line: reference, answer, rows, since.
        let mut model = VecDeque::new();
        let mut writers = 0;
        for step in steps {
            match step {
                Step::Join(domains) => {
                    let (member, answer) = member(domains, now);
                    let (id, rows) = (member.submission.reference, domains + 1);
                    let all: usize = model.iter().map(|(_, _, rows, _)| rows).sum();
                    let oldest = model.front().map(|(_, _, _, since)| now - *since);
                    let fits = model.len() < LIMITS.waiting
                        && (model.is_empty() || all + rows <= LIMITS.waiting_rows)
                        && oldest.is_none_or(|age| age <= LIMITS.late);
                    match line.join(member, now, &LIMITS) {
                        Joined::Refused { .. } => prop_assert!(!fits),
                        joined => {
                            prop_assert!(fits);
                            model.push_back((id, Some(answer), rows, now));
                            let starts = writers == 0
                                || (writers < WRITERS && model.len() >= LIMITS.crowd);
                            prop_assert_eq!(joined == Joined::StartsWriter, starts);
                            writers += usize::from(starts);
                        }
                    }
                }
                Step::Leave(place) => {
                    if let Some((_, answer, _, _)) = model.get_mut(place) {
                        *answer = None;
                    }
                }
                Step::Take if writers > 0 => {
                    let batch = line.take(&LIMITS);
                    let (mut taken, mut rows) = (Vec::new(), 0);
                    while let Some((id, answer, more, since)) = model.pop_front() {
                        if answer.is_none() {
                            continue;
                        }
                        let full = taken.len() == LIMITS.batch || rows + more > LIMITS.rows;
                        if full && !taken.is_empty() {
                            model.push_front((id, answer, more, since));
                            break;
                        }
                        rows += more;
                        taken.push(id);
                    }
                    if let Some(batch) = batch {
                        let ids: Vec<_> = batch.iter().map(|m| m.submission.reference).collect();
                        prop_assert_eq!(ids, taken);
                    } else {
                        prop_assert!(taken.is_empty());
                        writers -= 1;
                    }
                }
                Step::Take => {}
                Step::Hasten => {
                    let starts = !model.is_empty() && writers < WRITERS;
                    prop_assert_eq!(line.hasten(), starts);
                    writers += usize::from(starts);
                }
                Step::Wait(millis) => now += Duration::from_millis(millis),
            }
            prop_assert_eq!(line.writers(), writers);
            prop_assert_eq!(line.waiting(), model.len());
            prop_assert!(line.waiting() == 0 || line.writers() > 0, "who waits is waited on");
            prop_assert_eq!(line.rows, model.iter().map(|(_, _, rows, _)| rows).sum::<usize>());
        }
    }
}
