//! `tagmill backup` and `tagmill restore`: what comes back answers as what was backed up, whoever was at work meanwhile,
//! and what is no whole backup is refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::corp::{corp, small_corp, write_pull};
use crate::harness::outside::{check_counts, seen_from_outside};
use crate::harness::shop::{SOURCE, ingested_shop, shop};
use crate::harness::{Answer, Sandbox, files_below};

/// Where backups go, and where they are restored to: places as a user would write them.
const BACKUP: &str = "backup";
const RESTORED: &str = "restored";
const DOCTOR: [&str; 3] = ["doctor", "--format", "json"];
const LIST: [&str; 4] = ["snapshot", "list", "--format", "json"];
/// No run and no backup of the small corp takes longer, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a process is looked at.
const GLANCE: Duration = Duration::from_millis(1);

/// A rule that tags who has not logged in for three months.
const SLEEPING: &str = "\
tag: 活跃度/沉睡用户
on: all_active
when: {universe: followed, where: {segment: sleeping_customers}}
on_exit: retract
";
const SLEEPING_CUSTOMERS: &str = "\
universe: followed
as_of: latest
where: {event: login, window: lifetime, measure: last, op: \"<\", value: as_of - 3 months, never: since_created}
";

/// A call on the warehouse that was restored.
fn there<'w>(words: &[&'w str]) -> Vec<&'w str> {
    [&["--warehouse", RESTORED][..], words].concat()
}

fn back_up(sandbox: &Sandbox) -> Answer {
    sandbox.ok(&["backup", BACKUP])
}

fn restore(sandbox: &Sandbox) -> Answer {
    sandbox.ok(&there(&["restore", BACKUP]))
}

/// Checks that a question to the program is answered alike by the warehouse and by what was restored.
fn check_alike(sandbox: &Sandbox, words: &[&str]) {
    assert_eq!(sandbox.json(words), sandbox.json(&there(words)), "{words:?}");
}

/// Checks that the restored warehouse is sound, with these snapshots, and that each answers as it did.
fn check_restored(sandbox: &Sandbox, ids: &[i64]) {
    assert_eq!(sandbox.json(&there(&DOCTOR)), json!([]));
    let listed = sandbox.json(&there(&LIST));
    let found: Vec<i64> = listed.as_array().unwrap().iter().map(|row| row["snapshot_id"].as_i64().unwrap()).collect();
    assert_eq!(found, ids);
    let sql = "SELECT (SELECT count(DISTINCT customer_id) FROM customer) AS customers, \
               (SELECT count(DISTINCT event_id) FROM event) AS events, \
               (SELECT count(staff_id) FROM follow) AS follows, \
               (SELECT count(op) FROM assignment_log) AS steps";
    for id in ids {
        let id = id.to_string();
        check_alike(sandbox, &["--as-of", &id, "sql", sql, "--format", "json"]);
        check_alike(sandbox, &["snapshot", "show", &id, "--format", "json"]);
    }
}

/// How many objects a backup said that it had copied.
fn copied(answer: &Answer) -> u64 {
    let (_, said) = answer.stderr.split_once("copied ").unwrap_or_else(|| panic!("nothing was copied: {answer:?}"));
    said.split(' ').next().unwrap().replace(',', "").parse().unwrap()
}

/// The objects that a backup lists: where each comes from, and where it lies in the backup.
fn listed(sandbox: &Sandbox) -> BTreeMap<String, PathBuf> {
    let manifest: Value = serde_json::from_str(&sandbox.read("backup/backup.json")).unwrap();
    let text = |object: &Value, key: &str| object[key].as_str().unwrap().to_owned();
    let objects = manifest["objects"].as_array().unwrap().iter();
    objects.map(|object| (text(object, "path"), sandbox.path(BACKUP).join(text(object, "stored")))).collect()
}

/// The shop's next reading, with a customer more.
fn read_on(sandbox: &Sandbox) {
    sandbox.write("shop.yaml", SOURCE.replace("2026-06-15", "2026-06-20"));
    sandbox.write("customers.csv", format!("{}c6,Zhou,北京,6\n", sandbox.read("customers.csv")));
    sandbox.ok(&["ingest", "shop.yaml"]).says("published snapshot 2");
}

