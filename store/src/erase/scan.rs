//! The proof of an erasure: every object that is kept is looked at once more, decoded where it is Parquet and byte by
//! byte where it is not.
//!
//! A value may stand where it is another's: a name in another customer's row is that one's. What is found there is
//! counted and left; what is found anywhere else is told.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use object_store::ObjectStoreExt;

use super::cells::{Cells, Whose};
use super::files::{HeldFile, Holdings};
use super::in_memory::InMemory;
use super::rows::Scrub;
use super::values::Search;
use crate::durable::file_error;
use crate::error::StoreError;
use crate::objects::{Listed, Objects, object_error};
use crate::warehouse::Warehouse;

/// How many bytes are looked at at once.
const CHUNK_BYTES: u64 = 8 << 20;
/// What is ours below a warehouse, by how its path begins. Whatever else lies there is its owner's.
const OURS: [&str; 9] = [
    "tables/",
    "staged/",
    "plans/",
    "index/",
    "control.sqlite",
    "warehouse.json",
    "pruned.json",
    "erased.json",
    "writer.l",
];

/// What a look at everything that is kept came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// How many objects and files were looked at.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Where something of the customer is left, by place; nothing where all is gone.
    pub left: Vec<Left>,
    /// In how many cells of others stands what the customer was called or had, too.
    pub of_others: u64,
}

/// A place where something of the customer is left.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Left {
    /// The object below the warehouse, or the file.
    pub path: String,
    /// What kind of value it is, in words, and never the value.
    pub what: String,
    /// Whether the file is the warehouse owner's, and not ours to change.
    pub is_yours: bool,
}

/// Looks at everything that is kept.
///
/// # Errors
/// Where the store cannot be listed or read.
pub(super) async fn scan(warehouse: &Warehouse, search: &Search, holdings: &Holdings) -> Result<Found, StoreError> {
    let objects = warehouse.location().objects();
    let control = ControlFiles::of(warehouse)?;
    let held = holdings.files.iter().map(|file| (file.path.as_str(), file)).collect();
    let mut scan = Scan { search, holdings, held, control: &control.below, found: Found::default() };
    for object in objects.list("").await? {
        scan.object(objects, &object).await?;
    }
    for path in &control.elsewhere {
        scan.file(path)?;
    }
    Ok(scan.found)
}

struct Scan<'s> {
    search: &'s Search,
    holdings: &'s Holdings,
    held: BTreeMap<&'s str, &'s HeldFile>,
    control: &'s [String],
    found: Found,
}

