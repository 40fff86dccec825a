//! Compares the portal with a simple model, for random sequences of actions.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use pic_portal::{
    names::SipDomain,
    provisioning::store::{self, Proof, Verdicts},
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::{
    service::{edit, sign_in},
    support::{
        app::{TestApp, WAITS, request, submission_id},
        sql,
    },
};

const DOMAINS: [&str; 4] = ["a.com", "b.com", "c.com", "d.com"];
const EDGES: [&str; 2] = ["sip.contoso.com", "edge.contoso.com"];
const SERVICES: usize = 3;
/// Longer than the longest wait of a request that is held back.
const LATER: Duration = Duration::from_mins(61);

/// Domains, each with its edge.
type Wanted = BTreeMap<&'static str, &'static str>;

#[derive(Clone, Debug)]
enum Step {
    /// A new service, or other routes for the existing one.
    Submit(usize, Wanted),
    /// The last request of the service is withdrawn.
    Withdraw(usize),
    Cancel(usize),
    NewKey(usize),
    /// Some time later the background task settles everything that is due.
    Work,
    /// The same once every pending request has expired.
    Expire,
    /// The same with proof that a domain belongs to the service.
    Move(usize, &'static str),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let service = || 0..SERVICES;
    let wanted = prop::array::uniform4(prop::option::of(prop::sample::select(&EDGES[..])))
        .prop_map(|edges| {
            let pairs = DOMAINS.into_iter().zip(edges);
            pairs
                .filter_map(|(domain, edge)| Some((domain, edge?)))
                .collect::<Wanted>()
        })
        .prop_filter("a request wants something", |wanted| !wanted.is_empty());
    let step = prop_oneof![
        8 => (service(), wanted).prop_map(|(service, wanted)| Step::Submit(service, wanted)),
        2 => service().prop_map(Step::Withdraw),
        2 => service().prop_map(Step::Cancel),
        1 => service().prop_map(Step::NewKey),
        6 => Just(Step::Work),
        1 => Just(Step::Expire),
        4 => (service(), prop::sample::select(&DOMAINS[..])).prop_map(|(s, d)| Step::Move(s, d)),
    ];
    prop::collection::vec(step, 1..=25)
}

// ---------------------------------------------------------------------------------------------
// The model

#[derive(Clone, Debug)]
struct Asked {
    service: usize,
    wanted: Wanted,
    state: &'static str,
    events: i64,
    /// The domains that held it back at its last check.
    held: BTreeSet<&'static str>,
    submitted: Duration,
}

/// A domain in force.
#[derive(Clone, Debug)]
struct InForce {
    edge: &'static str,
    service: usize,
    /// Index of the request that put it in force.
    by: usize,
}

/// Requests by their index, in order of submission.
#[derive(Debug, Default)]
struct Model {
    requests: Vec<Asked>,
    routes: BTreeMap<&'static str, InForce>,
    now: Duration,
}

impl Model {
    fn last_of(&self, service: usize) -> Option<usize> {
        self.requests.iter().rposition(|r| r.service == service)
    }

    fn pending_of(&self, service: usize) -> Option<usize> {
        self.last_of(service)
            .filter(|&last| self.requests[last].state == "pending")
    }

    fn of(&self, service: usize) -> Wanted {
        let own = self.routes.iter().filter(|(_, r)| r.service == service);
        own.map(|(&domain, route)| (domain, route.edge)).collect()
    }

    fn submit(&mut self, service: usize, wanted: Wanted) {
        self.requests.push(Asked {
            service,
            wanted,
            state: "pending",
            events: 1,
            held: BTreeSet::new(),
            submitted: self.now,
        });
    }

    /// The request of `service` that was provisioned last.
    fn last_provisioned(&self, service: usize) -> Option<usize> {
        self.requests
            .iter()
            .rposition(|r| r.service == service && r.state == "provisioned")
    }

    fn end(&mut self, request: usize, state: &'static str) {
        self.requests[request].state = state;
        self.requests[request].events += 1;
        if state != "rejected" {
            self.requests[request].held.clear();
        }
    }