/// Nothing that passes for a warehouse is where one was to be restored.
fn check_nothing_restored(sandbox: &Sandbox) {
    sandbox.fails(1, &there(&LIST)).says("there is no warehouse at");
}

#[test]
fn what_was_restored_answers_as_before_and_its_plans_go_on() {
    let sandbox = Sandbox::copy_of(corp());
    sandbox.write("warehouse/definitions/sleeping.yaml", SLEEPING);
    sandbox.write("warehouse/definitions/sleeping_customers.yaml", SLEEPING_CUSTOMERS);
    let plan = sandbox.json(&["--as", "li", "rule", "run", "sleeping", "--format", "json"]);
    let plan = plan["plan"]["plan_id"].as_str().unwrap();
    sandbox.ok(&["--as", "wang", "plan", "approve", plan]);

    let backup = back_up(&sandbox);
    backup.says("backed up snapshot 3 to `").says(" bytes");
    restore(&sandbox).says("restored snapshot 3 from `").says("each as it was backed up");
    check_restored(&sandbox, &[1, 2, 3]);
    check_alike(&sandbox, &LIST);
    check_alike(&sandbox, &["plan", "list", "--format", "json"]);
    check_alike(&sandbox, &["plan", "show", plan, "--format", "json"]);
    check_alike(&sandbox, &["segment", "count", "sleeping_customers", "--format", "json"]);

    let executed = sandbox.json(&there(&["--as", "wang", "plan", "execute", plan, "--format", "json"]));
    assert_eq!(executed["state"], "executed", "{executed}");
    assert_eq!(executed["snapshot_id"], 4, "{executed}");
    sandbox.ok(&["--as", "wang", "plan", "execute", plan]).says("published snapshot 4");
}

#[test]
fn readers_that_are_not_ours_read_what_was_restored() {
    let sandbox = Sandbox::copy_of(corp());
    back_up(&sandbox);
    fs::rename(sandbox.warehouse(), sandbox.path("lost")).unwrap();
    sandbox.ok(&["restore", BACKUP]);
    check_counts(&sandbox, 1, &seen_from_outside(&sandbox, Some(1)));
    check_counts(&sandbox, 3, &seen_from_outside(&sandbox, None));
}

/// Starts a run of the small corp whose words nobody reads, and waits until it is committing or has ended.
fn start_committing(sandbox: &Sandbox) -> Child {
    let ingest = ["ingest", "corp.yaml"];
    let mut run = sandbox.command(&ingest).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    while !sandbox.path("warehouse/staged/pending.json").exists() && run.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < PATIENCE, "the run neither commits nor ends");
        sleep(GLANCE);
    }
    run
}

#[test]
fn a_backup_beside_a_writer_holds_a_whole_snapshot_and_a_killed_writer_leaves_nothing_in_it() {
    for is_killed in [false, true] {
        let sandbox = Sandbox::new();
        let corp = small_corp();
        write_pull(&sandbox, &corp, 0);
        sandbox.ok(&["ingest", "corp.yaml"]);
        write_pull(&sandbox, &corp, 1);
        let mut run = start_committing(&sandbox);
        if is_killed {
            run.kill().unwrap();
            run.wait().unwrap();
        }
        back_up(&sandbox);
        run.wait().unwrap();
        restore(&sandbox);
        let newest = sandbox.json(&there(&LIST)).as_array().unwrap().len();
        assert!(newest == 1 || newest == 2, "{newest}");
        // What the run has published since is mended or complete; what was backed up is there in both.
        sandbox.ok(&["ingest", "corp.yaml"]);
        let ids: Vec<i64> = (1..=i64::try_from(newest).unwrap()).collect();
        check_restored(&sandbox, &ids);
        assert!(!sandbox.path("restored/staged").exists());
        sandbox.ok(&there(&["ingest", "corp.yaml"]));
    }
}

