-- Customers by themselves: numbers 0 to n-1, each given once; outside keys, each there once.
SELECT
    'customer_no given more than once' AS fault,
    count(*) AS found,
    CAST(min(customer_no) AS VARCHAR) AS example
FROM (SELECT customer_no FROM customer GROUP BY customer_no HAVING count(*) > 1) AS twice
UNION ALL
SELECT
    'customer_no beyond as many as there are, so that others are missing' AS fault,
    count(*) AS found,
    CAST(min(customer_no) AS VARCHAR) AS example
FROM customer
CROSS JOIN (SELECT count(DISTINCT customer_no) AS given FROM customer) AS numbers
WHERE customer_no IS NULL OR customer_no < 0 OR customer_no >= given
UNION ALL
SELECT
    'outside key (id_space, customer_id) of more than one customer' AS fault,
    count(*) AS found,
    min(concat(id_space, ':', customer_id)) AS example
FROM (SELECT id_space, customer_id FROM customer GROUP BY id_space, customer_id HAVING count(*) > 1) AS twice
