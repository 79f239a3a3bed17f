package view

import (
	"slices"

	"github.com/milepost-gateway/milepost/parcel"
)

// problems are what was found wrong with one item, shown from the first on.
type problems struct{ all []UserError }

// UserErrors are the first of them.
func (p problems) UserErrors(first *int) []UserError { return head(p.all, first, DefaultPage) }

// RegisterResult is what became of one registration.
type RegisterResult struct {
	problems
	Outcome parcel.WriteOutcome
	// Shipment is as stored; nil if refused.
	Shipment *Shipment
}

// NewRegisterResult makes a result; errs are its problems.
func NewRegisterResult(o parcel.WriteOutcome, s *Shipment, errs []UserError) RegisterResult {
	return RegisterResult{problems{errs}, o, s}
}

// RegisterPayload is the answer of registerShipments.
type RegisterPayload struct {
	Results    []RegisterResult
	UserErrors []UserError
}

// Created is how many were new.
func (p *RegisterPayload) Created() int {
	n := 0
	for i := range p.Results {
		if p.Results[i].Outcome == parcel.WriteCreated {
			n++
		}
	}
	return n
}

// ReportResult is what became of one report.
type ReportResult struct {
	problems
	Outcome parcel.WriteOutcome
	event   *TrackingEvent
}

// NewReportResult makes a result; event is nil if it was refused.
func NewReportResult(o parcel.WriteOutcome, event *TrackingEvent, errs []UserError) ReportResult {
	return ReportResult{problems{errs}, o, event}
}

// Event is the event.
func (r ReportResult) Event() (TrackingEvent, bool) { return orNone(r.event) }

func orNone[T any](v *T) (T, bool) {
	if v == nil {
		var none T
		return none, false
	}
	return *v, true
}

// ReportPayload is the answer of reportEvents.
type ReportPayload struct {
	Results    []ReportResult
	UserErrors []UserError
}

// RetractPayload is the answer of retractEvent.
type RetractPayload struct {
	event      *TrackingEvent
	UserErrors []UserError
}

// NewRetractPayload makes the answer; event is nil if it was refused.
func NewRetractPayload(event *TrackingEvent, errs []UserError) *RetractPayload {
	return &RetractPayload{event, slices.Clip(errs)}
}

// Event is the event, marked.
func (p *RetractPayload) Event() (TrackingEvent, bool) { return orNone(p.event) }

// ChangeNumberPayload is the answer of changeTrackingNumber.
type ChangeNumberPayload struct {
	leg        *Leg
	UserErrors []UserError
}

// NewChangeNumberPayload makes the answer; leg is nil if it was refused.
func NewChangeNumberPayload(leg *Leg, errs []UserError) *ChangeNumberPayload {
	return &ChangeNumberPayload{leg, slices.Clip(errs)}
}

// Leg is the leg with the new number.
func (p *ChangeNumberPayload) Leg() (Leg, bool) { return orNone(p.leg) }

// RefreshPayload is the answer of refreshShipment.
type RefreshPayload struct {
	// Shipment is nil if refused.
	Shipment   *Shipment
	UserErrors []UserError
}

// UpsertRouteResult is what became of one route.
type UpsertRouteResult struct {
	problems
	Outcome parcel.WriteOutcome
	// Route is nil if refused.
	Route *Route
}

// NewUpsertRouteResult makes a result; errs are its problems.
func NewUpsertRouteResult(o parcel.WriteOutcome, r *Route, errs []UserError) UpsertRouteResult {
	return UpsertRouteResult{problems{errs}, o, r}
}

// UpsertRoutesPayload is the answer of upsertRoutes.
type UpsertRoutesPayload struct {
	Results    []UpsertRouteResult
	UserErrors []UserError
}