#[test]
fn the_next_backup_copies_only_what_is_new_and_a_pruned_snapshot_goes_from_it() {
    let sandbox = ingested_shop();
    let first = back_up(&sandbox);
    assert!(!first.stderr.contains("copied"), "all of it is new: {first:?}");
    back_up(&sandbox).says("nothing had to be copied");
    read_on(&sandbox);
    let second = back_up(&sandbox);
    second.says("backed up snapshot 2").says("an earlier backup had left the others there");
    let all = listed(&sandbox).len() as u64;
    assert!((1..all).contains(&copied(&second)), "{second:?}");

    sandbox.ok(&["snapshot", "prune", "--keep-all", "0", "--keep-daily", "0"]).says("pruned 1 of 2 snapshots");
    back_up(&sandbox).says("removed what only an earlier backup needed");
    let (kept, found) = (listed(&sandbox), files_below(&sandbox.path(BACKUP)));
    let of_tables: Vec<&PathBuf> =
        found.keys().filter(|path| path.starts_with(sandbox.path("backup/tables"))).collect();
    assert!(of_tables.iter().all(|path| kept.values().any(|kept| kept == *path)), "{of_tables:?}");
    restore(&sandbox);
    check_restored(&sandbox, &[2]);
    sandbox.fails(1, &there(&["--as-of", "1", "sql", "SELECT 1"])).says("snapshot 1 (taken").says("was pruned");
}

#[test]
fn a_restore_takes_the_place_of_nothing() {
    let sandbox = ingested_shop();
    back_up(&sandbox);
    let before = files_below(sandbox.root());
    let refused = sandbox.fails(2, &["restore", BACKUP]);
    refused.says("is no place to restore to: there is a warehouse already").says("hint: `--warehouse` names an empty");
    sandbox.fails(2, &["--warehouse", BACKUP, "restore", BACKUP]).says("the backup is there");
    sandbox.write("mine.sqlite", "of another warehouse");
    let refused = sandbox.fails(2, &there(&["--state", "mine.sqlite", "restore", BACKUP]));
    refused.says("mine.sqlite` is no place to restore to: there is a control state already");
    fs::remove_file(sandbox.path("mine.sqlite")).unwrap();
    assert_eq!(files_below(sandbox.root()), before);
}

#[test]
fn plans_are_restored_to_where_the_state_is_said_to_be() {
    let sandbox = Sandbox::copy_of(corp());
    sandbox.write("warehouse/definitions/sleeping.yaml", SLEEPING);
    sandbox.write("warehouse/definitions/sleeping_customers.yaml", SLEEPING_CUSTOMERS);
    let plan = sandbox.json(&["--as", "li", "rule", "run", "sleeping", "--format", "json"]);
    let plan = plan["plan"]["plan_id"].as_str().unwrap();
    back_up(&sandbox);
    let state = ["--state", "state/corp.sqlite"];
    sandbox.ok(&there(&[&state[..], &["restore", BACKUP][..]].concat()));
    assert!(sandbox.path(&format!("state/plans/{plan}.parquet")).is_file());
    assert!(!sandbox.path("restored/control.sqlite").exists());
    let show = ["plan", "show", plan, "--format", "json"];
    assert_eq!(sandbox.json(&show), sandbox.json(&there(&[&state[..], &show[..]].concat())));
}

/// Does something to one object of a backup, and checks that it is named and that nothing is restored; then mends it.
fn check_damage(sandbox: &Sandbox, file: &Path, damage: impl FnOnce(&Path), words: &str) {
    let whole = fs::read(file).unwrap();
    damage(file);
    let refused = sandbox.fails(1, &there(&["restore", BACKUP]));
    refused.says(&file.display().to_string()).says("of the backup is damaged: ").says(words);
    check_nothing_restored(sandbox);
    fs::write(file, whole).unwrap();
    // What was sound would be taken up, and not looked at again.
    let _ = fs::remove_dir_all(sandbox.path(RESTORED));
}

