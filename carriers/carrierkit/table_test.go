package carrierkit_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

const tableHead = "# version: 2026-11-22\ncode,event,reason,delivered_to,retracts,doc\n"

func TestTableLookup(t *testing.T) {
	table := carrierkit.MustTable(tableHead + `
1.*,PICKED_UP,,,,acceptance
1.2*,L50,,,,longer
1.23,L20,,,,exact
# a comment
2.2,D60,,SENDER,,"handed over, to the sender"
3.1,R10,REFUSED,,,
EST 9,UNKNOWN,,,true,disregard the previous
`)
	if v := table.Version(); v != "2026-11-22" {
		t.Errorf("version %q", v)
	}
	for _, tt := range []struct {
		code   string
		want   carriers.Row
		mapped bool
	}{
		{"1.23", carriers.Row{Rule: "1.23", Code: parcel.CodeOriginCountryDeparted, Doc: "exact"}, true},
		{"1.234", carriers.Row{Rule: "1.2*", Code: parcel.CodeInTransit, Doc: "longer"}, true},
		{"1.", carriers.Row{Rule: "1.*", Code: parcel.CodePickedUp, Doc: "acceptance"}, true},
		{"1", carriers.Row{Rule: "unmapped", Code: parcel.CodeUnknown}, false},
		{"", carriers.Row{Rule: "unmapped", Code: parcel.CodeUnknown}, false},
		{"1.*", carriers.Row{Rule: "1.*", Code: parcel.CodePickedUp, Doc: "acceptance"}, true},
		{"2.2", carriers.Row{Rule: "2.2", Code: parcel.CodeDelivered, DeliveredTo: parcel.DeliveredToSender, Doc: "handed over, to the sender"}, true},
		{"3.1", carriers.Row{Rule: "3.1", Code: parcel.CodeReturnStarted, Reason: parcel.ReasonRefused}, true},
		{"EST 9", carriers.Row{Rule: "EST 9", Code: parcel.CodeUnknown, Retracts: true, Doc: "disregard the previous"}, true},
	} {
		got, mapped := table.Lookup(tt.code)
		if diff := cmp.Diff(tt.want, got); diff != "" || mapped != tt.mapped {
			t.Errorf("Lookup(%q) mapped %v: %s", tt.code, mapped, diff)
		}
	}
	rows := table.Rows()
	if len(rows) != 6 || rows[0].Rule != "1.*" {
		t.Errorf("rows %+v, want the table's own order", rows)
	}
	rows[0].Code = parcel.CodeLost
	if row, _ := table.Lookup("1.9"); row.Code != parcel.CodePickedUp {
		t.Error("writing to Rows changed the table")
	}
}

func TestTableFaults(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "line 1"},
		{"no version", "code,event,reason,delivered_to,retracts,doc\nA,W10,,,,\n", "line 1"},
		{"version is no day", "# version: 2\ncode,event,reason,delivered_to,retracts,doc\nA,W10,,,,\n", `"2" is no day`},
		{"other header", "# version: 2026-11-22\ncode,event\nA,W10\n", "line 2"},
		{"no rows", tableHead, "no rows"},
		{"event is none", tableHead + "A,W11,,,,\n", `line 3: code "A": event "W11"`},
		{"reason is none", tableHead + "A,W10,X,,,\n", `reason "X"`},
		{"receiver is none", tableHead + "A,W10,,X,,\n", `delivered_to "X"`},
		{"retracts is none", tableHead + "A,W10,,,maybe,\n", `retracts "maybe"`},
		{"code twice", tableHead + "A,W10,,,,\nA,W15,,,,\n", `line 4: code "A": twice`},
		{"pattern twice", tableHead + "A*,W10,,,,\nA*,W15,,,,\n", `"A*": twice`},
		{"star inside", tableHead + "A*B,W10,,,,\n", "one star"},
		{"no code", tableHead + ",W10,,,,\n", "cannot be a code"},
		{"the word for no row", tableHead + "unmapped,W10,,,,\n", "cannot be a code"},
		{"short line", tableHead + "A,W10\n", "line 3"},
		{"open quote", tableHead + "A,W10,,,,\"x\n", "line 3"},
		{"all bad lines are named", tableHead + "A,W11,,,,\nB,W10,,,,\nC,W12,,,,\n", `line 5: code "C"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := carrierkit.ParseTable(tt.text)
			if !errors.Is(err, parcel.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want ErrInvalid with %q", err, tt.want)
			}
		})
	}
}

func TestMustTablePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	carrierkit.MustTable("")
}

func FuzzParseTable(f *testing.F) {
	f.Add(tableHead+"1.*,PICKED_UP,,,,acceptance\n", "1.2")
	f.Fuzz(func(t *testing.T, text, code string) {
		table, err := carrierkit.ParseTable(text)
		if err != nil {
			if table != nil {
				t.Error("table and error")
			}
			return
		}
		row, _ := table.Lookup(code)
		if !row.Code.Valid() || row.Rule == "" {
			t.Errorf("Lookup(%q) = %+v", code, row)
		}
	})
}
