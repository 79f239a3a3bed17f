package parcel

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// AccountStatus is how it stands with one carrier account, by all replicas.
type AccountStatus struct {
	CarrierBeat
	// MerchantID owns the account; empty for the deployment's own.
	MerchantID string
	// Asked tells whether the carrier can be asked through it.
	Asked bool
	// Replicas is how many processes have told of it lately.
	Replicas int
	// Left is what is left of the budget's window, -1 if it is unlimited;
	// Renews when the next calls come back to it, zero if none are out.
	Left   int
	Renews time.Time
	// BarredUntil is how long the carrier asked to be left alone; zero if it
	// does not.
	BarredUntil time.Time
}

// SortAccounts orders by carrier, then account.
func SortAccounts(list []AccountStatus) {
	slices.SortFunc(list, func(a, b AccountStatus) int {
		return cmp.Or(strings.Compare(a.Carrier, b.Carrier), strings.Compare(a.Account, b.Account))
	})
}

// DoorState is the state of a carrier's door.
type DoorState string

// The states.
const (
	DoorUp       DoorState = "UP"
	DoorDegraded DoorState = "DEGRADED"
	DoorDown     DoorState = "DOWN"
	DoorIdle     DoorState = "IDLE"
)

// CarrierStatus is how it stands with a carrier: its accounts together.
type CarrierStatus struct {
	AccountStatus
	State DoorState
	// Accounts is how many there are.
	Accounts int
}

const (
	// limping is the share of failed calls from which a door is not simply up.
	limping = 0.2
	// allFail is how many calls of an hour must have failed, and none gone
	// well, for a door to be down.
	allFail = 3
)

// StatusOf sums up the accounts of one carrier. The budget is that of the
// account with the most left, since one is enough to ask; a rest or a bar counts
// where no account is free of it.
func StatusOf(accounts []AccountStatus) CarrierStatus {
	s := CarrierStatus{State: DoorIdle, Accounts: len(accounts)}
	s.Left = -1
	free, limited := false, true
	for i := range accounts {
		a := &accounts[i]
		rest, barred := s.RestUntil, s.BarredUntil
		s.Add(&a.CarrierBeat)
		s.Carrier = a.Carrier
		s.Replicas = max(s.Replicas, a.Replicas)
		s.Asked = s.Asked || a.Asked
		// The soonest end of what keeps every account back.
		s.RestUntil, s.BarredUntil = soonest(i, rest, a.RestUntil), soonest(i, barred, a.BarredUntil)
		free = free || a.RestUntil.IsZero() && a.BarredUntil.IsZero()
		if a.Left < 0 {
			limited = false
		} else if a.Left > s.Left || s.Left < 0 {
			s.Left, s.Renews = a.Left, a.Renews
		}
	}
	if free {
		s.RestUntil, s.BarredUntil = time.Time{}, time.Time{}
	}
	if !limited {
		s.Left, s.Renews = -1, time.Time{}
	}
	s.State = s.state()
	return s
}

func soonest(i int, a, b time.Time) time.Time {
	if i == 0 || b.IsZero() || !a.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (s *CarrierStatus) state() DoorState {
	rate, _ := s.ErrorRate()
	switch {
	case s.Accounts == 0 || s.LastSuccess.IsZero() && s.LastFailure.IsZero():
		return DoorIdle
	case !s.RestUntil.IsZero(),
		s.HourCalls >= allFail && s.HourFailures == s.HourCalls,
		s.LastFailure.After(s.LastSuccess) && (s.LastTrouble == TroubleUnauthorised || s.LastSuccess.IsZero()):
		return DoorDown
	case !s.BarredUntil.IsZero(), rate >= limping, s.LastFailure.After(s.LastSuccess):
		return DoorDegraded
	}
	return DoorUp
}

// ErrorRate is the share of failed calls in the last hour; ok is false if there
// was none.
func (b *CarrierBeat) ErrorRate() (rate float64, ok bool) {
	if b.HourCalls == 0 {
		return 0, false
	}
	return float64(b.HourFailures) / float64(b.HourCalls), true
}
