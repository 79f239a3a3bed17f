-- +goose Up

-- Instants are microseconds since 1970 in UTC, 0 for none. Identifiers are
-- ULIDs. Documents (doc, facts) are JSON; state is the codec of this package.

CREATE TABLE settings (
    name  text COLLATE "C" NOT NULL PRIMARY KEY,
    value text NOT NULL
);

CREATE TABLE merchants (
    id             text COLLATE "C" NOT NULL PRIMARY KEY,
    name           text COLLATE "C" NOT NULL UNIQUE,
    default_locale text COLLATE "C" NOT NULL,
    track_public   smallint NOT NULL,
    support_url    text COLLATE "C" NOT NULL,
    created_at     bigint NOT NULL
);

CREATE TABLE api_keys (
    id           text COLLATE "C" NOT NULL PRIMARY KEY,
    merchant_id  text COLLATE "C" NOT NULL,
    name         text COLLATE "C" NOT NULL,
    prefix       text COLLATE "C" NOT NULL,
    hash         bytea NOT NULL UNIQUE,
    scopes       text COLLATE "C" NOT NULL, -- joined by spaces
    created_at   bigint NOT NULL,
    last_used_at bigint NOT NULL,
    expires_at   bigint NOT NULL,
    revoked_at   bigint NOT NULL
);
CREATE INDEX api_keys_merchant ON api_keys (merchant_id, id);

CREATE TABLE payloads (
    id           text COLLATE "C" NOT NULL PRIMARY KEY,
    carrier      text COLLATE "C" NOT NULL,
    account      text COLLATE "C" NOT NULL,
    owner        text COLLATE "C" NOT NULL, -- the merchant through whose own account it came; empty for the deployment's
    kind         text COLLATE "C" NOT NULL,
    source       text COLLATE "C" NOT NULL,
    content_type text COLLATE "C" NOT NULL,
    digest       bytea NOT NULL, -- SHA-256 of body and numbers asked for
    size         bigint NOT NULL,  -- bytes before compression
    numbers      text COLLATE "C" NOT NULL, -- asked for, JSON
    received_at  bigint NOT NULL,
    body         bytea NOT NULL, -- zstd
    UNIQUE (carrier, account, owner, kind, digest)
);
CREATE INDEX payloads_carrier ON payloads (carrier, id);

-- Which payloads tell something about a number, registered or not.
CREATE TABLE payload_numbers (
    carrier    text COLLATE "C" NOT NULL,
    number     text COLLATE "C" NOT NULL,
    payload_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (carrier, number, payload_id)
);
CREATE INDEX payload_numbers_payload ON payload_numbers (payload_id);

-- The unit in which carriers are asked, and the lock on which an arriving
-- payload and a registration of its number meet.
CREATE TABLE numbers (
    carrier       text COLLATE "C" NOT NULL,
    number        text COLLATE "C" NOT NULL,
    account       text COLLATE "C" NOT NULL,
    postcode      text COLLATE "C" NOT NULL,
    watched_at    bigint NOT NULL,
    heard_at      bigint NOT NULL,
    heard_by      text COLLATE "C" NOT NULL,
    finding       text COLLATE "C" NOT NULL,
    trouble       text COLLATE "C" NOT NULL,
    trouble_since bigint NOT NULL,
    retry_at      bigint NOT NULL,
    failures      bigint NOT NULL,
    next_at       bigint NOT NULL,
    leased_until  bigint NOT NULL,
    lease_token   text COLLATE "C" NOT NULL,
    owner         text COLLATE "C" NOT NULL, -- merchant in whose turn it is asked for
    worth         bigint NOT NULL, -- how much news of it is wanted, 0 to 4
    PRIMARY KEY (carrier, number)
);
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
    carrier      text COLLATE "C" NOT NULL,
    account      text COLLATE "C" NOT NULL,
    spent        text COLLATE "C" NOT NULL, -- calls by cell of the window, JSON
    cell         bigint NOT NULL, -- width of a cell in microseconds
    turn_at      bigint NOT NULL, -- when the next call is due by the rate
    barred_until bigint NOT NULL, -- by the carrier's own word
    strikes      bigint NOT NULL,
    taken_at     bigint NOT NULL,
    PRIMARY KEY (carrier, account)
);

