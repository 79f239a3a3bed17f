package view

import (
	"github.com/milepost-gateway/milepost/parcel"
)

// DefaultPage is the length of a page where a field does not say otherwise, and
// MaxPage the longest.
const (
	DefaultPage = 20
	MaxPage     = 100
)

// PageArgs are the arguments of a list.
type PageArgs struct {
	First, Last   *int
	After, Before *string
}

// Bound gives the length asked for and whether it is counted from the end. Both
// lengths, or one that is out of bounds, is an InputError.
func (a PageArgs) Bound(length int) (n int, fromEnd bool, err error) {
	check := func(n int, name string) error {
		if n < 0 || n > MaxPage {
			return parcel.Invalidf(parcel.FaultOutOfRange, name, "%d: want 0 to %d", n, MaxPage)
		}
		return nil
	}
	switch {
	case a.First != nil && a.Last != nil:
		return 0, false, parcel.Invalidf(parcel.FaultMalformed, "last", "give first or last, not both")
	case a.Last != nil:
		return *a.Last, true, check(*a.Last, "last")
	case a.First != nil:
		return *a.First, false, check(*a.First, "first")
	case a.Before != nil && a.After == nil:
		return length, true, nil
	default:
		return length, false, nil
	}
}

// cut applies the bound to a list of n things of which those from lo up to hi,
// exclusive, lie between the cursors.
func (a PageArgs) cut(n, lo, hi, length int) (from, to int, p PageInfo, err error) {
	size, fromEnd, err := a.Bound(length)
	if err != nil {
		return 0, 0, PageInfo{}, err
	}
	lo, hi = max(lo, 0), min(hi, n)
	hi = max(lo, hi)
	from, to = lo, hi
	if fromEnd {
		from = max(lo, hi-size)
	} else {
		to = min(hi, lo+size)
	}
	return from, to, PageInfo{HasPreviousPage: from > 0 && n > 0, HasNextPage: to < n}, nil
}

// head cuts a list without cursors.
func head[T any](list []T, first *int, length int) []T {
	if first != nil {
		length = *first
	}
	return list[:min(max(length, 0), len(list)):min(max(length, 0), len(list))]
}

// sizeOf is how many of n a list without cursors shows.
func sizeOf(n int, first *int, length int) int {
	if first != nil {
		length = *first
	}
	return min(max(length, 0), n)
}

// PageInfo is where a page stands in its list.
type PageInfo struct {
	HasNextPage, HasPreviousPage bool
	// Start and End are the first and last edge; nil on an empty page.
	Start, End interface{ Cursor() string }
}

// StartCursor is the cursor of the first edge.
func (p PageInfo) StartCursor() (string, bool) { return cursorOf(p.Start) }

// EndCursor is the cursor of the last edge.
func (p PageInfo) EndCursor() (string, bool) { return cursorOf(p.End) }

func cursorOf(edge interface{ Cursor() string }) (string, bool) {
	if edge == nil {
		return "", false
	}
	return edge.Cursor(), true
}
