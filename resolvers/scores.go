package resolvers

import (
	"slices"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/graph/model"
	"github.com/milepost-gateway/milepost/graph/view"
	"github.com/milepost-gateway/milepost/parcel"
)

// scoreDays is the window of scores where none is given.
const scoreDays = 90

// cohortFilter translates a filter; the days of first scan are the cohorts'.
func cohortFilter(in *model.ScoreFilter, now time.Time) CohortFilter {
	f := CohortFilter{Carriers: in.Carriers, Lanes: lanes(in.Lanes)}
	f.From, f.To = windowOf(in.Window, now)
	return f
}

// windowOf gives the days of a window; the last 90 where none is given.
func windowOf(in *model.DateRangeInput, now time.Time) (from, to string) {
	if in == nil {
		return now.AddDate(0, 0, -scoreDays).Format(parcel.DayLayout), ""
	}
	return value(in.From), value(in.To)
}

// passingFilter translates a filter; the days of release are the counters'.
func passingFilter(in *model.HandoverFilter, now time.Time) PassingFilter {
	f := PassingFilter{FromCarriers: in.FromCarriers, ToCarriers: in.ToCarriers, Destinations: in.Destinations, Lanes: lanes(in.Lanes)}
	f.From, f.To = windowOf(in.Window, now)
	return f
}

func handoverQuery(in *model.HandoverFilter, byLane bool, order *model.HandoverOrder, first *int, after *string) view.HandoverQuery {
	q := view.HandoverQuery{ByLane: byLane, NAtLeast: value(in.NAtLeast), First: first, After: after}
	if order != nil {
		q.By, q.Descending = order.Field, order.Direction == view.Descending
	}
	return q
}

func scoreQuery(in *model.ScoreFilter, groupBy []view.ScoreDimension, interval *view.StatInterval, order *model.ScoreOrder, first *int, after *string) view.ScoreQuery {
	q := view.ScoreQuery{GroupBy: groupBy, Each: value(interval), NAtLeast: value(in.NAtLeast), First: first, After: after}
	if order != nil {
		q.By, q.Descending = order.Field, order.Direction == view.Descending
	}
	return q
}

// carrierList is the carriers that a filter selects, by code.
func (r *Resolver) carrierList(in *model.CarrierFilter) []*view.Carrier {
	list := r.carriers.List()
	if in == nil {
		return list
	}
	begins := func(s, prefix string) bool { return strings.HasPrefix(strings.ToLower(s), prefix) }
	search := strings.ToLower(strings.TrimSpace(value(in.Search)))
	var out []*view.Carrier
	for _, c := range list {
		serves := in.Stages == nil || slices.ContainsFunc(c.Stages, func(s parcel.Stage) bool { return slices.Contains(in.Stages, s) })
		at := in.Countries == nil || slices.Contains(in.Countries, c.Home)
		if serves && at && (begins(c.Code, search) || begins(c.Name, search)) {
			out = append(out, c)
		}
	}
	return out
}