-- What each replica has seen of each carrier account since it began, so that
-- any replica can answer for all. Rows that are not renewed drop out.
CREATE TABLE carrier_beats (
    carrier text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    replica text COLLATE "C" NOT NULL,
    at      bigint NOT NULL,
    doc     text NOT NULL,
    PRIMARY KEY (carrier, account, replica)
);

-- How long parcels usually go without news, deployment-wide: of a carrier on a
-- lane after a milestone, by quarter powers of two of hours. It says nothing of
-- any merchant.
CREATE TABLE gaps (
    carrier     text COLLATE "C" NOT NULL,
    origin      text COLLATE "C" NOT NULL,
    destination text COLLATE "C" NOT NULL,
    milestone   bigint NOT NULL,
    bucket      bigint NOT NULL,
    n           bigint NOT NULL,
    PRIMARY KEY (carrier, origin, destination, milestone, bucket)
);

-- Which shipments a number belongs to, of any merchant.
CREATE TABLE holders (
    carrier     text COLLATE "C" NOT NULL,
    number      text COLLATE "C" NOT NULL,
    shipment_id text COLLATE "C" NOT NULL,
    merchant_id text COLLATE "C" NOT NULL,
    since       bigint NOT NULL,
    until       bigint NOT NULL,
    rule        text COLLATE "C" NOT NULL, -- by which it was found; empty if declared or named
    proposed    bigint NOT NULL, -- since when it is asked whether it is the parcel's, 0 if it is
    PRIMARY KEY (carrier, number, shipment_id)
);
CREATE INDEX holders_shipment ON holders (merchant_id, shipment_id);
CREATE INDEX holders_number ON holders (merchant_id, number);
CREATE INDEX holders_any_number ON holders (number);

CREATE TABLE shipments (
    merchant_id     text COLLATE "C" NOT NULL,
    id              text COLLATE "C" NOT NULL,
    reference       text COLLATE "C" NOT NULL,
    order_ref       text COLLATE "C" NOT NULL,
    origin          text COLLATE "C" NOT NULL,
    destination     text COLLATE "C" NOT NULL,
    postcode        text COLLATE "C" NOT NULL, -- of the destination, letters and digits alone
    route           text COLLATE "C" NOT NULL,
    carriers        text COLLATE "C" NOT NULL, -- of all legs, each between two spaces
    goods           bigint NOT NULL,  -- one bit an attribute
    milestone       smallint NOT NULL, -- rank
    outcome         text COLLATE "C" NOT NULL,
    open            smallint NOT NULL,
    stage           text COLLATE "C" NOT NULL,
    exceptions      bigint NOT NULL,  -- one bit a kind that is open
    registered_at   bigint NOT NULL,
    created_at      bigint NOT NULL,
    updated_at      bigint NOT NULL,
    last_event_at   bigint NOT NULL,
    leg_started_at  bigint NOT NULL,
    delivered_at    bigint NOT NULL,
    promised_for    text COLLATE "C" NOT NULL, -- day first promised
    change_position bigint NOT NULL,
    rule_version    text COLLATE "C" NOT NULL, -- of state
    facts           text NOT NULL,
    state           bytea NOT NULL,
    PRIMARY KEY (merchant_id, id)
);
-- A shipment is rewritten whenever it is heard of: leave room for the new row
-- beside the old.
ALTER TABLE shipments SET (fillfactor = 80);
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
    merchant_id text COLLATE "C" NOT NULL,
    tag         text COLLATE "C" NOT NULL,
    shipment_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (merchant_id, tag, shipment_id)
);
CREATE INDEX shipment_tags_shipment ON shipment_tags (merchant_id, shipment_id);

CREATE TABLE recipients (
    merchant_id text COLLATE "C" NOT NULL,
    shipment_id text COLLATE "C" NOT NULL,
    doc         text NOT NULL, -- empty once erased
    erased_at   bigint NOT NULL,
    PRIMARY KEY (merchant_id, shipment_id)
);

