//! The demo's definitions: written into the warehouse, so that every later call finds them by name.

use std::fs;
use std::path::Path;

use tagmill_query::Definitions;

use crate::errors::SurfaceError;
use crate::globals::DEFINITIONS;

/// The rule.
pub(super) const RULE: &str = "rule_sleeping";
/// The audience.
pub(super) const AUDIENCE: &str = "june_cart_audience";

/// Every definition, by its file's name.
const FILES: [(&str, &str); 7] = [
    ("s71_high_value.yaml", include_str!("../../demo/definitions/s71_high_value.yaml")),
    ("s72_sleeping.yaml", include_str!("../../demo/definitions/s72_sleeping.yaml")),
    ("s81_channel_active.yaml", include_str!("../../demo/definitions/s81_channel_active.yaml")),
    ("s85_june_cart_no_pay.yaml", include_str!("../../demo/definitions/s85_june_cart_no_pay.yaml")),
    ("s88_vip_birthday.yaml", include_str!("../../demo/definitions/s88_vip_birthday.yaml")),
    ("rule_sleeping.yaml", include_str!("../../demo/definitions/rule_sleeping.yaml")),
    ("june_cart_audience.yaml", include_str!("../../demo/definitions/june_cart_audience.yaml")),
];

/// Writes the definitions into a warehouse's folder. What is there already stays: somebody may have tried something.
///
/// # Errors
/// `SurfaceError::Write` for the file that could not be written.
pub(super) fn write_out(warehouse: &Path) -> Result<Definitions, SurfaceError> {
    let folder = warehouse.join(DEFINITIONS);
    let failed = |path: &Path| {
        let target = format!("`{}`", path.display());
        move |source| SurfaceError::Write { target, source }
    };
    fs::create_dir_all(&folder).map_err(failed(&folder))?;
    for (name, text) in FILES {
        let path = folder.join(name);
        if !path.exists() {
            fs::write(&path, text).map_err(failed(&path))?;
        }
    }
    Ok(Definitions::new(Some(folder)))
}

#[cfg(test)]
mod tests {
    use tagmill_activate::load_rule;
    use tagmill_query::export::LoadedAudience;

    use super::*;

    #[test]
    fn every_definition_is_valid_and_found_by_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let definitions = write_out(folder.path()).expect("definitions");
        for name in definitions.names().expect("names").iter().filter(|name| name.starts_with('s')) {
            definitions.load(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        load_rule(&definitions, RULE).expect("a rule");
        let audience = LoadedAudience::load(&definitions, AUDIENCE).expect("an audience");
        assert_eq!(audience.segment.key, "s85_june_cart_no_pay");
    }

    #[test]
    fn what_somebody_changed_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        write_out(folder.path()).expect("definitions");
        let changed = folder.path().join(DEFINITIONS).join("s71_high_value.yaml");
        fs::write(&changed, "# mine\n").expect("a file");
        write_out(folder.path()).expect("definitions");
        assert_eq!(fs::read_to_string(&changed).expect("a file"), "# mine\n");
    }
}
