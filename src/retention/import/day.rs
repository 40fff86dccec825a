//! Reads when a request was submitted: days and times that can be read one way alone.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};

use super::row::Fault;

/// Days, as programs and people write them that can be read one way alone. `%B` is a month's short name too.
const DAYS: [&str; 6] = [
    "%Y-%m-%d",
    "%Y%m%d",
    "%d-%B-%Y",
    "%d %B %Y",
    "%B %d %Y",
    "%A %B %d %Y",
];
/// What may stand behind a day.
const TIMES: [&str; 6] = [
    " %H:%M:%S%.f",
    "T%H:%M:%S%.f",
    " %H:%M",
    "T%H:%M",
    " %I:%M:%S %p",
    " %I:%M %p",
];
/// Behind a time.
const OFFSETS: [&str; 2] = ["%#z", " %#z"];

/// A day or a moment, in UTC unless it says otherwise; `None` for a dash, which stands for no day.
pub(super) fn date(text: &str, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Fault> {
    if matches!(text, "-" | "\u{2013}" | "\u{2014}") {
        return Ok(None);
    }
    match moment(text)? {
        at if at > now => Err("lies in the future".into()),
        at if at.timestamp() < 0 => Err("lies before 1970".into()),
        at => Ok(Some(at)),
    }
}

fn moment(text: &str) -> Result<DateTime<Utc>, Fault> {
    // Windows PowerShell's JSON: milliseconds since 1970.
    let since = text
        .strip_prefix("/Date(")
        .and_then(|it| it.strip_suffix(")/"));
    let since = since.and_then(|since| DateTime::from_timestamp_millis(since.parse().ok()?));
    let text = year_first(text)?.replace(", ", " ");
    let text = text.strip_suffix(" UTC").unwrap_or(&text);
    let with_times = || {
        DAYS.iter()
            .flat_map(|day| TIMES.map(|time| format!("{day}{time}")))
    };
    let with_offset = || {
        let mut all = with_times().flat_map(|it| OFFSETS.map(|offset| format!("{it}{offset}")));
        all.find_map(|form| DateTime::parse_from_str(text, &form).ok())
    };
    let plain = || {
        let mut days = DAYS.iter();
        let day = days.find_map(|form| NaiveDate::parse_from_str(text, form).ok());
        let day = day.map(|day| day.and_time(NaiveTime::MIN));
        let mut times = with_times();
        day.or_else(|| times.find_map(|form| NaiveDateTime::parse_from_str(text, &form).ok()))
    };
    since
        .or_else(|| plain().map(|at| at.and_utc()))
        .or_else(|| {
            DateTime::parse_from_rfc3339(text)
                .ok()
                .map(|at| at.to_utc())
        })
        .or_else(|| with_offset().map(|at| at.to_utc()))
        .ok_or_else(|| {
            "is not a day that can be read: write it as 2014-03-31, or as 2014-03-31 14:05".into()
        })
}

/// The text with the year in front, where it begins with a day in numbers: `31.03.2014`, `3/31/2014`. Of
/// two numbers that may both be a month nobody knows which is.
fn year_first(text: &str) -> Result<Cow<'_, str>, Fault> {
    let end = text.find([' ', 'T']).unwrap_or(text.len());
    let (numbers, time) = text.split_at(end);
    let parts: Vec<_> = numbers.split(['.', '/', '-']).collect();
    let value = |text: &str| text.parse::<u32>().ok();
    let [Some(first), Some(second), Some(third)] = [0, 1, 2].map(|at| value(parts.get(at)?)) else {
        return Ok(text.into());
    };
    let (year, month, day) = match (parts[0].len(), parts[2].len()) {
        _ if parts.len() > 3 => return Ok(text.into()),
        (4, _) => (first, second, third),
        (_, 4) if first > 12 || first == second => (third, second, first),
        (_, 4) if second > 12 => (third, first, second),
        (_, 4) => {
            return Err(
                "can be read as two days: write it as 2014-03-31, or as 2014-03-31 14:05".into(),
            );
        }
        _ => return Ok(text.into()),
    };
    Ok(format!("{year}-{month:02}-{day:02}{time}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_that_can_be_read_one_way_alone_are_read() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let at = |text| date(text, now).map(|at| at.unwrap().to_rfc3339());
        for (text, read) in [
            ("2014-03-31", "2014-03-31T00:00:00+00:00"),
            ("2014/03/31", "2014-03-31T00:00:00+00:00"),
            ("2014/03/31 14:05", "2014-03-31T14:05:00+00:00"),
            ("2014-03-31T14:05", "2014-03-31T14:05:00+00:00"),
            ("2014-03-31T14:05:06+0100", "2014-03-31T13:05:06+00:00"),
            ("2014-03-31 14:05:06.7+02", "2014-03-31T12:05:06.700+00:00"),
            ("2014-03-31 14:05:06 +0200", "2014-03-31T12:05:06+00:00"),
            ("2014-03-31 14:05:06 +0000 UTC", "2014-03-31T14:05:06+00:00"),
            ("2014-03-31 12:05 AM", "2014-03-31T00:05:00+00:00"),
            ("2014-3-1", "2014-03-01T00:00:00+00:00"),
            ("20140331", "2014-03-31T00:00:00+00:00"),
            ("31.03.2014", "2014-03-31T00:00:00+00:00"),
            ("31.3.2014 14:05", "2014-03-31T14:05:00+00:00"),
            ("3/31/2014 2:05:06 PM", "2014-03-31T14:05:06+00:00"),
            ("31/03/2014", "2014-03-31T00:00:00+00:00"),
            ("4/4/2014", "2014-04-04T00:00:00+00:00"),
            ("31-Mar-2014", "2014-03-31T00:00:00+00:00"),
            ("31 March 2014", "2014-03-31T00:00:00+00:00"),
            ("Mar 31, 2014", "2014-03-31T00:00:00+00:00"),
            ("Monday, March 31, 2014", "2014-03-31T00:00:00+00:00"),
            ("/Date(1396224000000)/", "2014-03-31T00:00:00+00:00"),
        ] {
            assert_eq!(at(text).as_deref(), Ok(read), "{text}");
        }
        for text in ["03/04/2014", "3.4.2014 10:00", "10-11-2014"] {
            let fault = at(text).unwrap_err();
            assert!(fault.starts_with("can be read as two days"), "{text}");
        }
        let none = [
            "2014",
            "41729",
            "31.03.14",
            "31.02.2014",
            "13/13/2014",
            "1.2.3.2014",
            "31 Mars 2014",
            "Tuesday, March 31, 2014",
            "/Date(x)/",
        ];
        for text in none {
            let fault = at(text).unwrap_err();
            assert!(fault.starts_with("is not a day"), "{text}");
        }
        assert_eq!(date("-", now), Ok(None));
    }
}
