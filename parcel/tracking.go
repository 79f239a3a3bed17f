package parcel

import (
	"cmp"
	"strings"
	"time"
)

// NumberKey is a carrier's name for a parcel: the unit in which carriers are
// asked.
type NumberKey struct {
	Carrier, Number string
}

// Compare orders keys by carrier, then number: the one order in which numbers
// are locked.
func (k NumberKey) Compare(other NumberKey) int {
	return cmp.Or(strings.Compare(k.Carrier, other.Carrier), strings.Compare(k.Number, other.Number))
}

// Trouble is why a carrier could not be heard.
type Trouble string

// The kinds.
const (
	TroubleTimeout       Trouble = "TIMEOUT"
	TroubleUnavailable   Trouble = "UNAVAILABLE"
	TroubleThrottled     Trouble = "THROTTLED"
	TroubleUnauthorised  Trouble = "UNAUTHORISED"
	TroubleUnreadable    Trouble = "UNREADABLE"
	TroubleCircuitOpen   Trouble = "CIRCUIT_OPEN"
	TroubleNumberUnknown Trouble = "NUMBER_UNKNOWN"
	TroubleNotConfigured Trouble = "NOT_CONFIGURED"
)

// Tracking is what is known about asking for a number: when the carrier was
// last heard, what it answered, what went wrong, when it is asked next.
type Tracking struct {
	NumberKey
	// Account is the carrier account through which it is asked; empty if none
	// serves it.
	Account string
	// Postcode of the destination, for carriers that ask for it.
	Postcode string
	// WatchedAt is when somebody first registered it.
	WatchedAt time.Time
	// HeardAt is the last success, with or without news; zero if never.
	HeardAt time.Time
	// HeardBy is the door of that success.
	HeardBy SourceKind
	// Finding is the carrier's last answer; empty if never heard.
	Finding Finding
	// Trouble is what went wrong since TroubleSince without interruption; empty
	// if nothing did. RetryAt is when another try makes sense, zero if unknown.
	Trouble      Trouble
	TroubleSince time.Time
	RetryAt      time.Time
	// Failures is the number of attempts that failed in a row.
	Failures int
	// NextAt is the next planned look; zero if none is planned.
	NextAt time.Time
	// LeasedUntil is set while some replica asks.
	LeasedUntil time.Time
	// Owner is the merchant in whose turn it is asked for: the first who
	// registered it. Empty if nobody did.
	Owner string
	// Worth is how much news of it is wanted where not all can be asked for.
	Worth Worth
}

// Worth orders numbers that are due where the carrier may not be asked for all
// of them. Each step may be later than the one above it by so much, and no more:
// see [Worth.Slack].
type Worth int

// The worths.
const (
	WorthLittle Worth = iota // ended, unknown beyond its grace, or silent for long
	WorthMoving              // under way
	WorthSoon                // in the country of destination, or never heard of yet
	WorthNear                // in the last mile, or waiting to be picked up
	WorthToday               // out for delivery
)

// Slack is how late a number of this worth may be looked at before it counts as
// much as one that is due this moment and out for delivery.
func (w Worth) Slack() time.Duration {
	switch w {
	case WorthToday:
		return 0
	case WorthNear:
		return time.Hour
	case WorthSoon:
		return 2 * time.Hour
	case WorthMoving:
		return 6 * time.Hour
	default:
		return 24 * time.Hour
	}
}

// Due asks for numbers of a carrier whose planned look is due.
type Due struct {
	Carrier string
	// Now is the moment; numbers are leased until Until under Token.
	Now, Until time.Time
	Token      string
	// Limit is the most numbers.
	Limit int
	// Room is how many numbers of a merchant may be asked for; nil is any
	// number of everyone's. It is called once for each merchant of a look.
	Room func(owner string) int
	// After is the merchant at whom the last look ended: this one begins with
	// the next.
	After string
}

// Unserved asks for numbers of a carrier that were registered while no account
// could ask for them, so that an account that is there now does.
type Unserved struct {
	// Carrier and Account serve them from now on; MerchantID is whose account it
	// is, empty for the deployment's, which serves everybody's.
	Carrier, Account, MerchantID string
	// Alone leaves out numbers that other merchants hold too.
	Alone bool
	Now   time.Time
	// At is when the i-th of those found is asked for first, from 0.
	At func(i int) time.Time
	// After is the number at which the last look ended: this one begins behind
	// it. Limit is the most numbers that a look passes.
	After string
	Limit int
}

// Health is whether our knowledge is alive: computed when asked, never stored.
type Health string

// The healths.
const (
	HealthAwaitingFirstScan Health = "AWAITING_FIRST_SCAN"
	HealthLive              Health = "LIVE"
	HealthQuiet             Health = "QUIET"
	HealthBetweenCarriers   Health = "BETWEEN_CARRIERS"
	HealthStale             Health = "STALE"
	HealthNotFound          Health = "NOT_FOUND"
	HealthSourceDown        Health = "SOURCE_DOWN"
	HealthFinished          Health = "FINISHED"
)

// Healths lists them.
func Healths() []Health {
	return []Health{HealthAwaitingFirstScan, HealthLive, HealthQuiet, HealthBetweenCarriers, HealthStale, HealthNotFound, HealthSourceDown, HealthFinished}
}

