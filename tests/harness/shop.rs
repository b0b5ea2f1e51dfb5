//! A shop in two CSV files of a few lines: what runs and their complaints are tried on.

use super::Sandbox;

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
    sandbox.write("shop.yaml", SOURCE);
    sandbox.write("customers.csv", CUSTOMERS);
    sandbox.write("orders.csv", ORDERS);
    sandbox
}

/// A folder with the shop and its first snapshot.
pub fn ingested_shop() -> Sandbox {
    let sandbox = shop();
    sandbox.ok(&["ingest", "shop.yaml"]);
    sandbox
}
