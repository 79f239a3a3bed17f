package carrierkit

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/parcel"
)

// tableHeader is the header line of a code table.
const tableHeader = "code,event,reason,delivered_to,retracts,doc"

// UnmappedRule is the rule of codes that no row of a table reads.
const UnmappedRule = "unmapped"

// MustTable is ParseTable for tables embedded in an adapter: it panics on a
// table that cannot be read, which no user can mend.
func MustTable(text string) carriers.Table {
	t, err := ParseTable(text)
	if err != nil {
		panic(fmt.Sprintf("carrierkit: code table: %v", err))
	}
	return t
}

// ParseTable reads a code table:
//
//	# version: 2026-11-22
//	code,event,reason,delivered_to,retracts,doc
//	EMA,F20,,,,posting or collection
//	1.*,PICKED_UP,,,,acceptance
//
// The code is the carrier's own, byte for byte, or a prefix with one trailing
// star. An exact code beats a pattern and a longer pattern a shorter one,
// whatever their order. The event is a canonical code by id or name; reason
// and delivered_to are their names or empty; retracts is a Boolean, empty for
// false. Lines that begin with # are comments. Lookup of a code that no row
// reads gives a row with the rule UnmappedRule and the code UNKNOWN.
//
// The error is of kind parcel.ErrInvalid and names every bad line.
func ParseTable(text string) (carriers.Table, error) {
	first, rest, _ := strings.Cut(text, "\n")
	version, ok := strings.CutPrefix(strings.TrimSpace(first), "# version:")
	version = strings.TrimSpace(version)
	if !ok {
		return nil, fmt.Errorf("line 1: want %q: %w", "# version: "+time.DateOnly, parcel.ErrInvalid)
	}
	if _, err := time.Parse(time.DateOnly, version); err != nil {
		return nil, fmt.Errorf("line 1: version %q is no day: %w", version, parcel.ErrInvalid)
	}
	r := csv.NewReader(strings.NewReader(rest))
	r.Comment = '#'
	r.TrimLeadingSpace = true
	r.FieldsPerRecord = strings.Count(tableHeader, ",") + 1
	header, err := r.Read()
	if err != nil || strings.Join(header, ",") != tableHeader {
		return nil, fmt.Errorf("line 2: want the header %q: %w", tableHeader, parcel.ErrInvalid)
	}
	t := &table{version: version, exact: map[string]int{}}
	var faults []error
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		line, _ := r.FieldPos(0)
		line++ // the version line was cut off
		if err == nil {
			err = t.add(record)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("line %d: %w", line, err))
			if _, syntax := errors.AsType[*csv.ParseError](err); syntax {
				break
			}
		}
	}
	if len(t.rows) == 0 {
		faults = append(faults, errors.New("no rows"))
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("%w: %w", parcel.ErrInvalid, errors.Join(faults...))
	}
	slices.SortStableFunc(t.patterns, func(a, b pattern) int { return cmp.Compare(len(b.prefix), len(a.prefix)) })
	return t, nil
}

type table struct {
	version  string
	rows     []carriers.Row
	exact    map[string]int
	patterns []pattern // longest first
}

type pattern struct {
	prefix string
	row    int
}

func (t *table) add(record []string) error {
	row := carriers.Row{
		Rule:        record[0],
		Reason:      parcel.Reason(record[2]),
		DeliveredTo: parcel.DeliveredTo(record[3]),
		Doc:         record[5],
	}
	if code, ok := parcel.CodeByID(record[1]); ok {
		row.Code = code
	} else {
		row.Code = parcel.Code(record[1])
	}
	if record[4] != "" {
		retracts, err := strconv.ParseBool(record[4])
		if err != nil {
			return fmt.Errorf("retracts %q is no Boolean", record[4])
		}
		row.Retracts = retracts
	}
	prefix, isPattern := strings.CutSuffix(row.Rule, "*")
	_, taken := t.exact[row.Rule]
	if isPattern {
		taken = slices.ContainsFunc(t.patterns, func(p pattern) bool { return p.prefix == prefix })
	}
	switch {
	case row.Rule == "" || row.Rule == UnmappedRule:
		return fmt.Errorf("code %q cannot be a code", row.Rule)
	case strings.Contains(prefix, "*"):
		return fmt.Errorf("code %q: one star, at the end", row.Rule)
	case taken:
		return fmt.Errorf("code %q: twice", row.Rule)
	case !row.Code.Valid():
		return fmt.Errorf("code %q: event %q is none", row.Rule, record[1])
	case row.Reason != "" && !row.Reason.Valid():
		return fmt.Errorf("code %q: reason %q is none", row.Rule, row.Reason)
	case row.DeliveredTo != "" && !row.DeliveredTo.Valid():
		return fmt.Errorf("code %q: delivered_to %q is none", row.Rule, row.DeliveredTo)
	}
	if isPattern {
		t.patterns = append(t.patterns, pattern{prefix, len(t.rows)})
	} else {
		t.exact[row.Rule] = len(t.rows)
	}
	t.rows = append(t.rows, row)
	return nil
}

func (t *table) Version() string { return t.version }

func (t *table) Lookup(code string) (carriers.Row, bool) {
	if i, ok := t.exact[code]; ok {
		return t.rows[i], true
	}
	for _, p := range t.patterns {
		if strings.HasPrefix(code, p.prefix) {
			return t.rows[p.row], true
		}
	}
	return carriers.Row{Rule: UnmappedRule, Code: parcel.CodeUnknown}, false
}

func (t *table) Rows() []carriers.Row { return slices.Clone(t.rows) }
