-- The assignments that are held now, one row for each tag that a source holds on a follow or a customer: it opened it and
-- has not closed it since. It was last given not before given_after and not after given_by.
SELECT
    customer_no,
    follow_no,
    tag_id,
    source,
    max(assigned_at) FILTER (WHERE op <> 'close') AS assigned_at,
    max(coalesce(assigned_at, seen_after)) FILTER (WHERE op <> 'close') AS given_after,
    max(coalesce(assigned_at, seen_by)) FILTER (WHERE op <> 'close') AS given_by
FROM assignment_log
GROUP BY customer_no, follow_no, tag_id, source
HAVING sum(CASE op WHEN 'open' THEN 1 WHEN 'close' THEN -1 ELSE 0 END) > 0
