//! Checks that the units for systemd fit the program.

use pic_portal::server::Limits;

const UNIT: &str = include_str!("../../../deploy/pic-portal.service");
const PRIVATE: &str = include_str!("../../../deploy/pic-portal-private.conf");

/// The value of a setting in a section.
fn value<'a>(unit: &'a str, section: &str, name: &str) -> &'a str {
    let (_, rest) = unit.split_once(&format!("[{section}]")).unwrap();
    let lines = rest.split("\n[").next().unwrap().lines();
    let mut values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let value = values.next().unwrap_or_else(|| panic!("{name} is missing"));
    assert_eq!(values.next(), None, "{name} stands there once");
    value
}

#[test]
fn a_service_is_started_again_unless_a_setting_is_wrong_and_stops_by_itself() {
    assert_eq!(value(UNIT, "Unit", "StartLimitIntervalSec"), "0");
    assert_eq!(value(UNIT, "Service", "Type"), "notify");
    assert_eq!(value(UNIT, "Service", "KillMode"), "mixed");
    // `process::a_wrong_setting_is_named_with_an_example_and_without_its_value` has the 78; 2 is clap's.
    assert_eq!(value(UNIT, "Service", "RestartPreventExitStatus"), "2 78");
    for unit in [UNIT, PRIVATE] {
        let patience: u64 = value(unit, "Service", "TimeoutStopSec").parse().unwrap();
        assert!(
            patience > Limits::default().stop.as_secs() + 30,
            "{patience}"
        );
    }
    assert_eq!(value(PRIVATE, "Service", "DynamicUser"), "no");
    let user = value(PRIVATE, "Service", "User");
    assert_eq!(value(PRIVATE, "Service", "StateDirectory"), user);
    assert_eq!(
        value(PRIVATE, "Service", "Environment"),
        format!("PIC_DATA_DIR=/var/lib/{user}")
    );
}
