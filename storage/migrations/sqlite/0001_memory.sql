-- +goose Up

-- Instants are microseconds since 1970 in UTC, 0 for none. Identifiers are
-- ULIDs. Documents (doc, facts) are JSON; state is the codec of this package.

CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE merchants (
    id             TEXT NOT NULL PRIMARY KEY,
    name           TEXT NOT NULL UNIQUE,
    default_locale TEXT NOT NULL,
    track_public   INTEGER NOT NULL,
    support_url    TEXT NOT NULL,
    created_at     INTEGER NOT NULL
) STRICT;

CREATE TABLE api_keys (
    id           TEXT NOT NULL PRIMARY KEY,
    merchant_id  TEXT NOT NULL,
    name         TEXT NOT NULL,
    prefix       TEXT NOT NULL,
    hash         BLOB NOT NULL UNIQUE,
    scopes       TEXT NOT NULL, -- joined by spaces
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    revoked_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX api_keys_merchant ON api_keys (merchant_id, id);

CREATE TABLE payloads (
    id           TEXT NOT NULL PRIMARY KEY,
    carrier      TEXT NOT NULL,
    account      TEXT NOT NULL,
    owner        TEXT NOT NULL, -- the merchant through whose own account it came; empty for the deployment's
    kind         TEXT NOT NULL,
    source       TEXT NOT NULL,
    content_type TEXT NOT NULL,
    digest       BLOB NOT NULL, -- SHA-256 of body and numbers asked for
    size         INTEGER NOT NULL,  -- bytes before compression
    numbers      TEXT NOT NULL, -- asked for, JSON
    received_at  INTEGER NOT NULL,
    body         BLOB NOT NULL, -- zstd
    UNIQUE (carrier, account, owner, kind, digest)
) STRICT;
CREATE INDEX payloads_carrier ON payloads (carrier, id);

-- Which payloads tell something about a number, registered or not.
CREATE TABLE payload_numbers (
    carrier    TEXT NOT NULL,
    number     TEXT NOT NULL,
    payload_id TEXT NOT NULL,
    PRIMARY KEY (carrier, number, payload_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX payload_numbers_payload ON payload_numbers (payload_id);

-- The unit in which carriers are asked, and the lock on which an arriving
-- payload and a registration of its number meet.
CREATE TABLE numbers (
    carrier       TEXT NOT NULL,
    number        TEXT NOT NULL,
    account       TEXT NOT NULL,
    postcode      TEXT NOT NULL,
    watched_at    INTEGER NOT NULL,
    heard_at      INTEGER NOT NULL,
    heard_by      TEXT NOT NULL,
    finding       TEXT NOT NULL,
    trouble       TEXT NOT NULL,
    trouble_since INTEGER NOT NULL,
    retry_at      INTEGER NOT NULL,
    failures      INTEGER NOT NULL,
    next_at       INTEGER NOT NULL,
    leased_until  INTEGER NOT NULL,
    lease_token   TEXT NOT NULL,
    owner         TEXT NOT NULL, -- merchant in whose turn it is asked for
    worth         INTEGER NOT NULL, -- how much news of it is wanted, 0 to 4
    PRIMARY KEY (carrier, number)
) STRICT, WITHOUT ROWID;
-- Only numbers with a planned look are indexed, so that the finished ones,
-- which are nearly all, cost the poller nothing.
CREATE INDEX numbers_due ON numbers (carrier, next_at) WHERE next_at > 0;
-- For a carrier that may not be asked for all that is due: each merchant's own
-- numbers, by worth.
CREATE INDEX numbers_due_owner ON numbers (carrier, owner, worth, next_at) WHERE next_at > 0;
-- Numbers that nobody can ask for yet: no account serves their carrier.
CREATE INDEX numbers_unserved ON numbers (carrier, number) WHERE account = '' AND next_at = 0 AND watched_at > 0;

-- What all replicas together have taken of each carrier account's allowance,
-- one row an account; times are of the machine's clock.
CREATE TABLE budgets (
    carrier      TEXT NOT NULL,
    account      TEXT NOT NULL,
    spent        TEXT NOT NULL, -- calls by cell of the window, JSON
    cell         INTEGER NOT NULL, -- width of a cell in microseconds
    turn_at      INTEGER NOT NULL, -- when the next call is due by the rate
    barred_until INTEGER NOT NULL, -- by the carrier's own word
    strikes      INTEGER NOT NULL,
    taken_at     INTEGER NOT NULL,
    PRIMARY KEY (carrier, account)
) STRICT, WITHOUT ROWID;

-- What each replica has seen of each carrier account since it began, so that
-- any replica can answer for all. Rows that are not renewed drop out.
CREATE TABLE carrier_beats (
    carrier TEXT NOT NULL,
    account TEXT NOT NULL,
    replica TEXT NOT NULL,
    at      INTEGER NOT NULL,
    doc     TEXT NOT NULL,
    PRIMARY KEY (carrier, account, replica)
) STRICT, WITHOUT ROWID;

-- How long parcels usually go without news, deployment-wide: of a carrier on a
-- lane after a milestone, by quarter powers of two of hours. It says nothing of
-- any merchant.
CREATE TABLE gaps (
    carrier     TEXT NOT NULL,
    origin      TEXT NOT NULL,
    destination TEXT NOT NULL,
    milestone   INTEGER NOT NULL,
    bucket      INTEGER NOT NULL,
    n           INTEGER NOT NULL,
    PRIMARY KEY (carrier, origin, destination, milestone, bucket)
) STRICT, WITHOUT ROWID;

-- Which shipments a number belongs to, of any merchant.
CREATE TABLE holders (
    carrier     TEXT NOT NULL,
    number      TEXT NOT NULL,
    shipment_id TEXT NOT NULL,
    merchant_id TEXT NOT NULL,
    since       INTEGER NOT NULL,
    until       INTEGER NOT NULL,
    rule        TEXT NOT NULL,    -- by which it was found; empty if declared or named
    proposed    INTEGER NOT NULL, -- since when it is asked whether it is the parcel's, 0 if it is
    PRIMARY KEY (carrier, number, shipment_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX holders_shipment ON holders (merchant_id, shipment_id);
CREATE INDEX holders_number ON holders (merchant_id, number);
CREATE INDEX holders_any_number ON holders (number);

CREATE TABLE shipments (
    merchant_id     TEXT NOT NULL,
    id              TEXT NOT NULL,
    reference       TEXT NOT NULL,
    order_ref       TEXT NOT NULL,
    origin          TEXT NOT NULL,
    destination     TEXT NOT NULL,
    postcode        TEXT NOT NULL, -- of the destination, letters and digits alone
    route           TEXT NOT NULL,
    carriers        TEXT NOT NULL, -- of all legs, each between two spaces
    goods           INTEGER NOT NULL,  -- one bit an attribute
    milestone       INTEGER NOT NULL, -- rank
    outcome         TEXT NOT NULL,
    open            INTEGER NOT NULL,
    stage           TEXT NOT NULL,
    exceptions      INTEGER NOT NULL,  -- one bit a kind that is open
    registered_at   INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    last_event_at   INTEGER NOT NULL,
    leg_started_at  INTEGER NOT NULL,
    delivered_at    INTEGER NOT NULL,
    promised_for    TEXT NOT NULL, -- day first promised
    change_position INTEGER NOT NULL,
    rule_version    TEXT NOT NULL, -- of state
    facts           TEXT NOT NULL,
    state           BLOB NOT NULL,
    PRIMARY KEY (merchant_id, id)
) STRICT;
CREATE INDEX shipments_id ON shipments (id);
CREATE UNIQUE INDEX shipments_reference ON shipments (merchant_id, reference);
CREATE INDEX shipments_order ON shipments (merchant_id, order_ref) WHERE order_ref <> '';
CREATE INDEX shipments_registered ON shipments (merchant_id, registered_at, id);
CREATE INDEX shipments_updated ON shipments (merchant_id, updated_at, id);
CREATE INDEX shipments_last_event ON shipments (merchant_id, last_event_at, id);
CREATE INDEX shipments_promised ON shipments (merchant_id, promised_for, id);
-- Exceptions are what the console looks for, and few have any.
CREATE INDEX shipments_exceptions ON shipments (merchant_id, registered_at, id) WHERE exceptions <> 0;
-- The newest version sorts last: what is left to fold again is found at once.
CREATE INDEX shipments_rule_version ON shipments (rule_version, id);

CREATE TABLE shipment_tags (
    merchant_id TEXT NOT NULL,
    tag         TEXT NOT NULL,
    shipment_id TEXT NOT NULL,
    PRIMARY KEY (merchant_id, tag, shipment_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX shipment_tags_shipment ON shipment_tags (merchant_id, shipment_id);

CREATE TABLE recipients (
    merchant_id TEXT NOT NULL,
    shipment_id TEXT NOT NULL,
    doc         TEXT NOT NULL, -- empty once erased
    erased_at   INTEGER NOT NULL,
    PRIMARY KEY (merchant_id, shipment_id)
) STRICT, WITHOUT ROWID;

-- The truth. Rows are never changed.
CREATE TABLE events (
    merchant_id TEXT NOT NULL,
    shipment_id TEXT NOT NULL,
    key         TEXT NOT NULL,
    digest      TEXT NOT NULL,
    event_id    TEXT NOT NULL,
    carrier     TEXT NOT NULL,
    number      TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    payload_id  TEXT NOT NULL,
    doc         TEXT NOT NULL,
    PRIMARY KEY (merchant_id, shipment_id, key, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX events_id ON events (event_id);

-- The head is locked last in a transaction and held until it commits, so that
-- positions are in commit order.
CREATE TABLE log_head (
    one      INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    position INTEGER NOT NULL,
    pruned   INTEGER NOT NULL -- the last position that retention removed
) STRICT;
INSERT INTO log_head (one, position, pruned) VALUES (1, 0, 0);

CREATE TABLE changes (
    position    INTEGER NOT NULL PRIMARY KEY,
    merchant_id TEXT NOT NULL,
    shipment_id TEXT NOT NULL,
    kind        TEXT NOT NULL,
    milestone   INTEGER NOT NULL, -- rank reached, 0 for other kinds
    exception   TEXT NOT NULL,  -- kind of exception, '' for other kinds
    severity    INTEGER NOT NULL, -- its rank, 0 for other kinds
    logged_at   INTEGER NOT NULL,
    doc         TEXT NOT NULL
) STRICT;
CREATE INDEX changes_merchant ON changes (merchant_id, position);
CREATE INDEX changes_shipment ON changes (merchant_id, shipment_id, position);

-- Counters of the cohort triangle: one row a key and day, whatever the number
-- of parcels.
CREATE TABLE cohort_starts (
    merchant_id TEXT NOT NULL,
    carrier     TEXT NOT NULL,
    service     TEXT NOT NULL,
    stage       TEXT NOT NULL,
    origin      TEXT NOT NULL,
    destination TEXT NOT NULL,
    day         TEXT NOT NULL,
    n           INTEGER NOT NULL,
    PRIMARY KEY (merchant_id, carrier, service, stage, origin, destination, day)
) STRICT, WITHOUT ROWID;
CREATE TABLE cohort_ends (
    merchant_id TEXT NOT NULL,
    carrier     TEXT NOT NULL,
    service     TEXT NOT NULL,
    stage       TEXT NOT NULL,
    origin      TEXT NOT NULL,
    destination TEXT NOT NULL,
    day         TEXT NOT NULL,
    age_days    INTEGER NOT NULL,
    cause       TEXT NOT NULL,
    n           INTEGER NOT NULL,
    PRIMARY KEY (merchant_id, carrier, service, stage, origin, destination, day, age_days, cause)
) STRICT, WITHOUT ROWID;
CREATE TABLE on_time (
    merchant_id TEXT NOT NULL,
    carrier     TEXT NOT NULL,
    service     TEXT NOT NULL,
    stage       TEXT NOT NULL,
    origin      TEXT NOT NULL,
    destination TEXT NOT NULL,
    day         TEXT NOT NULL, -- on which the promise fell due
    due         INTEGER NOT NULL,
    kept        INTEGER NOT NULL,
    PRIMARY KEY (merchant_id, carrier, service, stage, origin, destination, day)
) STRICT, WITHOUT ROWID;

-- Counters of handovers: one row a pair of parties, day, gap and end.
CREATE TABLE passings (
    merchant_id  TEXT NOT NULL,
    origin       TEXT NOT NULL,
    destination  TEXT NOT NULL,
    from_stage   TEXT NOT NULL,
    from_carrier TEXT NOT NULL,
    to_stage     TEXT NOT NULL,
    to_carrier   TEXT NOT NULL,
    day          TEXT NOT NULL, -- of the release
    hours        INTEGER NOT NULL, -- from release to acceptance or end
    cause        TEXT NOT NULL, -- empty while open
    n            INTEGER NOT NULL,
    renumbered   INTEGER NOT NULL,
    unseen       INTEGER NOT NULL,
    damaged      INTEGER NOT NULL,
    PRIMARY KEY (merchant_id, origin, destination, from_stage, from_carrier, to_stage, to_carrier, day, hours, cause)
) STRICT, WITHOUT ROWID;

-- Who came after whom on a lane, and how many days later: what is usual there.
CREATE TABLE next_carriers (
    merchant_id  TEXT NOT NULL,
    origin       TEXT NOT NULL,
    destination  TEXT NOT NULL,
    carrier      TEXT NOT NULL,
    next_carrier TEXT NOT NULL,
    same_number  INTEGER NOT NULL, -- 1 where the number stayed
    gap_days     INTEGER NOT NULL, -- 60 is 60 or more
    n            INTEGER NOT NULL,
    PRIMARY KEY (origin, destination, carrier, merchant_id, next_carrier, same_number, gap_days)
) STRICT, WITHOUT ROWID;

CREATE TABLE routes (
    merchant_id TEXT NOT NULL,
    code        TEXT NOT NULL,
    doc         TEXT NOT NULL,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (merchant_id, code)
) STRICT, WITHOUT ROWID;

CREATE TABLE import_runs (
    id          TEXT NOT NULL PRIMARY KEY,
    merchant_id TEXT NOT NULL,
    file_sha    TEXT NOT NULL,
    mapping_sha TEXT NOT NULL,
    next_line   INTEGER NOT NULL,
    accepted    INTEGER NOT NULL,
    refused     INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    UNIQUE (merchant_id, file_sha, mapping_sha)
) STRICT;

-- Files that carriers dropped, so that none is read twice and one that was cut
-- off is read on. A lease keeps two replicas off one file.
CREATE TABLE drop_files (
    source       TEXT NOT NULL, -- account and address of the folder
    name         TEXT NOT NULL,
    size         INTEGER NOT NULL,
    digest       TEXT NOT NULL, -- SHA-256, hexadecimal
    reader       TEXT NOT NULL, -- what cut it into payloads, with its version
    modified_at  INTEGER NOT NULL,
    taken        INTEGER NOT NULL, -- payloads
    observations INTEGER NOT NULL,
    bad          INTEGER NOT NULL, -- lines, and payloads that could not be read
    done_at      INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    leased_until INTEGER NOT NULL,
    lease_token  TEXT NOT NULL,
    PRIMARY KEY (source, name, size, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX drop_files_digest ON drop_files (source, digest) WHERE done_at > 0;

-- What carriers wrote and no table of codes read: the work queue of mapping.
CREATE TABLE unmapped (
    carrier    TEXT NOT NULL,
    code       TEXT NOT NULL, -- the carrier's own; '' where it has none
    phrase     TEXT NOT NULL, -- folded words without numbers; '' beside a code
    words      TEXT NOT NULL, -- as first written
    language   TEXT NOT NULL,
    n          INTEGER NOT NULL,
    first_at   INTEGER NOT NULL,
    last_at    INTEGER NOT NULL,
    payload_id TEXT NOT NULL, -- of the newest
    PRIMARY KEY (carrier, code, phrase)
) STRICT, WITHOUT ROWID;