-- The truth. Rows are never changed.
CREATE TABLE events (
    merchant_id text COLLATE "C" NOT NULL,
    shipment_id text COLLATE "C" NOT NULL,
    key         text COLLATE "C" NOT NULL,
    digest      text COLLATE "C" NOT NULL,
    event_id    text COLLATE "C" NOT NULL,
    carrier     text COLLATE "C" NOT NULL,
    number      text COLLATE "C" NOT NULL,
    occurred_at bigint NOT NULL,
    received_at bigint NOT NULL,
    payload_id  text COLLATE "C" NOT NULL,
    doc         text NOT NULL,
    PRIMARY KEY (merchant_id, shipment_id, key, digest)
);
CREATE INDEX events_id ON events (event_id);

-- The head is locked last in a transaction and held until it commits, so that
-- positions are in commit order.
CREATE TABLE log_head (
    one      smallint NOT NULL PRIMARY KEY CHECK (one = 1),
    position bigint NOT NULL,
    pruned   bigint NOT NULL -- the last position that retention removed
);
INSERT INTO log_head (one, position, pruned) VALUES (1, 0, 0);

CREATE TABLE changes (
    position    bigint NOT NULL PRIMARY KEY,
    merchant_id text COLLATE "C" NOT NULL,
    shipment_id text COLLATE "C" NOT NULL,
    kind        text COLLATE "C" NOT NULL,
    milestone   smallint NOT NULL, -- rank reached, 0 for other kinds
    exception   text COLLATE "C" NOT NULL,  -- kind of exception, '' for other kinds
    severity    smallint NOT NULL, -- its rank, 0 for other kinds
    logged_at   bigint NOT NULL,
    doc         text NOT NULL
);
CREATE INDEX changes_merchant ON changes (merchant_id, position);
CREATE INDEX changes_shipment ON changes (merchant_id, shipment_id, position);

-- Counters of the cohort triangle: one row a key and day, whatever the number
-- of parcels.
CREATE TABLE cohort_starts (
    merchant_id text COLLATE "C" NOT NULL,
    carrier     text COLLATE "C" NOT NULL,
    service     text COLLATE "C" NOT NULL,
    stage       text COLLATE "C" NOT NULL,
    origin      text COLLATE "C" NOT NULL,
    destination text COLLATE "C" NOT NULL,
    day         text COLLATE "C" NOT NULL,
    n           bigint NOT NULL,
    PRIMARY KEY (merchant_id, carrier, service, stage, origin, destination, day)
);
CREATE TABLE cohort_ends (
    merchant_id text COLLATE "C" NOT NULL,
    carrier     text COLLATE "C" NOT NULL,
    service     text COLLATE "C" NOT NULL,
    stage       text COLLATE "C" NOT NULL,
    origin      text COLLATE "C" NOT NULL,
    destination text COLLATE "C" NOT NULL,
    day         text COLLATE "C" NOT NULL,
    age_days    bigint NOT NULL,
    cause       text COLLATE "C" NOT NULL,
    n           bigint NOT NULL,
    PRIMARY KEY (merchant_id, carrier, service, stage, origin, destination, day, age_days, cause)
);
CREATE TABLE on_time (
    merchant_id text COLLATE "C" NOT NULL,
    carrier     text COLLATE "C" NOT NULL,
    service     text COLLATE "C" NOT NULL,
    stage       text COLLATE "C" NOT NULL,
    origin      text COLLATE "C" NOT NULL,
    destination text COLLATE "C" NOT NULL,
    day         text COLLATE "C" NOT NULL, -- on which the promise fell due
    due         bigint NOT NULL,
    kept        bigint NOT NULL,
    PRIMARY KEY (merchant_id, carrier, service, stage, origin, destination, day)
);