impl Scan<'_> {
    async fn object(&mut self, objects: &Objects, object: &Listed) -> Result<(), StoreError> {
        let (path, whose) = (object.path.as_str(), self.whose(&object.path));
        self.found.objects += 1;
        self.found.bytes += object.size;
        if path.ends_with(".parquet") {
            if let Some(content) = objects.read(path).await? {
                self.parquet(path, content.into(), whose);
            }
            return Ok(());
        }
        let mut told = BTreeSet::new();
        let (below, overlap) = (objects.path(path)?, self.search.longest() as u64);
        let mut from = 0;
        while from < object.size {
            let to = (from + CHUNK_BYTES + overlap).min(object.size);
            match objects.root().get_range(&below, from..to).await {
                Ok(bytes) => told.extend(self.told_in(&bytes)),
                Err(source) => {
                    // It may have gone since it was listed, or be shorter by now.
                    let now = objects.look_at(path).await?;
                    if now.is_none_or(|now| now.size < to) {
                        break;
                    }
                    return Err(object_error("look through", path, source));
                }
            }
            from += CHUNK_BYTES;
        }
        self.raw(path, &told, whose);
        Ok(())
    }

    /// Looks at a local file beside the warehouse, which is ours.
    fn file(&mut self, path: &Path) -> Result<(), StoreError> {
        let content = match std::fs::read(path) {
            Ok(content) => Bytes::from(content),
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(file_error("read", path, source)),
        };
        self.found.objects += 1;
        self.found.bytes += content.len() as u64;
        let shown = path.display().to_string();
        if path.extension().is_some_and(|ending| ending == "parquet") {
            self.parquet(&shown, content, Whose::Ours);
        } else {
            let told = self.told_in(&content).collect();
            self.raw(&shown, &told, Whose::Ours);
        }
        Ok(())
    }

    /// Looks at every cell of a Parquet file, and at what stands beside the cells: bounds, for the most part.
    fn parquet(&mut self, path: &str, content: Bytes, whose: Whose) {
        let held = self.held.get(path).copied();
        let scrub = held.map(|file| Scrub::new(file, self.holdings, self.search));
        let number = [i64::from(self.search.values.customer_no.0)];
        let numbers = held.map_or(number.as_slice(), |file| file.numbers.as_slice());
        let mut cells = Cells::new(self.search, whose, numbers);
        let read = InMemory::open(content, path).and_then(|file| {
            file.each_batch(None, |batch| {
                cells.look(batch);
                if let Some(scrub) = &scrub {
                    cells.is_private_left |= scrub.apply(batch)?.is_some();
                }
                Ok(())
            })?;
            let beside = self.told_in(file.behind_its_pages());
            Ok(beside.filter(|index| !cells.seen.contains(index)).collect::<Vec<usize>>())
        });
        self.found.of_others += cells.of_others;
        for what in cells.left_in_words() {
            self.tell(path, &what, whose);
        }
        match read {
            Ok(beside) => {
                for index in beside {
                    self.tell(path, self.search.telling()[index].kind.as_str(), whose);
                }
            }
            Err(_) => self.tell(path, "whatever is in it, because it cannot be read", whose),
        }
    }

    /// Tells which values an object's bytes hold.
    fn raw(&mut self, path: &str, told: &BTreeSet<usize>, whose: Whose) {
        for index in told {
            let kind = self.search.telling()[*index].kind;
            if whose == Whose::Ours && !kind.is_unique() {
                self.found.of_others += 1;
            } else {
                self.tell(path, kind.as_str(), whose);
            }
        }
    }

    fn tell(&mut self, path: &str, what: &str, whose: Whose) {
        let left = Left { path: path.to_owned(), what: what.to_owned(), is_yours: whose == Whose::Yours };
        if !self.found.left.contains(&left) {
            self.found.left.push(left);
        }
    }

    /// Which of the values that tell are in bytes, by their place in the list.
    fn told_in<'b>(&'b self, bytes: &'b [u8]) -> impl Iterator<Item = usize> + 'b {
        let all = self.search.telling().iter().enumerate();
        all.filter(move |(_, needle)| needle.is_in(bytes)).map(|(index, _)| index)
    }

    /// Whose an object of the warehouse is.
    fn whose(&self, path: &str) -> Whose {
        let mut ours = OURS.into_iter().chain(self.control.iter().map(String::as_str));
        if ours.any(|start| path.starts_with(start)) { Whose::Ours } else { Whose::Yours }
    }
}

/// The files of the control state, where they lie.
struct ControlFiles {
    /// Below the warehouse, where they are objects too: how their paths begin.
    below: Vec<String>,
    /// Elsewhere: the files.
    elsewhere: Vec<PathBuf>,
}

impl ControlFiles {
    fn of(warehouse: &Warehouse) -> Result<Self, StoreError> {
        let (state, plans) = (warehouse.state_path()?, warehouse.plans_folder()?);
        let absolute = |path: &Path| std::path::absolute(path).map_err(|source| file_error("find", path, source));
        let [state, plans] = [absolute(state)?, absolute(&plans)?];
        let below = |path: &Path| {
            let below = path.strip_prefix(warehouse.location().folder()?).ok()?;
            Some(below.to_str()?.to_owned())
        };
        if let Some((state, plans)) = below(&state).zip(below(&plans)) {
            return Ok(Self { below: vec![state, format!("{plans}/")], elsewhere: Vec::new() });
        }
        let beside = ["-wal", "-shm"].map(|ending| {
            let mut path = state.clone().into_os_string();
            path.push(ending);
            PathBuf::from(path)
        });
        let mut elsewhere: Vec<PathBuf> = std::iter::once(state).chain(beside).collect();
        let failed = |source| file_error("list", &plans, source);
        for entry in std::fs::read_dir(&plans).map_err(failed)? {
            elsewhere.push(entry.map_err(failed)?.path());
        }
        Ok(Self { below: Vec::new(), elsewhere })
    }
}
