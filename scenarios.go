package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/sim"
	"github.com/milepost-gateway/milepost/storage"
)

type scenariosCommand struct {
	List    scenariosList    `cmd:"" help:"List the public test numbers and what each shows."`
	Advance scenariosAdvance `cmd:"" help:"Let the next thing happen to a test number of a running demo."`
}

type scenariosList struct {
	JSON bool `name:"json" help:"Print JSON."`
}

func (scenariosList) Help() string {
	return `The parcels of these numbers are part of every demo, under the same numbers whatever its seed; the name is
the merchant's reference.

Examples:
  milepost scenarios list
  milepost scenarios list --json | jq -r '.[] | select(.failures | index(37)).name'`
}

func (c *scenariosList) Run(con *console) error {
	if c.JSON {
		return writeJSON(con.out, aboutScenarios())
	}
	w := tabwriter.NewWriter(con.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tNUMBER\tCARRIER\tAT THE START\tIN THE END")
	for _, a := range aboutScenarios() {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", a.Name, a.Number, a.Carrier, a.Milestone, cmp.Or(string(a.Outcome), string(a.Later)))
	}
	return w.Flush()
}

// scenarioAbout is a line of `scenarios list`.
type scenarioAbout struct {
	Name      string                 `json:"name"`
	Number    string                 `json:"number"`
	Carrier   string                 `json:"carrier"`
	Shows     string                 `json:"shows"`
	Failures  []int                  `json:"failures"`
	Milestone parcel.Milestone       `json:"milestone"`
	Health    parcel.Health          `json:"health"`
	Open      []parcel.ExceptionKind `json:"openExceptions"`
	Later     parcel.Milestone       `json:"laterMilestone"`
	Outcome   parcel.Outcome         `json:"outcome,omitempty"`
	StillOpen []parcel.ExceptionKind `json:"laterOpenExceptions"`
}

func aboutScenarios() []scenarioAbout {
	var out []scenarioAbout
	for _, s := range sim.Scenarios() {
		o := &s.Outlook
		out = append(out, scenarioAbout{
			s.Name, s.Number, s.Carrier, s.Doc, s.Failures, o.Milestone, o.Health,
			append([]parcel.ExceptionKind{}, o.Open...), o.Later, o.Outcome, append([]parcel.ExceptionKind{}, o.StillOpen...),
		})
	}
	return out
}

type scenariosAdvance struct {
	Name      string `arg:"" help:"The scenario's name, such as SIM-CUSTOMS-HOLD-RU-01, or its tracking number."`
	OpsListen string `help:"Where the demo's operations port is." default:"127.0.0.1:9090"`
	JSON      bool   `name:"json" help:"Print JSON."`
}

func (scenariosAdvance) Help() string {
	return `What the carriers have in store next for this parcel happens at once, is asked for, and moves milestones,
opens or closes exceptions, and reaches subscriptions as if its time had come. What comes after it moves up
by as much. A demo that is to wait for you runs slowly: milepost demo --speed 60.

Over HTTP the same is POST /scenarios/NAME/advance on the demo's operations port.

Examples:
  milepost scenarios advance SIM-CUSTOMS-HOLD-RU-01
  milepost scenarios advance SIM-PICKUP-POINT-US-01 --ops-listen 127.0.0.1:9091 --json`
}

func (c *scenariosAdvance) Run(ctx context.Context, con *console) error {
	at, err := reachable(c.OpsListen)
	if err != nil {
		return usage{fmt.Errorf("--ops-listen: %w", err)}
	}
	ctx, cancel := context.WithTimeout(ctx, advancePatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+at+"/scenarios/"+url.PathEscape(c.Name)+"/advance", http.NoBody)
	if err != nil {
		return err
	}
	client := newHTTPClient()
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("no demo answers at %s; start one with milepost demo, or give its --ops-listen: %w", at, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		var told struct{ Error string }
		if json.Unmarshal(body, &told) != nil || told.Error == "" {
			return fmt.Errorf("what answers at %s has no scenarios to advance (status %d); only milepost demo has", at, resp.StatusCode)
		}
		return errors.New(told.Error)
	}
	var a advanced
	if err := json.Unmarshal(body, &a); err != nil {
		return fmt.Errorf("answer of %s: %w", at, err)
	}
	if c.JSON {
		return writeJSON(con.out, a)
	}
	con.printf("%s", a.String())
	return nil
}

// advancePatience bounds what one advance may take, of which most is the wait
// for the carriers' answers.
const advancePatience = 30 * time.Second

// advanced is the answer to an advance.
type advanced struct {
	Scenario string           `json:"scenario"`
	At       time.Time        `json:"at"`
	Told     []advancedScan   `json:"told"`
	Left     int              `json:"left"`
	Now      parcel.Milestone `json:"milestone"`
	Outcome  parcel.Outcome   `json:"outcome,omitempty"`
	// Open are the kinds of exception that are open now.
	Open []parcel.ExceptionKind `json:"openExceptions"`
}

type advancedScan struct {
	Carrier string      `json:"carrier"`
	Number  string      `json:"number"`
	Code    parcel.Code `json:"code"`
}

// String says it to a person, in two lines or more.
func (a *advanced) String() string {
	var b strings.Builder
	for _, t := range a.Told {
		fmt.Fprintf(&b, "%s tells %s of %s\n", t.Carrier, t.Code, t.Number)
	}
	if len(a.Told) == 0 {
		b.WriteString("no scan: an estimate, a place made out, or a word of the merchant\n")
	}
	fmt.Fprintf(&b, "%s stands at %s", a.Scenario, a.Now)
	if a.Outcome != "" {
		fmt.Fprintf(&b, ", ended as %s", a.Outcome)
	}
	for i, k := range a.Open {
		b.WriteString([]string{", open: ", " "}[min(i, 1)] + string(k))
	}
	fmt.Fprintf(&b, "; steps to come: %d\n", a.Left)
	return b.String()
}

// stageDoor is the demo's part of the operations port: it lets things happen to
// the scenarios' parcels.
type stageDoor struct{ play atomic.Pointer[play] }

func (d *stageDoor) handlers() map[string]http.Handler {
	return map[string]http.Handler{
		"POST /scenarios/{name}/advance": http.HandlerFunc(d.advance),
		"GET /scenarios": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			reply(w, http.StatusOK, aboutScenarios())
		}),
	}
}

