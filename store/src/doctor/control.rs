//! The control state beside the ledger: plans whose snapshot is gone, and plans whose steps are not what was agreed to.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;

use tagmill_schemas::documents::plan::{PlanState, content_hash};
use tagmill_schemas::error::Diagnose;

use super::findings::{Finding, Findings, Severity};
use super::{counted, in_words};
use crate::control::{ControlStore, StoredPlan};
use crate::durable::file_error;
use crate::error::StoreError;
use crate::ledger::LedgerRow;
use crate::warehouse::Warehouse;

/// Looks at the control state, where there is one. `kept` is the ledger, `None` where it cannot be read.
pub(super) fn check(warehouse: &Warehouse, kept: Option<&[LedgerRow]>, findings: &mut Findings) {
    match warehouse.state_path() {
        Ok(path) if path.is_file() => {}
        Ok(_) => return,
        Err(cause) => {
            let what = format!("the control state was not looked at: {}", in_words(&cause));
            findings.add(Finding { hint: cause.hint(), ..Finding::new(Severity::Note, what) });
            return;
        }
    }
    let checked = warehouse.control().and_then(|control| {
        for fault in control.faults()? {
            findings.add(
                Finding::new(Severity::Error, format!("the control state is damaged: {fault}"))
                    .with_hint("put it back from a backup; plans that were made since are lost"),
            );
        }
        let plans = control.plans()?;
        for plan in &plans {
            check_plan(&control, plan, kept, findings);
        }
        check_steps_without_plan(&warehouse.plans_folder()?, &plans, findings)
    });
    if let Err(cause) = checked {
        let what = format!("the control state cannot be read: {}", in_words(&cause));
        findings.add(Finding::new(Severity::Error, what).with_hint("put it back from a backup"));
    }
}

fn check_plan(control: &ControlStore, plan: &StoredPlan, kept: Option<&[LedgerRow]>, findings: &mut Findings) {
    let (id, state, snapshot) = (&plan.header.plan_id, plan.state, plan.header.snapshot_id);
    if kept.is_some_and(|rows| !rows.iter().any(|row| row.snapshot_id == snapshot)) {
        let is_open = matches!(state, PlanState::Pending | PlanState::Approved | PlanState::Executing);
        let severity = if is_open { Severity::Warning } else { Severity::Note };
        let what = format!("plan `{id}` ({state}) was made on snapshot {snapshot}, which is no longer kept");
        let finding = Finding::new(severity, what);
        findings.add(if is_open {
            finding.with_hint("reject it, and make it anew on the newest snapshot")
        } else {
            finding
        });
    }
    if let Some(fault) = steps_fault(control, plan) {
        let what = format!("plan `{id}` ({state}): {fault}");
        let hint =
            format!("put `plans/{id}.parquet` back from a backup; a plan without its own steps is never executed");
        findings.add(Finding::new(Severity::Error, what).with_hint(hint));
    }
}

/// What is wrong with the steps of a plan, in words.
fn steps_fault(control: &ControlStore, plan: &StoredPlan) -> Option<String> {
    let header = &plan.header;
    match control.steps(&header.plan_id) {
        Err(StoreError::File { source, .. }) if source.kind() == ErrorKind::NotFound => {
            Some("the file of its steps is gone".to_owned())
        }
        Err(cause) => Some(format!("its steps cannot be read: {}", in_words(&cause))),
        Ok(steps) => match control.expected_hash(header) {
            Ok(expected) if content_hash(&header.identity(), steps.iter()) == expected => None,
            Ok(_) => Some("its steps are not those that it was made with".to_owned()),
            Err(cause) => Some(format!("its steps cannot be judged: {}", in_words(&cause))),
        },
    }
}

/// Says which files of steps belong to no plan: whoever made one was killed before it was written down.
fn check_steps_without_plan(folder: &Path, plans: &[StoredPlan], findings: &mut Findings) -> Result<(), StoreError> {
    let known: BTreeSet<String> = plans.iter().map(|plan| format!("{}.parquet", plan.header.plan_id)).collect();
    let failed = |source: std::io::Error| file_error("list", folder, source);
    let mut unknown = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        if !known.contains(&name) {
            unknown.push(name);
        }
    }
    unknown.sort();
    if let Some(first) = unknown.first() {
        let what = format!("{} under `plans` that no plan has, such as `{first}`", counted(unknown.len(), "file"));
        findings.add(Finding::new(Severity::Note, what).with_hint(
            "of a plan that is being made now, or whose making was broken off; the control state may also lie \
             elsewhere: `--state` says where",
        ));
    }
    Ok(())
}