// Habits are a lane's usual gaps. The zero value stands for "not known yet":
// the defaults then hold.
type Habits struct {
	// FirstScan is how long a label usually waits at most for its first scan.
	FirstScan time.Duration
	// Gap is how long a moving parcel usually goes without news at most.
	Gap time.Duration
	// Border is the same for the way between two carriers or countries.
	Border time.Duration
	// Grace is how long a carrier usually knows nothing of a fresh number; nil
	// or 0 is [DefaultGrace].
	Grace func(carrier string) time.Duration
}

func (h *Habits) grace(carrier string) time.Duration {
	if h.Grace != nil {
		if d := h.Grace(carrier); d > 0 {
			return d
		}
	}
	return DefaultGrace
}

// The defaults, by the trade's experience of parcels leaving China: labels are
// scanned within 5 days, a moving parcel is heard of within 5 days, and across
// the border within 20.
const (
	defaultFirstScan = 5 * 24 * time.Hour
	defaultGap       = 5 * 24 * time.Hour
	defaultBorder    = 20 * 24 * time.Hour
)

func (h Habits) orDefault() Habits {
	if h.FirstScan <= 0 {
		h.FirstScan = defaultFirstScan
	}
	if h.Gap <= 0 {
		h.Gap = defaultGap
	}
	if h.Border <= 0 {
		h.Border = defaultBorder
	}
	return h
}

// Budget is how old knowledge about a leg may get before its carrier is asked
// again: minutes when the parcel is out for delivery, hours in linehaul. An
// ended journey never ages: the budget is 0 and final is true.
func Budget(m Milestone, o Outcome) (budget time.Duration, final bool) {
	if o != "" {
		return 0, true
	}
	switch m {
	case MilestoneOutForDelivery:
		return 15 * time.Minute, false
	case MilestoneLastMile, MilestoneReadyForPickup:
		return time.Hour, false
	case MilestoneDestinationArrived, MilestoneCustomsCleared:
		return 2 * time.Hour, false
	case MilestoneOriginDeparted:
		return 6 * time.Hour, false
	case MilestonePickedUp, MilestoneDispatched:
		return 4 * time.Hour, false
	default:
		return 6 * time.Hour, false
	}
}

// FreshnessState is how old knowledge is.
type FreshnessState string

// The states.
const (
	FreshnessFresh       FreshnessState = "FRESH"
	FreshnessStale       FreshnessState = "STALE"
	FreshnessRefreshing  FreshnessState = "REFRESHING"
	FreshnessUnavailable FreshnessState = "UNAVAILABLE"
	FreshnessNever       FreshnessState = "NEVER"
	FreshnessFinal       FreshnessState = "FINAL"
)

// Freshness tells how old what is known about a number is at now, by the
// shipment's milestone and outcome, or by maxAge if it is positive.
func (t *Tracking) Freshness(now time.Time, m Milestone, o Outcome, maxAge time.Duration) FreshnessState {
	budget, final := Budget(m, o)
	if maxAge > 0 {
		budget = maxAge
	}
	switch {
	case final:
		return FreshnessFinal
	case !t.HeardAt.IsZero() && now.Sub(t.HeardAt) <= budget:
		return FreshnessFresh
	case t.Trouble != "" && t.Trouble != TroubleNumberUnknown:
		return FreshnessUnavailable
	case t.LeasedUntil.After(now):
		return FreshnessRefreshing
	case t.HeardAt.IsZero():
		return FreshnessNever
	default:
		return FreshnessStale
	}
}

// DefaultGrace is how long "unknown number" is normal where the carrier's own
// grace is not known: a label made today is often not in its system for days.
const DefaultGrace = 72 * time.Hour

// downAfter is how long a carrier may fail before its silence counts as its
// own: a short outage is hidden by the age of what is known.
const downAfter = time.Hour

// HealthAt computes the health of a shipment's tracking at now from its journey
// and from what is known about asking its open numbers.
func (s *Shipment) HealthAt(now time.Time, open []Tracking, habits Habits) Health {
	h := habits.orDefault()
	j := &s.Journey
	if j.Outcome != "" {
		return HealthFinished
	}
	last, any := j.LatestEvent()
	var down, unknown, stale bool
	for i := range open {
		t := &open[i]
		switch {
		case t.Trouble != "" && t.Trouble != TroubleNumberUnknown && !t.TroubleSince.IsZero() && now.Sub(t.TroubleSince) > downAfter:
			down = true
		case t.Finding == FindingUnknown:
			// One that may still be on its way into the system says nothing yet.
			unknown = unknown || now.Sub(s.RegisteredAt) > h.grace(t.Carrier)
		case !t.NextAt.IsZero():
			// Looks at a silent parcel are planned far apart: what counts is
			// that a planned one is overdue.
			budget, _ := Budget(j.Milestone, j.Outcome)
			stale = stale || now.Sub(t.NextAt) > budget
		}
	}
	switch {
	case down:
		return HealthSourceDown
	case !any || last.Code.Proves().Rank() <= MilestoneRegistered.Rank() && j.Milestone.Rank() <= MilestoneRegistered.Rank():
		if unknown {
			return HealthNotFound
		}
		if now.Sub(s.RegisteredAt) <= h.FirstScan {
			return HealthAwaitingFirstScan
		}
		return HealthQuiet
	case stale:
		return HealthStale
	}
	silence := now.Sub(last.Occurred.At)
	if j.Custody.State == CustodyBetween {
		if silence <= h.Border {
			return HealthBetweenCarriers
		}
		return HealthQuiet
	}
	gap := h.Gap
	if j.Milestone == MilestoneOriginDeparted || last.Read == CodeHandedToLinehaul {
		gap = h.Border
	}
	if silence <= gap {
		return HealthLive
	}
	return HealthQuiet
}
