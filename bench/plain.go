package bench

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"
)

// plainTables are what somebody would make who answers these questions and no
// others.
const plainTables = `
CREATE SCHEMA plain;
CREATE TABLE plain.shipments (
	ulid          text COLLATE "C" PRIMARY KEY,
	id            text NOT NULL,
	reference     text NOT NULL,
	milestone     text NOT NULL,
	outcome       text,
	registered_at timestamptz NOT NULL
);
CREATE INDEX ON plain.shipments (registered_at, ulid);
CREATE TABLE plain.legs (
	shipment text COLLATE "C" NOT NULL,
	sequence integer NOT NULL,
	stage    text NOT NULL,
	state    text NOT NULL,
	carrier  text,
	number   text,
	PRIMARY KEY (shipment, sequence)
);
CREATE TABLE plain.events (
	shipment      text COLLATE "C" NOT NULL,
	position      integer NOT NULL,
	id            text NOT NULL,
	code          text NOT NULL,
	stage         text NOT NULL,
	occurred_at   timestamptz NOT NULL,
	local_text    text NOT NULL,
	utc_offset    text,
	certainty     text NOT NULL,
	country       text,
	city          text,
	original_code text,
	original_text text,
	PRIMARY KEY (shipment, position)
);`

// The parts of both questions.
const (
	plainLegs = `(SELECT coalesce(json_agg(json_build_object(
		'sequence', l.sequence, 'stage', l.stage, 'state', l.state, 'trackingNumber', l.number,
		'carrier', CASE WHEN l.carrier IS NULL THEN NULL ELSE json_build_object('code', l.carrier) END
		) ORDER BY l.sequence), '[]') FROM plain.legs l WHERE l.shipment = s.ulid)`
	plainEvent = `json_build_object(
		'id', e.id, 'code', e.code, 'stage', e.stage, 'occurredAt', e.occurred_at,
		'local', json_build_object('text', e.local_text, 'offset', e.utc_offset, 'certainty', e.certainty),
		'place', CASE WHEN e.country IS NULL AND e.city IS NULL THEN NULL ELSE json_build_object('country', e.country, 'city', e.city) END,
		'original', json_build_object('code', e.original_code, 'text', e.original_text))`
	plainTimeline = `SELECT json_build_object('shipment', json_build_object(
		'id', s.id, 'reference', s.reference, 'milestone', s.milestone, 'outcome', s.outcome, 'registeredAt', s.registered_at,
		'legs', ` + plainLegs + `,
		'timeline', json_build_object('nodes', (SELECT coalesce(json_agg(` + plainEvent + ` ORDER BY e.position), '[]')
			FROM plain.events e WHERE e.shipment = s.ulid))))
		FROM plain.shipments s WHERE s.ulid = $1`
	plainPage = `SELECT json_build_object('shipments', json_build_object('nodes', coalesce(json_agg(p.row ORDER BY p.registered_at DESC, p.ulid DESC), '[]'))) FROM (
		SELECT s.registered_at, s.ulid, json_build_object(
			'id', s.id, 'reference', s.reference, 'milestone', s.milestone, 'outcome', s.outcome, 'registeredAt', s.registered_at,
			'legs', ` + plainLegs + `,
			'latestEvent', (SELECT ` + plainEvent + ` FROM plain.events e WHERE e.shipment = s.ulid ORDER BY e.position DESC LIMIT 1)) AS row
		FROM plain.shipments s WHERE (s.registered_at, s.ulid) < ($1, $2)
		ORDER BY s.registered_at DESC, s.ulid DESC LIMIT 50) p`
)

// plainServer answers from the plain tables: one statement a request, prepared
// once, and its JSON passed on as it is.
type plainServer struct {
	db             *sql.DB
	timeline, page *sql.Stmt
}

func newPlainServer(ctx context.Context, db *sql.DB) (*plainServer, error) {
	p := &plainServer{db: db}
	var errs [2]error
	p.timeline, errs[0] = db.PrepareContext(ctx, plainTimeline)
	p.page, errs[1] = db.PrepareContext(ctx, plainPage)
	return p, errors.Join(errs[:]...)
}