    /// Runs the background task until nothing is due. The first round has the proof.
    fn work(&mut self, mut proof: Option<(usize, &'static str)>) {
        let places = 0..self.requests.len();
        let mut due: BTreeSet<usize> = places
            .filter(|&r| self.requests[r].state == "pending")
            .collect();
        while !due.is_empty() {
            due = self.round(&due, proof.take());
        }
    }

    /// Checks these requests; returns those that are due at once after that.
    fn round(
        &mut self,
        due: &BTreeSet<usize>,
        proof: Option<(usize, &'static str)>,
    ) -> BTreeSet<usize> {
        let (expired, due): (BTreeSet<usize>, BTreeSet<usize>) = due
            .iter()
            .partition(|&&r| self.now >= self.requests[r].submitted + WAITS.expiry);
        for request in expired {
            self.end(request, "rejected");
        }
        let in_the_way = |r: usize| -> BTreeSet<&'static str> {
            let Asked {
                wanted, service, ..
            } = &self.requests[r];
            let domains = wanted.keys().copied();
            let held = |d: &&'static str| self.routes.get(d).is_some_and(|x| x.service != *service);
            domains
                .filter(held)
                .filter(|&d| proof != Some((r, d)))
                .collect()
        };
        let ways: Vec<(usize, BTreeSet<_>)> = due.iter().map(|&r| (r, in_the_way(r))).collect();
        let (free, held): (Vec<_>, Vec<_>) = ways.into_iter().partition(|(_, way)| way.is_empty());
        for (request, way) in held {
            let request = &mut self.requests[request];
            if request.held.is_disjoint(&way) {
                request.events += 1;
            }
            request.held = way;
        }
        // Of requests that want one domain the first is settled first.
        let mut claimed = BTreeSet::new();
        let (mut provisioned, mut again) = (Vec::new(), BTreeSet::new());
        for (request, _) in free {
            let wanted: BTreeSet<_> = self.requests[request].wanted.keys().copied().collect();
            if claimed.is_disjoint(&wanted) {
                provisioned.push(request);
            } else {
                again.insert(request);
            }
            claimed.extend(wanted);
        }
        // All proven domains move before any other is released.
        for by in provisioned.clone() {
            let Asked {
                wanted, service, ..
            } = self.requests[by].clone();
            for (domain, edge) in wanted {
                let new = InForce { edge, service, by };
                match self.routes.get(domain) {
                    Some(old) if old.service != service => {
                        // Told on the last request that the loser had provisioned.
                        let holder = old.service;
                        let last = self.last_provisioned(holder).unwrap();
                        self.requests[last].events += 1;
                        self.requests[by].events += 1;
                    }
                    Some(old) if old.edge == edge => continue,
                    Some(_) | None => {}
                }
                self.routes.insert(domain, new);
            }
        }
        let mut freed = BTreeSet::new();
        for by in provisioned {
            let Asked {
                wanted, service, ..
            } = self.requests[by].clone();
            self.routes.retain(|domain, route| {
                let kept = route.service != service || wanted.contains_key(domain);
                if !kept {
                    freed.insert(*domain);
                }
                kept
            });
            if let Some(last) = self.last_provisioned(service) {
                // It is superseded.
                self.requests[last].events += 1;
            }
            self.end(by, "provisioned");
        }
        let woken = self.requests.iter().enumerate();
        again.extend(
            woken
                .filter(|(_, r)| r.state == "pending" && !r.held.is_disjoint(&freed))
                .map(|(place, _)| place),
        );
        again
    }
}

// ---------------------------------------------------------------------------------------------
// The portal, step by step beside it

struct Run {
    portal: TestApp,
    model: Model,
    references: Vec<String>,
    keys: [Option<String>; SERVICES],
}

impl Run {
    async fn step(&mut self, step: &Step) {
        match step {
            Step::Submit(service, wanted) => self.submit(*service, wanted).await,
            Step::Withdraw(service) => self.withdraw(*service).await,
            Step::Cancel(service) => self.cancel(*service).await,
            Step::NewKey(service) => self.new_key(*service).await,
            Step::Work => self.work(LATER, None).await,
            Step::Expire => self.work(WAITS.expiry, None).await,
            Step::Move(service, domain) => {
                let pending = self.model.pending_of(*service);
                self.work(LATER, pending.map(|request| (request, *domain)))
                    .await;
            }
        }
    }

    /// A browser that is signed in to the service.
    async fn browser(&self, service: usize) -> Option<String> {
        Some(sign_in(&self.portal, self.keys[service].as_ref()?).await)
    }

    async fn submit(&mut self, service: usize, wanted: &Wanted) {
        let edges = EDGES.map(|edge| {
            let domains = wanted.iter().filter(|(_, e)| **e == edge);
            let domains: Vec<_> = domains.map(|(domain, _)| *domain).collect();
            (edge, domains.join(" "))
        });
        let edges: Vec<_> = edges
            .iter()
            .filter(|(_, domains)| !domains.is_empty())
            .map(|(edge, domains)| (*edge, domains.as_str()))
            .collect();
        let id = submission_id();
        let Some(browser) = self.browser(service).await else {
            let fields = request(&id, &edges);
            let sent = self.portal.post("/requests/new", &fields).await;
            let receipt = format!("/requests/{}/receipt", sent.reference());
            let receipt = self.portal.get_with(&receipt, &sent.cookie()).await;
            self.keys[service] = receipt.attribute("data-management-key").map(str::to_owned);
            self.references.push(sent.reference());
            self.model.submit(service, wanted.clone());
            return;
        };
        let more = [("confirm_edge_change", "on"), ("action", "submit")];
        let fields = edit(&id, &edges, &more);
        let sent = self.portal.post_with("/service/edit", &fields, &browser);
        let sent = sent.await;
        let expected = if self.model.of(service) == *wanted {
            422
        } else if self.model.pending_of(service).is_some() {
            409
        } else {
            self.references.push(sent.reference());
            self.model.submit(service, wanted.clone());
            303
        };
        assert_eq!(sent.status, expected, "{}", sent.body);
    }

