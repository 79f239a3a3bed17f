package sim

import (
	"sync"

	"github.com/milepost-gateway/milepost/parcel"
)

// Outlook is what should be seen of a scenario: at the start of the network,
// and when its story is told to the end, a month later.
type Outlook struct {
	// Milestone and Open, the kinds of exception that are open, hold at the
	// start.
	Milestone parcel.Milestone
	Open      []parcel.ExceptionKind
	// Later and StillOpen hold in the end; Outcome is empty for a parcel that
	// is still under way then.
	Later     parcel.Milestone
	Outcome   parcel.Outcome
	StillOpen []parcel.ExceptionKind
	// Health is what is known of the knowledge at the start.
	Health parcel.Health
}

// outlooks are those of all scenarios by name, made once at first use; nobody
// writes to them afterwards.
var outlooks = sync.OnceValue(func() map[string]Outlook {
	const (
		registered = parcel.MilestoneRegistered
		pickedUp   = parcel.MilestonePickedUp
		departed   = parcel.MilestoneOriginDeparted
		arrived    = parcel.MilestoneDestinationArrived
		cleared    = parcel.MilestoneCustomsCleared
		lastMile   = parcel.MilestoneLastMile
		out        = parcel.MilestoneOutForDelivery
		waiting    = parcel.MilestoneReadyForPickup
		there      = parcel.MilestoneDelivered
		delivered  = parcel.OutcomeDelivered
		awaiting   = parcel.HealthAwaitingFirstScan
		between    = parcel.HealthBetweenCarriers
		finished   = parcel.HealthFinished
		live       = parcel.HealthLive
		notFound   = parcel.HealthNotFound
		quiet      = parcel.HealthQuiet
	)
	open := func(k ...parcel.ExceptionKind) []parcel.ExceptionKind { return k }
	held, act := parcel.ExceptionCustomsHeld, parcel.ExceptionActionRequired
	return map[string]Outlook{
		"SIM-DATE-ONLY-ETA-US-01":       {pickedUp, nil, there, delivered, nil, live},
		"SIM-NO-ZONE-BR-01":             {pickedUp, nil, there, delivered, nil, live},
		"SIM-MIXED-ZONES-US-01":         {pickedUp, nil, there, delivered, nil, live},
		"SIM-MIDNIGHT-CN-01":            {departed, nil, there, delivered, nil, between},
		"SIM-CLOCK-JUMPS-BACK-BR-01":    {arrived, nil, there, delivered, nil, quiet},
		"SIM-TOLD-WITHOUT-CITY-RU-01":   {pickedUp, nil, there, delivered, nil, live},
		"SIM-REGISTERED-TWICE-US-01":    {pickedUp, nil, there, delivered, nil, live},
		"SIM-RECYCLED-NUMBER-RU-01":     {there, nil, there, delivered, nil, finished},
		"SIM-RECYCLED-NUMBER-RU-02":     {departed, nil, there, delivered, nil, between},
		"SIM-NUMBER-CORRECTED-US-01":    {pickedUp, nil, there, delivered, nil, live},
		"SIM-PUSHED-TWICE-US-01":        {pickedUp, nil, there, delivered, nil, live},
		"SIM-UNKNOWN-IN-BATCH-BR-01":    {registered, nil, registered, "", nil, notFound},
		"SIM-ASKED-BY-MANY-US-01":       {pickedUp, nil, there, delivered, nil, live},
		"SIM-LATE-SCAN-RU-01":           {there, nil, there, delivered, nil, finished},
		"SIM-TWO-PARCELS-US-01":         {pickedUp, nil, there, delivered, nil, live},
		"SIM-TWO-PARCELS-US-02":         {pickedUp, nil, there, delivered, nil, live},
		"SIM-OUT-AFTER-DELIVERY-US-01":  {pickedUp, nil, there, delivered, nil, live},
		"SIM-LEGS-OVERLAP-BR-01":        {lastMile, nil, there, delivered, nil, live},
		"SIM-LABEL-ONLY-US-01":          {registered, nil, registered, "", nil, quiet},
		"SIM-STATION-SIGNED-AU-01":      {waiting, nil, there, delivered, nil, live},
		"SIM-PREDECLARED-BR-01":         {pickedUp, nil, there, delivered, nil, live},
		"SIM-PICKUP-POINT-US-01":        {waiting, nil, there, delivered, nil, live},
		"SIM-FROZEN-RU-01":              {departed, nil, there, delivered, nil, quiet},
		"SIM-PUSH-LATE-US-01":           {pickedUp, nil, there, delivered, nil, live},
		"SIM-SEEN-AGAIN-DE-01":          {departed, nil, there, delivered, nil, quiet},
		"SIM-FRESH-LABEL-US-01":         {registered, nil, there, delivered, nil, awaiting},
		"SIM-EMPTY-TIMELINE-CN-01":      {registered, nil, registered, "", nil, awaiting},
		"SIM-RELABELLED-AU-01":          {cleared, nil, there, delivered, nil, live},
		"SIM-SILENT-BORDER-BR-01":       {lastMile, nil, there, delivered, nil, between},
		"SIM-NO-CARRIER-NAMED-RU-01":    {departed, nil, there, delivered, nil, live},
		"SIM-WRONG-CARRIER-DE-01":       {departed, nil, there, delivered, nil, live},
		"SIM-TOLD-BY-TWO-RU-01":         {cleared, nil, there, delivered, nil, live},
		"SIM-NO-PLACE-RU-01":            {pickedUp, nil, there, delivered, nil, live},
		"SIM-UNKNOWN-CODE-RU-01":        {pickedUp, nil, there, delivered, nil, live},
		"SIM-HTML-ANSWER-US-01":         {pickedUp, nil, there, delivered, nil, live},
		"SIM-CUT-ANSWER-US-01":          {pickedUp, nil, there, delivered, nil, live},
		"SIM-BUSY-CARRIER-RU-01":        {pickedUp, nil, there, delivered, nil, live},
		"SIM-FAILING-CARRIER-US-01":     {pickedUp, nil, there, delivered, nil, live},
		"SIM-CUSTOMS-HOLD-RU-01":        {arrived, open(held), there, delivered, nil, live},
		"SIM-DUTY-DUE-BR-01":            {arrived, open(held, act), there, delivered, nil, live},
		"SIM-DOCUMENTS-RU-01":           {arrived, open(held, act), there, delivered, nil, live},
		"SIM-SEIZED-RU-01":              {arrived, open(held), arrived, parcel.OutcomeDisposed, nil, live},
		"SIM-ADDRESS-PROBLEM-US-01":     {pickedUp, open(parcel.ExceptionAddressProblem, act), there, delivered, nil, live},
		"SIM-NOBODY-HOME-BR-01":         {out, open(parcel.ExceptionAttemptFailed), there, delivered, nil, live},
		"SIM-STALLED-DE-01":             {arrived, nil, there, delivered, nil, quiet},
		"SIM-NOT-COLLECTED-RU-01":       {waiting, open(parcel.ExceptionReturning), waiting, parcel.OutcomeReturned, nil, live},
		"SIM-REFUSED-BR-01":             {out, open(parcel.ExceptionReturning), out, parcel.OutcomeReturned, nil, live},
		"SIM-DAMAGED-US-01":             {pickedUp, open(parcel.ExceptionDamaged), there, delivered, open(parcel.ExceptionDamaged), live},
		"SIM-LOST-RU-01":                {cleared, nil, cleared, parcel.OutcomeLost, open(parcel.ExceptionLostSuspected), quiet},
		"SIM-FOUND-AGAIN-US-01":         {pickedUp, open(parcel.ExceptionLostSuspected), there, delivered, nil, finished},
		"SIM-RETURNED-LATER-US-01":      {there, open(parcel.ExceptionReturning), there, delivered, nil, finished},
		"SIM-CANCELLED-US-01":           {registered, nil, registered, parcel.OutcomeCancelled, nil, awaiting},
		"SIM-WEATHER-US-01":             {pickedUp, open(parcel.ExceptionDelayed), there, delivered, nil, live},
		"SIM-DELIVERED-NEIGHBOUR-BR-01": {pickedUp, nil, there, delivered, nil, live},
		"SIM-TOLD-BY-TWO-POSTS-RU-01":   {cleared, nil, there, delivered, nil, live},
		"SIM-NO-FIRST-SCAN-AU-01":       {parcel.MilestoneDispatched, nil, pickedUp, "", nil, quiet},
	}
})