func (p *plainServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var row *sql.Row
	if ulid, ok := strings.CutPrefix(r.URL.Path, "/shipments/"); ok {
		row = p.timeline.QueryRowContext(r.Context(), ulid)
	} else {
		q := r.URL.Query()
		before, err := time.Parse(time.RFC3339Nano, q.Get("before"))
		if err != nil {
			http.Error(w, "before", http.StatusBadRequest)
			return
		}
		row = p.page.QueryRowContext(r.Context(), before, q.Get("id"))
	}
	var body []byte
	switch err := row.Scan(&body); {
	case errors.Is(err, sql.ErrNoRows):
		http.NotFound(w, r)
		return
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body)
}

// shown is a shipment as the gateway shows it, to be put into plain tables.
type shown struct {
	ID           string  `json:"id"`
	Reference    string  `json:"reference"`
	Milestone    string  `json:"milestone"`
	Outcome      *string `json:"outcome"`
	RegisteredAt string  `json:"registeredAt"`
	Legs         []struct {
		Sequence       int     `json:"sequence"`
		Stage          string  `json:"stage"`
		State          string  `json:"state"`
		TrackingNumber *string `json:"trackingNumber"`
		Carrier        *struct {
			Code string `json:"code"`
		} `json:"carrier"`
	} `json:"legs"`
	Timeline struct {
		Nodes []struct {
			ID         string `json:"id"`
			Code       string `json:"code"`
			Stage      string `json:"stage"`
			OccurredAt string `json:"occurredAt"`
			Local      struct {
				Text      string  `json:"text"`
				Offset    *string `json:"offset"`
				Certainty string  `json:"certainty"`
			} `json:"local"`
			Place *struct {
				Country *string `json:"country"`
				City    *string `json:"city"`
			} `json:"place"`
			Original struct {
				Code *string `json:"code"`
				Text *string `json:"text"`
			} `json:"original"`
		} `json:"nodes"`
	} `json:"timeline"`
}

// fillPlain copies what the gateway shows into the plain tables.
func fillPlain(ctx context.Context, db *sql.DB, all []shown) (err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	if _, err := tx.ExecContext(ctx, plainTables); err != nil {
		return err
	}
	shipments, err := copyIn(ctx, tx, "shipments", "ulid", "id", "reference", "milestone", "outcome", "registered_at")
	if err != nil {
		return err
	}
	for i := range all {
		s := &all[i]
		if err := shipments.row(ulidOf(s.ID), s.ID, s.Reference, s.Milestone, s.Outcome, s.RegisteredAt); err != nil {
			return err
		}
	}
	if err := shipments.end(); err != nil {
		return err
	}
	legs, err := copyIn(ctx, tx, "legs", "shipment", "sequence", "stage", "state", "carrier", "number")
	if err != nil {
		return err
	}
	for i := range all {
		for _, l := range all[i].Legs {
			var carrier *string
			if l.Carrier != nil {
				carrier = &l.Carrier.Code
			}
			if err := legs.row(ulidOf(all[i].ID), l.Sequence, l.Stage, l.State, carrier, l.TrackingNumber); err != nil {
				return err
			}
		}
	}
	if err := legs.end(); err != nil {
		return err
	}
	events, err := copyIn(ctx, tx, "events", "shipment", "position", "id", "code", "stage", "occurred_at",
		"local_text", "utc_offset", "certainty", "country", "city", "original_code", "original_text")
	if err != nil {
		return err
	}
	for i := range all {
		for n, e := range all[i].Timeline.Nodes {
			var country, city *string
			if e.Place != nil {
				country, city = e.Place.Country, e.Place.City
			}
			if err := events.row(ulidOf(all[i].ID), n, e.ID, e.Code, e.Stage, e.OccurredAt,
				e.Local.Text, e.Local.Offset, e.Local.Certainty, country, city, e.Original.Code, e.Original.Text); err != nil {
				return err
			}
		}
	}
	if err := events.end(); err != nil {
		return err
	}
	return tx.Commit()
}

// copier is a COPY under way.
type copier struct {
	ctx  context.Context
	stmt *sql.Stmt
}

func copyIn(ctx context.Context, tx *sql.Tx, table string, columns ...string) (*copier, error) {
	stmt, err := tx.PrepareContext(ctx, `COPY plain.`+pq.QuoteIdentifier(table)+` (`+strings.Join(columns, ", ")+`) FROM STDIN`)
	return &copier{ctx, stmt}, err
}

func (c *copier) row(values ...any) error {
	_, err := c.stmt.ExecContext(c.ctx, values...)
	return err
}

func (c *copier) end() error {
	_, err := c.stmt.ExecContext(c.ctx)
	return errors.Join(err, c.stmt.Close())
}
