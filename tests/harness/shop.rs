//! Sources in a few lines of CSV: the shop that runs and their complaints are tried on, and what a test lists by itself.

use super::{Answer, Sandbox};

/// The shop's source.
pub const SOURCE: &str = "\
name: shop
kind: files
taken_at: 2026-06-15T02:00:00+08:00
files:
  customers: {path: customers.csv}
  orders: {path: orders.csv}
tables:
  customer:
    mode: full
    select: SELECT id AS customer_id, name, city, birth_month FROM customers
  event:
    mode: append
    select: |
      SELECT
        id AS event_id,
        customer AS customer_id,
        'pay' AS type,
        paid_at AS occurred_at,
        amount,
        'CNY' AS currency
      FROM orders
";

/// Five customers.
pub const CUSTOMERS: &str = "\
id,name,city,birth_month
c1,Li,上海,5
c2,Wang,杭州,11
c3,Zhao,,
c4,Qian,西安,2
c5,Sun,上海,5
";

/// Six orders of four of them.
pub const ORDERS: &str = "\
id,customer,paid_at,amount
o1,c1,2026-05-01 10:00:00,100.00
o2,c1,2026-05-31 23:59:59,200.50
o3,c2,2026-06-01 00:00:00,50.00
o4,c3,2026-06-10 12:30:00,5000.00
o5,c4,2026-06-11 08:00:00,9.90
o6,c4,2026-06-11 08:00:00,9.90
";

/// A folder with the shop's source and files, nothing ingested.
pub fn shop() -> Sandbox {
    let sandbox = Sandbox::new();
    write_shop(&sandbox);
    sandbox
}

/// A folder with the shop and its first snapshot.
pub fn ingested_shop() -> Sandbox {
    Sandbox::made_once("shop", |sandbox| {
        write_shop(sandbox);
        sandbox.ok(&["ingest", "shop.yaml"]);
    })
}

pub fn write_shop(sandbox: &Sandbox) {
    sandbox.write("shop.yaml", SOURCE);
    sandbox.write("customers.csv", CUSTOMERS);
    sandbox.write("orders.csv", ORDERS);
}

/// A table that a source fills: its name, its keys but for `select` (a line for each), and its SELECT.
pub type Table<'s> = (&'s str, &'s str, &'s str);

/// A source of CSV files that a test lists by itself.
#[derive(Debug, Clone, Copy)]
pub struct CsvSource<'s> {
    /// Its name, which that of its document is too: `NAME.yaml`.
    pub name: &'s str,
    /// Whose ids its customers have.
    pub id_space: &'s str,
    /// When it is read.
    pub taken_at: &'s str,
    /// Its raw tables: the name of each, and the content of the file `NAME.csv`.
    pub files: &'s [(&'s str, &'s str)],
    /// The tables that it fills.
    pub tables: &'s [Table<'s>],
}

impl CsvSource<'_> {
    /// Writes its document and its files; what a folder has under these names is replaced.
    pub fn write(&self, sandbox: &Sandbox) {
        let Self { name, id_space, taken_at, files, tables } = self;
        let mut document = format!("name: {name}\nkind: files\nid_space: {id_space}\ntaken_at: {taken_at}\nfiles:\n");
        for (file, content) in *files {
            document.push_str(&format!("  {file}: {{path: {file}.csv}}\n"));
            sandbox.write(&format!("{file}.csv"), content);
        }
        document.push_str("tables:\n");
        for (table, keys, select) in *tables {
            let (keys, select) = (indented(4, keys), indented(6, select));
            document.push_str(&format!("  {table}:\n{keys}    select: |\n{select}"));
        }
        sandbox.write(&format!("{name}.yaml"), document);
    }

    /// Writes it and reads it, which has to succeed.
    pub fn ingest(&self, sandbox: &Sandbox) -> Answer {
        self.write(sandbox);
        sandbox.ok(&["ingest", &format!("{}.yaml", self.name)])
    }
}

/// A text with every line so far from the edge.
fn indented(width: usize, text: &str) -> String {
    text.lines().map(|line| format!("{:width$}{line}\n", "")).collect()
}
