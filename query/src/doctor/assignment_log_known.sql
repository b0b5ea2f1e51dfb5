-- Steps of the log about tags, customers and follows that are not there, or of a snapshot that came later.
SELECT
    'tag_id that no tag has' AS fault,
    count(*) AS found,
    min(step.tag_id) AS example
FROM (SELECT DISTINCT tag_id FROM assignment_log) AS step
LEFT JOIN tag ON tag.tag_id = step.tag_id
WHERE tag.tag_id IS NULL
UNION ALL
SELECT
    'customer_no that no customer has' AS fault,
    count(*) AS found,
    CAST(min(step.customer_no) AS VARCHAR) AS example
FROM (SELECT DISTINCT customer_no FROM assignment_log) AS step
LEFT JOIN customer ON customer.customer_no = step.customer_no
WHERE customer.customer_no IS NULL
UNION ALL
SELECT
    'follow_no that no follow of the customer has' AS fault,
    count(*) AS found,
    CAST(min(step.follow_no) AS VARCHAR) AS example
FROM (SELECT DISTINCT follow_no, customer_no FROM assignment_log WHERE follow_no IS NOT NULL) AS step
LEFT JOIN follow ON follow.follow_no = step.follow_no AND follow.customer_no = step.customer_no
WHERE follow.follow_no IS NULL
UNION ALL
SELECT
    'snapshot_id that is later than the snapshot' AS fault,
    count(*) AS found,
    CAST(max(step.snapshot_id) AS VARCHAR) AS example
FROM (SELECT DISTINCT snapshot_id FROM assignment_log) AS step
CROSS JOIN (SELECT max(snapshot_id) AS newest FROM snapshot) AS ledger
WHERE step.snapshot_id > ledger.newest
