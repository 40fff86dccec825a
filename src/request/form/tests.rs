mod lists;

use super::*;

/// A form that is a valid request, with `change` applied to it.
fn form(change: impl FnOnce(&mut RequestForm)) -> RequestForm {
    let mut form = RequestForm {
        programme: "volume_licensing".into(),
        number: "1234567".into(),
        edge: vec!["sip.contoso.com".into()],
        domains: vec!["contoso.com".into()],
        deployment: "on_premises".into(),
        terms: "on".into(),
        ..RequestForm::blank()
    };
    change(&mut form);
    form
}

/// `n` names, one a line, as people paste them.
fn lines(n: usize, name: impl Fn(usize) -> String) -> String {
    (0..n).map(name).collect::<Vec<_>>().join("\r\n")
}

fn faults(change: impl FnOnce(&mut RequestForm)) -> Vec<(Field, String)> {
    let errors = form(change).check().expect_err("something is wrong");
    errors.into_iter().map(|e| (e.field, e.message)).collect()
}

#[test]
fn a_whole_form_is_a_request() {
    let checked = form(|_| {}).check().unwrap();
    assert_eq!(checked.wanted.number.as_str(), "1234567");
    assert_eq!(checked.notes, []);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of faults")]
fn each_fault_stands_by_its_field_and_says_what_to_type() {
    type Change = fn(&mut RequestForm);
    let cases: &[(Change, Field, &str)] = &[
        (
            |f| f.programme.clear(),
            Field::Programme,
            "Select a licensing programme",
        ),
        (
            |f| f.programme = "oem".into(),
            Field::Programme,
            "four licensing programmes",
        ),
        (
            |f| f.number = " - ".into(),
            Field::Number,
            "Enter the agreement number",
        ),
        (
            |f| f.number = "ted@contoso.com".into(),
            Field::Number,
            "contact",
        ),
        (
            |f| f.number = "Anna Mustermann".into(),
            Field::Number,
            "We do not ask for names",
        ),
        (
            |f| f.number = "425-555-0100".into(),
            Field::Number,
            "telephone number",
        ),
        (|f| f.edge[0].clear(), Field::Edge(0), "sip.contoso.com"),
        (
            |f| f.edge[0] = "contoso.com".into(),
            Field::Edge(0),
            "contoso.com is a SIP domain",
        ),
        (
            |f| f.edge[0] = "sip.contoso.com:443".into(),
            Field::Edge(0),
            "sip.contoso.com",
        ),
        (|f| f.domains[0].clear(), Field::Domains(0), "contoso.com"),
        (
            |f| f.domains[0] = " ,\n; ".into(),
            Field::Domains(0),
            "contoso.com",
        ),
        (
            |f| f.domains[0] = "ted@contoso.com".into(),
            Field::Domains(0),
            "contoso.com",
        ),
        (|f| f.domains[0] = "co.uk".into(), Field::Domains(0), ""),
        (
            |f| f.domains[0] = "sip.contoso.com".into(),
            Field::Domains(0),
            "contoso.com",
        ),
        (|f| f.deployment.clear(), Field::Deployment, "Select"),
        (
            |f| f.deployment = "cloud".into(),
            Field::Deployment,
            "Select",
        ),
        (
            |f| (f.terms, f.may_act) = (String::new(), "on".into()),
            Field::Licences,
            "licences",
        ),
        (
            |f| (f.terms, f.licences) = ("off".into(), "on".into()),
            Field::MayAct,
            "may act",
        ),
        (
            |f| f.submission_id = "1".into(),
            Field::SubmissionId,
            "damaged",
        ),
        (
            |f| f.submission_id = "00000000-0000-4000-8000-000000000000".into(),
            Field::SubmissionId,
            "new random one",
        ),
        (
            |f| (f.edge, f.domains) = (vec![], vec![]),
            Field::Form,
            "1 to 10",
        ),
        (
            |f| f.domains.push("fabrikam.com".into()),
            Field::Edge(1),
            "",
        ),
        (
            |f| f.edge.push("sip.fabrikam.com".into()),
            Field::Domains(1),
            "Enter",
        ),
    ];
    for (i, (change, field, words)) in cases.iter().enumerate() {
        let faults = faults(change);
        let (at, message) = &faults[0];
        assert_eq!((faults.len(), at), (1, field), "case {i}: {faults:?}");
        assert!(
            message.contains(words) && !message.is_empty(),
            "case {i}: {message}"
        );
    }
}

#[test]
fn both_declarations_are_said_by_their_own_fields_or_by_the_old_one() {
    let both = |f: &mut RequestForm| {
        (f.terms, f.licences, f.may_act) = (String::new(), "on".into(), "on".into());
    };
    assert!(form(both).check().is_ok());
    let none = faults(|f| f.terms.clear());
    let fields: Vec<_> = none.into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, [Field::Licences, Field::MayAct]);
}

#[test]
fn everything_wrong_is_told_at_once_in_the_order_of_the_page() {
    let faults = faults(|f| {
        *f = RequestForm {
            edge: vec![String::new(), String::new()],
            domains: vec![String::new(), String::new()],
            ..RequestForm::blank()
        };
    });
    let mut messages: Vec<_> = faults.iter().map(|(_, message)| message.clone()).collect();
    messages.sort();
    messages.dedup();
    assert_eq!(
        messages.len(),
        faults.len(),
        "no two read alike: {messages:?}"
    );
    let fields: Vec<_> = faults.into_iter().map(|(field, _)| field).collect();
    assert_eq!(
        fields,
        [
            Field::Programme,
            Field::Number,
            Field::Edge(0),
            Field::Domains(0),
            Field::Edge(1),
            Field::Domains(1),
            Field::Deployment,
            Field::Licences,
            Field::MayAct
        ]
    );
}

