//! What the feed and the calendar of a service tell: its events, what is wrong with it now, the ends of
//! its certificates, and that a year has passed.

use chrono::{DateTime, Datelike as _, Months, TimeDelta, Utc};

use super::super::store::{Service, watch::Watched};
use crate::{
    names::{EdgeRoutes, Fqdn},
    readiness::edge::validity,
    request::{
        EventCode, Standing,
        live::{
            address,
            feed::{self, Feed},
            ical::{self, When},
            stable_id,
        },
        wording,
    },
    web::{parts::count, site::Site},
};

/// How many days before the end of a certificate it is told of.
const DAYS: [i64; 3] = [30, 14, 7];
/// For a certificate that is valid for a short time: in the last third of it alone, since before that
/// nothing is late.
const LAST_PART: i32 = 3;

/// What is told once a year.
const LOOK: &str = "Look at your federation once a year";
const LOOK_AT: &str = "Are all SIP domains and Access Edges still right, and is the management key where your team finds it? The service’s own page shows what is in force";

/// A certificate that ends, and the days at which it is told of.
struct Ending<'a> {
    edge: &'a Fqdn,
    until: DateTime<Utc>,
    /// How many days are left, and when that is.
    told: Vec<(i64, DateTime<Utc>)>,
}

impl Ending<'_> {
    /// Names it, so many days before its end, in ids.
    fn name(&self, days: i64) -> String {
        format!("certificate {} {days}", self.edge)
    }

    fn title(&self, days: i64) -> String {
        format!("Certificate of {} expires in {days} days", self.edge)
    }

    fn text(&self) -> String {
        format!(
            "It is valid until {}. Renew it in time, and have the Access Edge use the new one: an expired certificate is refused by every partner",
            self.until.format("%-d %B %Y at %H:%M UTC")
        )
    }
}

/// What is to be told of a service.
pub(super) struct News {
    service: Service,
    watched: Watched,
    standing: Option<(Standing, &'static str)>,
    /// The page where one sees what to do.
    page: String,
    /// The address of the service's own page.
    hub: String,
}

impl News {
    pub(super) fn of(site: &Site, service: Service, watched: Watched) -> Self {
        let hub = format!("{}/service", site.public_url.as_str());
        let last = service.provisioned();
        let standing = last.map(|last| {
            let standing = Standing::of(&last.facts, &site.clocks, service.now);
            (standing, wording::tag(standing, last.facts.kind).0)
        });
        let page = last.map_or_else(|| hub.clone(), |last| address(site, last.reference));
        Self {
            service,
            watched,
            standing,
            page,
            hub,
        }
    }

    /// The database's time when it was read.
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.service.now
    }

    /// Names the service by what it has in force.
    fn title(&self) -> String {
        let mut domains = self.service.routes.iter().flat_map(|of| &of.domains);
        let more = EdgeRoutes::domain_count(&self.service.routes).saturating_sub(1);
        match (domains.next(), more) {
            (None, _) => "Federation: nothing in force".into(),
            (Some(one), 0) => format!("Federation of {one}"),
            (Some(one), more) => format!(
                "Federation of {one} and {}",
                count(more, "other SIP domain", "other SIP domains")
            ),
        }
    }