func (d *stageDoor) advance(w http.ResponseWriter, r *http.Request) {
	p := d.play.Load()
	if p == nil {
		refuse(w, http.StatusServiceUnavailable, errors.New("the demo is still telling its past; try again in some seconds"))
		return
	}
	name := r.PathValue("name")
	all := sim.Scenarios()
	i := slices.IndexFunc(all, func(s sim.Scenario) bool { return s.Name == name })
	if i < 0 {
		// The last with a number: an earlier one with the same is over.
		for k := range all {
			if all[k].Number == parcel.NormalizeNumber(name) {
				i, name = k, all[k].Name
			}
		}
	}
	step, err := p.network.Advance(name)
	switch {
	case errors.Is(err, parcel.ErrNotFound):
		refuse(w, http.StatusNotFound, fmt.Errorf("%s is no test number; milepost scenarios list has them all", name))
		return
	case errors.Is(err, parcel.ErrConflict):
		refuse(w, http.StatusConflict, fmt.Errorf("the story of %s is told to its end; start another demo to tell it again", name))
		return
	case err != nil:
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	a, err := p.landed(r.Context(), &step)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	reply(w, http.StatusOK, a)
}

// refuse answers with what went wrong.
func refuse(w http.ResponseWriter, status int, err error) {
	reply(w, status, struct {
		Error string `json:"error"`
	}{err.Error()})
}

func reply(w http.ResponseWriter, status int, v any) {
	var b bytes.Buffer
	if err := writeJSON(&b, v); err != nil {
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w) // who asked may have gone
}

// landed asks for what a step brought until it is in the store, or patience
// ends, and tells where the parcel is then. A number that a carrier names only
// now is known after the first asking, and asked for after the second.
func (p *play) landed(ctx context.Context, step *sim.Step) (*advanced, error) {
	a := &advanced{Scenario: step.Scenario.Name, At: step.At, Left: step.Left, Told: []advancedScan{}, Open: []parcel.ExceptionKind{}}
	for _, t := range step.Told {
		a.Told = append(a.Told, advancedScan{t.Carrier, t.Number, t.Code})
	}
	const tries, wait = 12, 500 * time.Millisecond
	var s *parcel.Shipment
	for try := 0; ; try++ {
		found, err := p.store.ShipmentsByReference(ctx, storage.OfMerchant(p.merchant), []string{step.Scenario.Name})
		if err != nil {
			return nil, err
		}
		if len(found) == 0 || found[0] == nil {
			return nil, fmt.Errorf("shipment %s: %w", step.Scenario.Name, parcel.ErrNotFound)
		}
		s = found[0].Shipment
		heldByUs := func(t sim.Told) bool {
			return slices.ContainsFunc(found[0].Trackings, func(k parcel.Tracking) bool { return k.NumberKey == t.NumberKey })
		}
		if try == tries || arrived(s, step) || try > 1 && !slices.ContainsFunc(step.Told, heldByUs) {
			break
		}
		ask := parcel.RefreshAsk{Wait: wait, Force: true}
		for i := range found[0].Trackings {
			if key := found[0].Trackings[i].NumberKey; slices.Contains(step.Numbers, key) {
				ask.Keys = append(ask.Keys, key)
			}
		}
		began := p.wall.Now()
		if _, err := p.server.ingest.Refresh(ctx, ask); err != nil && !errors.Is(err, carriers.ErrNoAccount) {
			return nil, err
		}
		if rest := wait - p.wall.Now().Sub(began); try > 0 && p.wall.Sleep(ctx, rest) != nil {
			return nil, ctx.Err()
		}
	}
	a.Now, a.Outcome = s.Journey.Milestone, s.Journey.Outcome
	for x := range s.Journey.OpenExceptions {
		a.Open = append(a.Open, x.Kind)
	}
	return a, nil
}

// arrived tells whether the scans of a step are in the timeline, whoever of
// several tells them. A carrier that writes no zone may be off by an hour.
func arrived(s *parcel.Shipment, step *sim.Step) bool {
	for _, t := range step.Told {
		if !slices.ContainsFunc(s.Journey.Events, func(e parcel.TimelineEvent) bool {
			return (e.Code == t.Code || t.Code == parcel.CodeUnknown) && e.Occurred.At.Sub(t.At).Abs() <= 90*time.Minute
		}) {
			return false
		}
	}
	return true
}