    async fn withdraw(&mut self, service: usize) {
        let Some(last) = self.model.last_of(service) else {
            return;
        };
        let browser = self.browser(service).await.unwrap();
        let path = format!("/requests/{}/withdraw", self.references[last]);
        let sent = self.portal.post_with(&path, &[], &browser).await;
        let expected = if self.model.requests[last].state == "pending" {
            self.model.end(last, "withdrawn");
            303
        } else {
            409
        };
        assert_eq!(sent.status, expected, "{}", sent.body);
    }

    async fn cancel(&mut self, service: usize) {
        let Some(browser) = self.browser(service).await else {
            return;
        };
        let fields = [("confirm", "on")];
        let sent = self.portal.post_with("/service/cancel", &fields, &browser);
        let sent = sent.await;
        let nothing = self.model.of(service).is_empty();
        let expected = if nothing || self.model.pending_of(service).is_some() {
            409
        } else {
            self.references.push(sent.reference());
            self.model.submit(service, Wanted::new());
            303
        };
        assert_eq!(sent.status, expected, "{}", sent.body);
    }

    async fn new_key(&mut self, service: usize) {
        let Some(browser) = self.browser(service).await else {
            return;
        };
        let made = self.portal.post_with("/service/key", &[], &browser).await;
        let cookies = format!("{browser}; {}", made.cookie());
        let shown = self.portal.get_with("/service/key", &cookies).await;
        self.keys[service] = shown.attribute("data-management-key").map(str::to_owned);
        let last = self.model.last_of(service).unwrap();
        self.model.requests[last].events += 1;
    }

    async fn work(&mut self, later: Duration, proof: Option<(usize, &'static str)>) {
        self.portal.advance(later).await;
        self.model.now += later;
        self.model.work(proof);
        if let Some((request, domain)) = proof {
            let id: i64 = sqlx::query_scalar("SELECT id FROM request WHERE reference = $1")
                .bind(&self.references[request])
                .fetch_one(self.portal.pool())
                .await
                .unwrap();
            let domain = SipDomain::parse(domain).unwrap();
            let claim = store::claim(
                self.portal.pool(),
                store::Place::Pending,
                500,
                Duration::from_secs(30),
            )
            .await
            .unwrap();
            let verdicts = Verdicts {
                proofs: vec![Proof {
                    request: id,
                    domain,
                }],
                ..Verdicts::default()
            };
            store::settle(self.portal.pool(), &claim, &WAITS, &verdicts)
                .await
                .unwrap();
        }
        self.portal.work().await;
    }

    async fn compare(&self) {
        let pool = self.portal.pool();
        let routes: Vec<(String, String, String)> = sql::rows(
            pool,
            "SELECT x.sip_domain::text, x.access_edge::text, r.reference
             FROM route x JOIN request r ON r.id = x.request_id AND r.service_id = x.service_id
             ORDER BY x.sip_domain",
        )
        .await;
        let expected: Vec<_> = self
            .model
            .routes
            .iter()
            .map(|(domain, route)| {
                let by = self.references[route.by].clone();
                ((*domain).to_owned(), route.edge.to_owned(), by)
            })
            .collect();
        assert_eq!(routes, expected, "routes in force");
        let requests: Vec<(String, String, i64, Vec<String>)> = sql::rows(pool, "SELECT r.reference, r.state, (SELECT coalesce(sum(times), 0) FROM timeline WHERE request_id = r.id)::bigint,
                    ARRAY(SELECT subject::text FROM finding WHERE request_id = r.id ORDER BY 1)
             FROM request r ORDER BY r.id").await;
        let expected: Vec<_> = self
            .references
            .iter()
            .zip(&self.model.requests)
            .map(|(reference, r)| {
                let held = r.held.iter().map(|&domain| domain.to_owned()).collect();
                (reference.clone(), r.state.to_owned(), r.events, held)
            })
            .collect();
        assert_eq!(requests, expected, "requests");
        let odd = "SELECT count(*) FROM request r FULL JOIN work w ON w.request_id = r.id
                   WHERE (r.state = 'pending') IS DISTINCT FROM (w.request_id IS NOT NULL) OR w.lease_token IS NOT NULL";
        assert_eq!(self.portal.number(odd).await, 0, "work is what is pending");
    }
}

/// Few sequences, as each needs a database; each is as long as the life of a service may be.
#[test]
fn any_sequence_leaves_what_a_simple_model_says() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = Config {
        cases: 24,
        max_shrink_iters: 150,
        failure_persistence: None,
        ..Config::default()
    };
    let checked = TestRunner::new(config).run(&steps(), |steps| {
        runtime.block_on(async {
            let mut run = Run {
                portal: TestApp::new().await,
                model: Model::default(),
                references: Vec::new(),
                keys: [const { None }; SERVICES],
            };
            for step in &steps {
                run.step(step).await;
                run.compare().await;
            }
        });
        Ok(())
    });
    checked.unwrap_or_else(|failure| panic!("{failure}"));
}
