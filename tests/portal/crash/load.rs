//! The clients of portals that are killed under them, and the log of what they were told.
//!
//! A client does what a person with a stubborn browser does: when no answer comes it sends the same
//! again, to another portal. Each answer goes into the [`Log`] at the moment it arrives; from then
//! on the portals must keep to it.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use tokio::{sync::watch, task::JoinSet, time::sleep};

use super::Dice;
use crate::{
    service::edit,
    support::{
        app::{Answer, request, submission_id},
        process::exchange,
    },
};

/// Longer than any crash of a portal or a database takes to recover.
const PATIENCE: Duration = Duration::from_mins(2);
/// Pause between two attempts while a portal restarts: it is another process, and sends no signal.
const AGAIN: Duration = Duration::from_millis(5);
/// Domains that all clients want, so that requests are held back.
const SHARED: usize = 4;
/// The most services that a client keeps using.
const SERVICES: usize = 12;

/// A domain and the edge that serves it, ordered by domain.
pub(crate) type Routes = Vec<(String, String)>;

/// What a client was told, which the portals must keep to.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// A request is stored under this reference.
    Stored {
        /// The submission id that the client made.
        submission: String,
        reference: String,
        routes: Routes,
    },
    /// The request was withdrawn.
    Withdrawn { reference: String },
    /// This key opens the service that the request made; the previous one does not.
    Key { reference: String, key: String },
}

/// What the clients were told, in order.
#[derive(Debug)]
pub(crate) struct Log {
    told: Mutex<Vec<Told>>,
    count: watch::Sender<usize>,
}

impl Log {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            told: Mutex::default(),
            count: watch::Sender::new(0),
        })
    }

    fn write(&self, told: Told) {
        let mut all = self.told.lock().unwrap();
        all.push(told);
        self.count.send_replace(all.len());
    }

    pub(crate) fn all(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    /// The request in the last entry.
    pub(crate) fn last(&self) -> Option<String> {
        let told = self.told.lock().unwrap();
        told.last().map(|told| match told {
            Told::Stored { reference, .. }
            | Told::Withdrawn { reference }
            | Told::Key { reference, .. } => reference.clone(),
        })
    }

    pub(crate) fn len(&self) -> usize {
        *self.count.borrow()
    }

    /// Waits until there are this many more entries.
    pub(crate) async fn more(&self, than_now: usize) {
        let goal = self.len() + than_now;
        let mut count = self.count.subscribe();
        let told = tokio::time::timeout(PATIENCE, count.wait_for(|count| *count >= goal));
        told.await.expect("the load goes on").unwrap();
    }
}

/// The present addresses of the portals.
#[derive(Debug)]
pub(crate) struct Addresses(Mutex<Vec<SocketAddr>>);

impl Addresses {
    pub(crate) fn new(addresses: Vec<SocketAddr>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(addresses)))
    }

    pub(crate) fn set(&self, place: usize, address: SocketAddr) {
        self.0.lock().unwrap()[place] = address;
    }

    fn get(&self, turn: usize) -> SocketAddr {
        let all = self.0.lock().unwrap();
        all[turn % all.len()]
    }
}

/// A service that a client has made.
struct Service {
    first: String,
    key: String,
    routes: Routes,
    last: String,
}

/// One client with services of its own.
pub(crate) struct Client {
    number: usize,
    made: usize,
    services: Vec<Service>,
    dice: Dice,
    portals: Arc<Addresses>,
    log: Arc<Log>,
}

/// Starts this many clients, which run until `stop`, and finish their present action.
pub(crate) fn clients(
    many: usize,
    dice: &mut Dice,
    portals: &Arc<Addresses>,
    log: &Arc<Log>,
    stop: &Arc<AtomicBool>,
) -> JoinSet<()> {
    (0..many)
        .map(|number| {
            let mut client = Client {
                number,
                made: 0,
                services: Vec::new(),
                dice: dice.split(),
                portals: Arc::clone(portals),
                log: Arc::clone(log),
            };
            let stop = Arc::clone(stop);
            async move {
                while !stop.load(Ordering::Relaxed) {
                    client.act().await;
                }
            }
        })
        .collect()
}

/// The edges with their domains, as the form has them.
fn fields(routes: &Routes) -> Vec<(String, String)> {
    let mut edges: Vec<(String, String)> = Vec::new();
    for (domain, edge) in routes {
        match edges.iter_mut().find(|(known, _)| known == edge) {
            Some((_, domains)) => *domains = format!("{domains} {domain}"),
            None => edges.push((edge.clone(), domain.clone())),
        }
    }
    edges
}

fn pairs(edges: &[(String, String)]) -> Vec<(&str, &str)> {
    let pairs = edges.iter();
    pairs
        .map(|(edge, domains)| (edge.as_str(), domains.as_str()))
        .collect()
}

