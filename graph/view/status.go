package view

import (
	"cmp"
	"slices"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// CarrierStatus is how it stands with a carrier.
type CarrierStatus struct {
	code   string
	status parcel.CarrierStatus
	// wall is the moment by the machine's clock, on which budgets and rests run.
	wall time.Time
	lens *Lens
}

// CarrierStatus sums up the accounts of a carrier that the viewer may know of:
// the deployment's and its own, or all for who runs the deployment.
func (lens *Lens) CarrierStatus(code string, accounts []parcel.AccountStatus, all bool, wall time.Time) *CarrierStatus {
	var mine []parcel.AccountStatus
	for i := range accounts {
		a := &accounts[i]
		if a.Carrier == code && (all || a.MerchantID == "" || a.MerchantID == lens.Viewer.MerchantID) {
			mine = append(mine, *a)
		}
	}
	return &CarrierStatus{code: code, status: parcel.StatusOf(mine), wall: wall, lens: lens}
}

// Code is the carrier's.
func (s *CarrierStatus) Code() string { return s.code }

// State is whether it can be asked.
func (s *CarrierStatus) State() parcel.DoorState { return s.status.State }

// LastSuccessAt is when a call or a push last succeeded.
func (s *CarrierStatus) LastSuccessAt() (time.Time, bool) { return instant(s.status.LastSuccess) }

// Problem is what is wrong now.
func (s *CarrierStatus) Problem() (CarrierProblem, bool) {
	p := CarrierProblem{since: s.status.LastFailure, now: s.wall, lens: s.lens}
	switch {
	case !s.status.RestUntil.IsZero():
		p.kind, p.retry = parcel.TroubleCircuitOpen, s.status.RestUntil
	case !s.status.BarredUntil.IsZero():
		p.kind, p.retry = parcel.TroubleThrottled, s.status.BarredUntil
	case s.status.Left == 0:
		p.kind, p.retry, p.since = parcel.TroubleThrottled, s.status.Renews, time.Time{}
	case s.status.LastFailure.After(s.status.LastSuccess):
		p.kind = s.status.LastTrouble
	default:
		return CarrierProblem{}, false
	}
	return p, true
}

// ErrorRate is the share of failed calls in the last hour.
func (s *CarrierStatus) ErrorRate() (float64, bool) { return s.status.ErrorRate() }

// LatencyMs is the median answer.
func (s *CarrierStatus) LatencyMs() (float64, bool) {
	d, ok := s.status.Latency.Quantile(0.5)
	return float64(d) / float64(time.Millisecond), ok
}

// NewsDelayHours is the median time from an event to its receipt.
func (s *CarrierStatus) NewsDelayHours() (float64, bool) {
	d, ok := s.status.Lag.Quantile(0.5)
	return d.Hours(), ok
}

// NewsDelayHours95 is the same, 95th percentile.
func (s *CarrierStatus) NewsDelayHours95() (float64, bool) {
	d, ok := s.status.Lag.Quantile(0.95)
	return d.Hours(), ok
}

// RestingUntil is until when calls rest.
func (s *CarrierStatus) RestingUntil() (time.Time, bool) { return instant(s.status.RestUntil) }

// BarredUntil is until when the carrier asked to be left alone.
func (s *CarrierStatus) BarredUntil() (time.Time, bool) { return instant(s.status.BarredUntil) }

// QuotaLeft is what is left of the budget.
func (s *CarrierStatus) QuotaLeft() (int, bool) { return s.status.Left, s.status.Left >= 0 }

// QuotaRenewsAt is when the next calls come back.
func (s *CarrierStatus) QuotaRenewsAt() (time.Time, bool) { return instant(s.status.Renews) }

// ErrorCount is how often one kind of trouble came.
type ErrorCount struct {
	Kind  parcel.Trouble
	Count int
}

// Errors are the failures by kind.
func (s *CarrierStatus) Errors() []ErrorCount {
	out := make([]ErrorCount, 0, len(s.status.Troubles))
	for t, n := range s.status.Troubles {
		out = append(out, ErrorCount{t, int(n)})
	}
	slices.SortFunc(out, func(a, b ErrorCount) int { return cmp.Or(b.Count-a.Count, cmp.Compare(a.Kind, b.Kind)) })
	return out
}

// Processes is how many tell of it.
func (s *CarrierStatus) Processes() (int, bool) { return s.status.Replicas, true }

// UnmappedCode is a code or a phrase that nobody mapped.
type UnmappedCode struct{ u *parcel.Unmapped }

// UnmappedCodes shows them.
func UnmappedCodes(list []parcel.Unmapped) []UnmappedCode {
	out := make([]UnmappedCode, len(list))
	for i := range list {
		out[i] = UnmappedCode{&list[i]}
	}
	return out
}

// Code is the carrier's.
func (u UnmappedCode) Code() string { return u.u.Code }

// Text is the words that came with it.
func (u UnmappedCode) Text() (string, bool) { return u.u.Words, u.u.Words != "" }

// Count is how often it came.
func (u UnmappedCode) Count() int { return u.u.Count }

// FirstSeenAt is when it came first.
func (u UnmappedCode) FirstSeenAt() time.Time { return u.u.First }

// LastSeenAt is when it came last.
func (u UnmappedCode) LastSeenAt() time.Time { return u.u.Last }
