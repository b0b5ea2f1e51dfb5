-- Follows by themselves: numbers 0 to n-1, each given once; one row for a staff member and a customer; one owner for a
-- customer who is followed, and never two.
SELECT
    'follow_no given more than once' AS fault,
    count(*) AS found,
    CAST(min(follow_no) AS VARCHAR) AS example
FROM (SELECT follow_no FROM follow GROUP BY follow_no HAVING count(*) > 1) AS twice
UNION ALL
SELECT
    'follow_no beyond as many as there are, so that others are missing' AS fault,
    count(*) AS found,
    CAST(min(follow_no) AS VARCHAR) AS example
FROM follow
CROSS JOIN (SELECT count(DISTINCT follow_no) AS given FROM follow) AS numbers
WHERE follow_no IS NULL OR follow_no < 0 OR follow_no >= given
UNION ALL
SELECT
    'staff member who follows a customer more than once, by customer_no' AS fault,
    count(*) AS found,
    CAST(min(customer_no) AS VARCHAR) AS example
FROM (SELECT staff_id, customer_no FROM follow GROUP BY staff_id, customer_no HAVING count(*) > 1) AS twice
UNION ALL
SELECT
    'customer_no with more than one owner, or followed and with none' AS fault,
    count(*) AS found,
    CAST(min(customer_no) AS VARCHAR) AS example
FROM (
    SELECT
        customer_no,
        count(*) FILTER (WHERE is_owner) AS owners,
        count(*) FILTER (WHERE status IN ('active', 'half')) AS active_follows
    FROM follow
    GROUP BY customer_no
) AS followed
WHERE owners > 1 OR (owners = 0 AND active_follows > 0)