#[test]
fn rules_between_edges_stand_by_the_later_one() {
    let two = |f: &mut RequestForm, edge: &str, domains: &str| {
        f.edge.push(edge.into());
        f.domains.push(domains.into());
    };
    assert_eq!(
        faults(|f| two(f, "sip.contoso.com", "a.test"))[0].0,
        Field::Edge(1)
    );
    let (field, message) = faults(|f| two(f, "sip.a.test", "a.test contoso.com")).remove(0);
    assert_eq!(field, Field::Domains(1));
    assert!(
        message.contains("Access Edge 2, line 1: contoso.com is at Access Edge 1 already"),
        "{message}"
    );
    let (field, message) = faults(|f| two(f, "sip.a.test", "sip.contoso.com")).remove(0);
    assert_eq!(field, Field::Domains(1));
    assert!(message.ends_with("like contoso.com"), "{message}");
    let (_, message) = faults(|f| two(f, "sip.a.test", "a.test\n\ncontoso.com")).remove(0);
    assert!(
        message.starts_with("Access Edge 2, line 3: contoso.com is at"),
        "{message}"
    );
}

#[test]
fn more_than_ten_edges_or_a_thousand_domains_are_refused() {
    let edges = |n: usize| {
        form(|f| {
            f.edge = (0..n).map(|i| format!("e{i}.test")).collect();
            f.domains = (0..n).map(|i| format!("d{i}.test")).collect();
        })
    };
    assert!(edges(10).check().is_ok());
    assert_eq!(edges(11).check().unwrap_err()[0].field, Field::Form);
    let domains = |n: usize| form(|f| f.domains[0] = lines(n, |i| format!("d{i}.test")));
    assert_eq!(
        domains(1_000).check().unwrap().wanted.routes.domain_count(),
        1_000
    );
    let errors = domains(1_001).check().unwrap_err();
    assert!(errors[0].message.contains("1000"), "{}", errors[0].message);
}

#[test]
fn many_faults_in_one_box_are_counted_after_the_first_ten() {
    let faults = faults(|f| f.domains[0] = lines(25, |i| format!("bad_{i}.test")));
    assert_eq!(faults.len(), 11);
    assert!(faults[10].1.starts_with("15 more"), "{}", faults[10].1);
}

#[test]
fn what_was_tidied_is_told_and_what_is_odd_too() {
    let checked = form(|f| {
        f.number = " 12-34 567 ".into();
        f.edge[0] = "SIP.Contoso.com.".into();
        f.domains[0] = "sip:contoso.com, contoso.com münchen.example".into();
    })
    .check()
    .unwrap();
    let [EdgeRoutes { edge, domains }] = checked.wanted.routes.edges() else {
        panic!("one edge")
    };
    assert_eq!(edge.as_str(), "sip.contoso.com");
    assert_eq!(
        domains.iter().map(SipDomain::as_str).collect::<Vec<_>>(),
        ["contoso.com", "xn--mnchen-3ya.example"]
    );
    let normalised = |field| {
        checked
            .notes
            .iter()
            .any(|n| matches!(n, Note::Normalised { field: f, .. } if *f == field))
    };
    assert!(
        normalised(Field::Number) && normalised(Field::Edge(0)) && normalised(Field::Domains(0))
    );
    assert!(checked.notes.contains(&Note::Merged {
        edge: 0,
        doubles: 1
    }));
    let odd = checked.notes.iter().find_map(|n| match n {
        Note::NotDiscoverable { domains, .. } => Some(domains.len()),
        _ => None,
    });
    assert_eq!(
        odd,
        Some(1),
        "contoso.com is directly above its edge, the other is not"
    );
    assert!(
        !format!("{checked:?}").to_lowercase().contains("contoso"),
        "nothing typed is in Debug"
    );
}

#[test]
fn edges_are_added_up_to_ten_and_removed_down_to_one() {
    let mut form = RequestForm::blank();
    for _ in 0..20 {
        form.add_edge();
    }
    assert_eq!((form.edge.len(), form.domains.len()), (10, 10));
    form.edge[3] = "e3".into();
    form.domains[3] = "d3".into();
    form.remove_edge(2);
    assert_eq!(
        (form.edge[2].as_str(), form.domains[2].as_str()),
        ("e3", "d3")
    );
    form.remove_edge(99);
    assert_eq!(form.edge.len(), 9);
    for _ in 0..20 {
        form.remove_edge(0);
    }
    assert_eq!((form.edge.len(), form.domains.len()), (1, 1));
}

#[test]
fn the_buttons_are_those_of_the_contract() {
    for (value, action) in [
        ("", Some(Action::Review)),
        ("review", Some(Action::Review)),
        ("add-edge", Some(Action::AddEdge)),
        ("change", Some(Action::Change)),
        ("submit", Some(Action::Submit)),
        ("use-these", Some(Action::UseThese)),
        ("remove-edge-1", Some(Action::RemoveEdge(0))),
        ("remove-edge-10", Some(Action::RemoveEdge(9))),
        ("remove-edge-0", None),
        ("remove-edge-11", None),
        ("remove-edge-", None),
        ("delete", None),
    ] {
        assert_eq!(Action::parse(value), action, "{value}");
    }
}

#[test]
fn a_form_has_no_other_fields() {
    let read = |body: &str| serde_html_form::from_str::<RequestForm>(body).is_ok();
    assert!(read(
        "programme=x&edge=a&domains=b&edge=c&domains=d&action=submit"
    ));
    for body in [
        "contact_email=x",
        "phone=1",
        "programme=a&programme=b",
        "note=",
    ] {
        assert!(!read(body), "{body}");
    }
    assert_eq!(format!("{:?}", form(|_| {})), "RequestForm(..)");
}