impl Client {
    /// Sends a request until there is a valid answer, from any portal; also returns how many
    /// attempts may have been carried out without an answer.
    async fn ask(
        &mut self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        cookie: &str,
    ) -> Answer {
        let began = Instant::now();
        let body = serde_html_form::to_string(fields).unwrap();
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("cookie", cookie),
        ];
        let mut turn = self.dice.below(2);
        loop {
            let address = self.portals.get(turn);
            match exchange(address, method, path, &headers, &body).await {
                Ok(answer) if answer.status != StatusCode::SERVICE_UNAVAILABLE => return answer,
                Ok(_) | Err(_) => {}
            }
            assert!(began.elapsed() < PATIENCE, "no answer to {method} {path}");
            turn += 1;
            sleep(AGAIN).await;
        }
    }

    async fn act(&mut self) {
        let known = self.services.len();
        if known == 0 || self.dice.chance(50) {
            return self.submit().await;
        }
        let place = self.dice.below(known);
        match self.dice.below(5) {
            0 | 1 => self.edit(place).await,
            2 | 3 => self.withdraw(place).await,
            _ if self.dice.chance(50) => self.cancel(place).await,
            _ => self.new_key(place).await,
        }
    }

    /// One to three domains of its own, now and then one that others want too.
    fn wanted(&mut self) -> Routes {
        self.made += 1;
        let zone = format!("c{}-{}.example", self.number, self.made);
        let mut domains: Vec<String> = (0..=self.dice.below(3))
            .map(|n| format!("d{n}.{zone}"))
            .collect();
        if self.dice.chance(8) {
            domains.push(format!("shared{}.example", self.dice.below(SHARED)));
        }
        let edges = 1 + self.dice.below(2);
        let mut routes: Routes = domains
            .into_iter()
            .map(|domain| (domain, format!("sip{}.{zone}", self.dice.below(edges))))
            .collect();
        routes.sort();
        routes
    }

    async fn submit(&mut self) {
        let (id, routes) = (submission_id(), self.wanted());
        let edges = fields(&routes);
        let fields = request(&id, &pairs(&edges));
        let sent = self.ask("POST", "/requests/new", &fields, "").await;
        let reference = self.stored(id.clone(), &sent, &routes);
        if self.dice.chance(15) {
            let again = self.ask("POST", "/requests/new", &fields, "").await;
            assert_eq!(again.reference(), reference, "it is the same submission");
            assert_eq!(again.cookie(), sent.cookie(), "and has the same key");
        }
        let receipt = format!("/requests/{reference}/receipt");
        let receipt = self.ask("GET", &receipt, &[], &sent.cookie()).await;
        let key = receipt.attribute("data-management-key");
        let service = Service {
            first: reference.clone(),
            key: key.expect("the key is on the receipt").to_owned(),
            routes,
            last: reference,
        };
        if self.services.len() < SERVICES {
            self.services.push(service);
        } else {
            let place = self.dice.below(SERVICES);
            self.services[place] = service;
        }
    }

    async fn withdraw(&mut self, place: usize) {
        let service = &self.services[place];
        let (reference, key) = (service.last.clone(), service.key.clone());
        let path = format!("/requests/{reference}/withdraw");
        let answer = self
            .ask("POST", &path, &[("management_key", &key)], "")
            .await;
        match answer.status {
            StatusCode::SEE_OTHER => self.log.write(Told::Withdrawn { reference }),
            // It has ended; perhaps by an attempt of ours that got no answer.
            StatusCode::CONFLICT => {}
            status => panic!("withdraw: {status} {}", answer.body),
        }
    }

    /// Signs in; returns the session's cookie.
    async fn sign_in(&mut self, place: usize) -> String {
        let key = self.services[place].key.clone();
        let fields = [("number", "1234567"), ("management_key", key.as_str())];
        let answer = self.ask("POST", "/service", &fields, "").await;
        assert_eq!(answer.header("location"), "/service", "{}", answer.body);
        answer.cookie()
    }

    async fn edit(&mut self, place: usize) {
        let cookie = self.sign_in(place).await;
        let mut routes = self.wanted();
        let keep = self.dice.below(self.services[place].routes.len() + 1);
        for route in &self.services[place].routes[..keep] {
            if routes.iter().all(|(domain, _)| *domain != route.0) {
                routes.push(route.clone());
            }
        }
        routes.sort();
        let (id, edges) = (submission_id(), fields(&routes));
        let fields = edit(
            &id,
            &pairs(&edges),
            &[("confirm_edge_change", "on"), ("action", "submit")],
        );
        let answer = self.ask("POST", "/service/edit", &fields, &cookie).await;
        match answer.status {
            StatusCode::SEE_OTHER => {
                self.services[place].last = self.stored(id, &answer, &routes);
                self.services[place].routes = routes;
            }
            // Another request is pending.
            StatusCode::CONFLICT => {}
            status => panic!("edit: {status} {}", answer.body),
        }
    }

    /// Notes that these routes were asked for; returns the reference.
    fn stored(&mut self, submission: String, answer: &Answer, routes: &Routes) -> String {
        let reference = answer.reference();
        self.log.write(Told::Stored {
            submission,
            reference: reference.clone(),
            routes: routes.clone(),
        });
        reference
    }

    async fn cancel(&mut self, place: usize) {
        let cookie = self.sign_in(place).await;
        let id = submission_id();
        let confirm = [("confirm", "on"), ("submission_id", id.as_str())];
        let answer = self.ask("POST", "/service/cancel", &confirm, &cookie).await;
        match answer.status {
            StatusCode::SEE_OTHER => {
                self.services[place].last = self.stored(id, &answer, &Routes::new());
            }
            // Another request is pending, or nothing is in force.
            StatusCode::CONFLICT => {}
            status => panic!("cancel: {status} {}", answer.body),
        }
    }

    async fn new_key(&mut self, place: usize) {
        let cookie = self.sign_in(place).await;
        let answer = self.ask("POST", "/service/key", &[], &cookie).await;
        assert_eq!(answer.header("location"), "/service/key", "{}", answer.body);
        let both = format!("{cookie}; {}", answer.cookie());
        let page = self.ask("GET", "/service/key", &[], &both).await;
        let key = page.attribute("data-management-key");
        let key = key.expect("the new key is shown").to_owned();
        self.log.write(Told::Key {
            reference: self.services[place].first.clone(),
            key: key.clone(),
        });
        self.services[place].key = key;
    }
}
