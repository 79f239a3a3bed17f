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
	if in.Window == nil {
		f.From = now.AddDate(0, 0, -scoreDays).Format(parcel.DayLayout)
		return f
	}
	f.From, f.To = value(in.Window.From), value(in.Window.To)
	return f
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
