-- Events by themselves: each (source, event_id) once.
SELECT
    'key (source, event_id) of more than one event' AS fault,
    count(*) AS found,
    min(concat(source, ':', event_id)) AS example
FROM (SELECT source, event_id FROM event GROUP BY source, event_id HAVING count(*) > 1) AS twice