-- Counters of handovers: one row a pair of parties, day, gap and end.
CREATE TABLE passings (
    merchant_id  text COLLATE "C" NOT NULL,
    origin       text COLLATE "C" NOT NULL,
    destination  text COLLATE "C" NOT NULL,
    from_stage   text COLLATE "C" NOT NULL,
    from_carrier text COLLATE "C" NOT NULL,
    to_stage     text COLLATE "C" NOT NULL,
    to_carrier   text COLLATE "C" NOT NULL,
    day          text COLLATE "C" NOT NULL, -- of the release
    hours        bigint NOT NULL, -- from release to acceptance or end
    cause        text COLLATE "C" NOT NULL, -- empty while open
    n            bigint NOT NULL,
    renumbered   bigint NOT NULL,
    unseen       bigint NOT NULL,
    damaged      bigint NOT NULL,
    PRIMARY KEY (merchant_id, origin, destination, from_stage, from_carrier, to_stage, to_carrier, day, hours, cause)
);

-- Who came after whom on a lane, and how many days later: what is usual there.
CREATE TABLE next_carriers (
    merchant_id  text COLLATE "C" NOT NULL,
    origin       text COLLATE "C" NOT NULL,
    destination  text COLLATE "C" NOT NULL,
    carrier      text COLLATE "C" NOT NULL,
    next_carrier text COLLATE "C" NOT NULL,
    same_number  bigint NOT NULL, -- 1 where the number stayed
    gap_days     bigint NOT NULL, -- 60 is 60 or more
    n            bigint NOT NULL,
    PRIMARY KEY (origin, destination, carrier, merchant_id, next_carrier, same_number, gap_days)
);

CREATE TABLE routes (
    merchant_id text COLLATE "C" NOT NULL,
    code        text COLLATE "C" NOT NULL,
    doc         text NOT NULL,
    updated_at  bigint NOT NULL,
    PRIMARY KEY (merchant_id, code)
);

CREATE TABLE import_runs (
    id          text COLLATE "C" NOT NULL PRIMARY KEY,
    merchant_id text COLLATE "C" NOT NULL,
    file_sha    text COLLATE "C" NOT NULL,
    mapping_sha text COLLATE "C" NOT NULL,
    next_line   bigint NOT NULL,
    accepted    bigint NOT NULL,
    refused     bigint NOT NULL,
    updated_at  bigint NOT NULL,
    UNIQUE (merchant_id, file_sha, mapping_sha)
);

-- Files that carriers dropped, so that none is read twice and one that was cut
-- off is read on. A lease keeps two replicas off one file.
CREATE TABLE drop_files (
    source       text COLLATE "C" NOT NULL, -- account and address of the folder
    name         text COLLATE "C" NOT NULL,
    size         bigint NOT NULL,
    digest       text COLLATE "C" NOT NULL, -- SHA-256, hexadecimal
    reader       text COLLATE "C" NOT NULL, -- what cut it into payloads, with its version
    modified_at  bigint NOT NULL,
    taken        bigint NOT NULL, -- payloads
    observations bigint NOT NULL,
    bad          bigint NOT NULL, -- lines, and payloads that could not be read
    done_at      bigint NOT NULL,
    updated_at   bigint NOT NULL,
    leased_until bigint NOT NULL,
    lease_token  text COLLATE "C" NOT NULL,
    PRIMARY KEY (source, name, size, digest)
);
CREATE INDEX drop_files_digest ON drop_files (source, digest) WHERE done_at > 0;

-- What carriers wrote and no table of codes read: the work queue of mapping.
CREATE TABLE unmapped (
    carrier    text COLLATE "C" NOT NULL,
    code       text COLLATE "C" NOT NULL, -- the carrier's own; '' where it has none
    phrase     text COLLATE "C" NOT NULL, -- folded words without numbers; '' beside a code
    words      text COLLATE "C" NOT NULL, -- as first written
    language   text COLLATE "C" NOT NULL,
    n          bigint NOT NULL,
    first_at   bigint NOT NULL,
    last_at    bigint NOT NULL,
    payload_id text COLLATE "C" NOT NULL, -- of the newest
    PRIMARY KEY (carrier, code, phrase)
);