#[test]
fn a_damaged_backup_is_told_object_by_object_and_one_that_was_mended_is_restored() {
    let sandbox = ingested_shop();
    back_up(&sandbox);
    let objects = listed(&sandbox);
    let object = |start: &str| objects.iter().find(|(path, _)| path.starts_with(start)).unwrap().1.clone();
    let flip = |file: &Path| {
        let mut bytes = fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(file, bytes).unwrap();
    };
    let cut = |file: &Path| {
        let bytes = fs::read(file).unwrap();
        fs::write(file, &bytes[1..]).unwrap();
    };
    check_damage(&sandbox, &object("tables/customer/b0000/"), flip, "its SHA-256 is not that of");
    check_damage(&sandbox, &object("warehouse.json"), flip, "its SHA-256 is not that of");
    check_damage(&sandbox, &object("tables/event/_delta_log/"), cut, "bytes and should have");
    check_damage(&sandbox, &object("tables/event/b0000/"), |file| fs::remove_file(file).unwrap(), "it is gone");
    check_damage(&sandbox, &sandbox.path("backup/backup.json"), cut, "backup.json");
    restore(&sandbox);
    check_restored(&sandbox, &[1]);
}

#[test]
fn a_backup_that_was_cut_short_is_none_until_it_is_made_again() {
    let sandbox = ingested_shop();
    back_up(&sandbox);
    // What a first backup leaves that is killed before its last step.
    fs::remove_file(sandbox.path("backup/backup.json")).unwrap();
    sandbox.write("backup/unfinished.json", "{}");
    let refused = sandbox.fails(1, &there(&["restore", BACKUP]));
    refused.says("there is no backup at `").says("hint: `backup.json` makes it one");
    check_nothing_restored(&sandbox);
    back_up(&sandbox);
    assert!(!sandbox.path("backup/unfinished.json").exists());
    restore(&sandbox);
    check_restored(&sandbox, &[1]);
}

#[test]
fn a_killed_backup_leaves_the_one_before_or_is_complete() {
    let sandbox = ingested_shop();
    back_up(&sandbox);
    read_on(&sandbox);
    let whole = Instant::now();
    sandbox.ok(&["backup", "another"]);
    let whole = whole.elapsed();
    for share in [0.5, 0.8, 0.95] {
        let mut backup = sandbox.command(&["backup", BACKUP]);
        let mut killed = backup.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep(whole.mul_f64(share));
        killed.kill().unwrap();
        killed.wait().unwrap();
        restore(&sandbox);
        let newest = sandbox.json(&there(&LIST)).as_array().unwrap().len();
        check_restored(&sandbox, &[1, 2][..newest]);
        fs::remove_dir_all(sandbox.path(RESTORED)).unwrap();
    }
    back_up(&sandbox).says("backed up snapshot 2");
}

#[test]
fn a_place_that_holds_anything_else_is_refused_and_stays_as_it_is() {
    let sandbox = ingested_shop();
    sandbox.write("mine/thesis.txt", "x");
    sandbox.ok(&["--warehouse", "other", "ingest", "shop.yaml"]);
    sandbox.ok(&["--warehouse", "other", "backup", "of-other"]);
    let before = files_below(sandbox.root());
    let check = |destination: &str, words: &str| {
        let refused = sandbox.fails(2, &["backup", destination]);
        refused.says("is no place for this backup: ").says(words).says("hint: name a folder or a part of a bucket");
    };
    check("warehouse", "it is the warehouse itself, or one lies in the other");
    check("warehouse/backup", "one lies in the other");
    check(".", "one lies in the other");
    check("other", "it is a warehouse");
    check("mine", "it holds something else, such as `thesis.txt`");
    check("of-other", "it holds the backup of another warehouse");
    assert_eq!(files_below(sandbox.root()), before);
}

#[test]
fn there_is_nothing_to_back_up_where_there_is_no_warehouse() {
    let sandbox = shop();
    sandbox.fails(1, &["backup", BACKUP]).says("there is no warehouse at");
    assert!(!sandbox.path(BACKUP).exists());
    sandbox.fails(1, &["restore", BACKUP]).says("there is no backup at");
    assert!(!sandbox.warehouse().exists());
}
