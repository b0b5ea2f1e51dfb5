CREATE TABLE IF NOT EXISTS plan (
    plan_id      TEXT PRIMARY KEY,
    header       TEXT NOT NULL,
    state        TEXT NOT NULL,
    created_at   TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS approval (
    plan_id      TEXT NOT NULL REFERENCES plan (plan_id),
    approval     TEXT NOT NULL,
    -- Nobody agrees to a plan twice.
    approved_by  TEXT NOT NULL GENERATED ALWAYS AS (json_extract(approval, '$.approved_by')) VIRTUAL,
    UNIQUE (plan_id, approved_by)
) STRICT;

CREATE TABLE IF NOT EXISTS receipt (
    plan_id      TEXT NOT NULL REFERENCES plan (plan_id),
    step_no      INTEGER NOT NULL,
    receipt      TEXT NOT NULL,
    PRIMARY KEY (plan_id, step_no)
) STRICT;

CREATE TABLE IF NOT EXISTS plan_event (
    plan_id      TEXT NOT NULL REFERENCES plan (plan_id),
    at           TEXT NOT NULL,
    actor        TEXT NOT NULL,
    what         TEXT NOT NULL
) STRICT;

-- The hash that the steps of a plan have since a customer was taken out of them.
CREATE TABLE IF NOT EXISTS plan_erasure (
    plan_id      TEXT PRIMARY KEY REFERENCES plan (plan_id),
    content_hash TEXT NOT NULL,
    at           TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS audit (
    at           TEXT NOT NULL,
    actor        TEXT NOT NULL,
    act          TEXT NOT NULL,
    subject      TEXT NOT NULL,
    detail       TEXT NOT NULL
) STRICT;

CREATE TRIGGER IF NOT EXISTS audit_is_never_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit is only ever added to');
END;

CREATE TRIGGER IF NOT EXISTS audit_is_never_shortened BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit is only ever added to');
END;
