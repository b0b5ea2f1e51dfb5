-- Whom each outside id in the answer of a `sql:` leaf means: whom SPACE:ID names, or else whom the bare id fits.
-- `several` is the id where it fits more than one customer.
WITH given AS (
  SELECT DISTINCT CAST(customer_id AS VARCHAR) AS id
  FROM leaf
),
outside_id AS (
  SELECT customer_no, concat(id_space, ':', customer_id) AS id, TRUE AS has_space
  FROM customer
  UNION ALL
  SELECT customer_no, customer_id AS id, FALSE AS has_space
  FROM customer
),
fit AS (
  SELECT
    given.id,
    count(CASE WHEN outside_id.has_space THEN 1 END) AS in_space_count,
    min(CASE WHEN outside_id.has_space THEN outside_id.customer_no END) AS in_space,
    count(CASE WHEN NOT outside_id.has_space THEN 1 END) AS bare_count,
    min(CASE WHEN NOT outside_id.has_space THEN outside_id.customer_no END) AS bare
  FROM given
  JOIN outside_id ON outside_id.id = given.id
  GROUP BY given.id
)
SELECT
  coalesce(in_space, bare) AS customer_no,
  CASE WHEN coalesce(nullif(in_space_count, 0), bare_count) > 1 THEN id END AS several
FROM fit