    fn endings(&self) -> impl Iterator<Item = Ending<'_>> {
        self.watched.certificates.iter().filter_map(|finding| {
            let (from, until) = validity(finding)?;
            // Certificates for 90 days are some seconds short of that.
            let longest = (until - from) / LAST_PART + TimeDelta::hours(1);
            let told = DAYS.iter().map(|&days| (days, TimeDelta::days(days)));
            let told = told.filter(|&(_, before)| before <= longest);
            Some(Ending {
                edge: &finding.subject,
                until,
                told: told.map(|(days, before)| (days, until - before)).collect(),
            })
        })
    }

    /// The day on which the service is so many years old.
    fn anniversary(&self, years: u32) -> Option<DateTime<Utc>> {
        let created = self.watched.created_at;
        created.checked_add_months(Months::new(12 * years))
    }

    pub(super) fn feed(&self, site: &Site, own: String) -> Feed {
        let now = self.now();
        let token = &self.watched.token;
        let events = self.watched.events.iter();
        // That a later request replaced it leads to another feed, and this one goes on.
        let events = events.filter(|(.., it)| it.code != EventCode::Superseded);
        let events = events.map(|(of, kind, it)| feed::Entry::of(it, (*of, *kind), site, now));
        let endings = self.endings().flat_map(|ending| {
            let entry = |(days, at): (i64, DateTime<Utc>)| feed::Entry {
                // Another certificate ends at another time.
                id: stable_id(token, &format!("{} {}", ending.name(days), ending.until)),
                title: ending.title(days),
                text: format!("{}.", ending.text()),
                page: self.page.clone(),
                published: at,
                updated: at,
            };
            let told = ending.told.clone().into_iter().filter(|(_, at)| *at <= now);
            told.map(entry).collect::<Vec<_>>()
        });
        let years = (1..).map_while(|years| Some((years, self.anniversary(years)?)));
        let years = years.take_while(|(_, at)| *at <= now).last();
        let years = years.filter(|_| !self.service.routes.is_empty());
        let year = years.map(|(years, at)| feed::Entry {
            id: stable_id(token, &format!("year {years}")),
            title: LOOK.into(),
            text: format!("{LOOK_AT}."),
            page: self.hub.clone(),
            published: at,
            updated: at,
        });
        let mut entries: Vec<_> = events.chain(endings).chain(year).collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.updated));
        Feed {
            id: stable_id(token, "0"),
            title: self.title(),
            earlier: String::new(),
            own,
            page: self.hub.clone(),
            updated: entries.first().map_or(now, |newest| newest.updated),
            entries,
        }
    }

    pub(super) fn calendar(&self) -> String {
        let mut entries: Vec<_> = self.trouble().into_iter().collect();
        entries.extend(self.endings().flat_map(|ending| {
            let entry = |&(days, at): &(i64, DateTime<Utc>)| {
                let day = at.date_naive();
                let summary = ending.title(days);
                self.entry(
                    &ending.name(days),
                    When::Days(day, day),
                    summary,
                    &ending.text(),
                )
            };
            ending.told.iter().map(entry).collect::<Vec<_>>()
        }));
        let year = self
            .anniversary(1)
            .filter(|_| !self.service.routes.is_empty());
        entries.extend(year.map(|first| ical::Entry {
            page: self.hub.clone(),
            ..self.entry(
                "year",
                When::EachYear(first.date_naive()),
                LOOK.into(),
                LOOK_AT,
            )
        }));
        if entries.is_empty() {
            entries.push(self.nothing());
        }
        ical::calendar(&self.title(), &entries)
    }

    /// That nothing is in force: a calendar without an entry is none (RFC 5545, 3.6).
    fn nothing(&self) -> ical::Entry {
        let last = self.watched.events.first();
        let day = last.map_or(self.watched.created_at, |(.., event)| event.latest());
        let days = When::Days(day.date_naive(), day.date_naive());
        let text = "There is nothing to watch. The service’s own page shows its requests";
        ical::Entry {
            reminds: false,
            page: self.hub.clone(),
            ..self.entry("nothing", days, self.title(), text)
        }
    }

    /// What is wrong with the service now, from the day on which it began until today.
    fn trouble(&self) -> Option<ical::Entry> {
        let (standing, tag) = self.standing?;
        let code = match standing {
            Standing::InForce { at_risk: true } => EventCode::AtRisk,
            Standing::MovedAway { .. } => EventCode::DomainLost,
            Standing::InForce { at_risk: false }
            | Standing::Checking { .. }
            | Standing::NeedsAction
            | Standing::Superseded
            | Standing::Cancelled
            | Standing::Rejected(_)
            | Standing::Withdrawn => return None,
        };
        let mut events = self.watched.events.iter();
        // Without an event it has been so from the beginning.
        let event = events.find(|(.., event)| event.code == code);
        let since = event.map_or(self.now(), |(.., event)| event.latest());
        let days = When::Days(since.date_naive(), self.now().date_naive());
        let text = "Something has to be done. The page says what";
        let summary = format!("{tag}: {}", self.title());
        Some(self.entry(tag, days, summary, text))
    }

    fn entry(&self, name: &str, when: When, summary: String, text: &str) -> ical::Entry {
        let first = match when {
            When::At(at) | When::Limit(at) => at.date_naive(),
            When::Days(first, _) | When::EachYear(first) => first,
        };
        let last = self.watched.events.first();
        ical::Entry {
            id: stable_id(&self.watched.token, &format!("calendar {name}")),
            modified: last.map_or(self.watched.created_at, |(.., event)| event.latest()),
            // A renewed certificate ends later.
            sequence: first.num_days_from_ce().unsigned_abs(),
            when,
            summary,
            text: text.into(),
            page: self.page.clone(),
            reminds: true,
        }
    }
}
