package parcel

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// codeIDs lists the identifiers of the codes for which keep holds, in table
// order, so that a whole column of the table reads as one line in a test.
func codeIDs(keep func(CodeInfo) bool) string {
	var ids []string
	for _, c := range Codes() {
		if i := c.Info(); keep(i) {
			ids = append(ids, i.ID)
		}
	}
	return strings.Join(ids, " ")
}

func TestCodesAreOneTable(t *testing.T) {
	codes := Codes()
	if len(codes) != 52 {
		t.Fatalf("Codes() has %d codes, want 52", len(codes))
	}
	stages := map[byte]Stage{
		'W': StageWarehouse, 'F': StageFirstMile, 'L': StageLinehaul,
		'C': StageCustoms, 'D': StageLastMile, 'X': "", 'R': "",
	}
	seen := map[string]bool{}
	for row, c := range codes {
		info := c.Info()
		if info.Code != c || codeRow(c) != row {
			t.Errorf("%s is in row %d and found in row %d (%s)", c, row, codeRow(c), info.Code)
		}
		if seen[string(c)] || seen[info.ID] {
			t.Errorf("%s (%s) stands twice in the table", c, info.ID)
		}
		seen[string(c)], seen[info.ID] = true, true
		if info.Meaning == "" {
			t.Errorf("%s has no meaning", c)
		}
		if want := stages[info.ID[0]]; info.Stage != want || c.Stage() != want {
			t.Errorf("%s is %s and in stage %q, want %q", c, info.ID, info.Stage, want)
		}
		if got, ok := CodeByID(info.ID); got != c || !ok {
			t.Errorf("CodeByID(%q) = %q, %v, want %q", info.ID, got, ok, c)
		}
		if !c.Valid() {
			t.Errorf("%s is not valid", c)
		}
		if c.Proves() != info.Proves || c.IsMovement() != info.Movement {
			t.Errorf("%s: the methods and Info disagree", c)
		}
		if info.Proves != "" && !info.Proves.Valid() {
			t.Errorf("%s proves %q, which is no milestone", c, info.Proves)
		}
		for _, k := range info.Opens {
			if !k.Valid() {
				t.Errorf("%s opens %q, which is no exception", c, k)
			}
		}
	}

	codes[0] = "OVERWRITTEN"
	if Codes()[0] != CodeInfoReceived {
		t.Error("writing to the result of Codes changed the table")
	}
}

func TestCodeColumns(t *testing.T) {
	proves := func(m Milestone) func(CodeInfo) bool {
		return func(i CodeInfo) bool { return i.Proves == m }
	}
	ends := func(o Outcome) func(CodeInfo) bool {
		return func(i CodeInfo) bool { return i.Outcome == o }
	}
	opens := func(kinds ...ExceptionKind) func(CodeInfo) bool {
		return func(i CodeInfo) bool { return cmp.Equal(i.Opens, kinds) }
	}
	states := func(r Reason) func(CodeInfo) bool {
		return func(i CodeInfo) bool { return i.Reason == r }
	}
	tests := []struct {
		name string
		keep func(CodeInfo) bool
		want string
	}{
		{"proves registered", proves(MilestoneRegistered), "W10 W15 W20 W30"},
		{"proves dispatched", proves(MilestoneDispatched), "W40"},
		{"proves picked up", proves(MilestonePickedUp), "F20 F25 F40 F45 L10 L15 C10 C15 C19"},
		{"proves origin departed", proves(MilestoneOriginDeparted), "L20 L30 L35"},
		{"proves destination arrived", proves(MilestoneDestinationArrived), "L40 L42 C30 C40 C42 C44"},
		{"proves customs cleared", proves(MilestoneCustomsCleared), "L45 C49"},
		{"proves last mile", proves(MilestoneLastMile), "D10 D20"},
		{"proves out for delivery", proves(MilestoneOutForDelivery), "D30 D40"},
		{"proves ready for pickup", proves(MilestoneReadyForPickup), "D50"},
		{"proves delivered", proves(MilestoneDelivered), "D60 D65"},
		{
			"proves nothing", proves(""),
			"W90 F10 F90 F91 L50 L90 C20 C90 D25 X10 X15 X20 X30 X40 X50 X60 X70 X75 R10 R20",
		},
		{
			"moves", func(i CodeInfo) bool { return i.Movement },
			"F20 F25 F40 F45 L10 L15 L20 L30 L35 L40 L42 L45 L50 D10 D20 D30 D50",
		},
		{"ends delivered", ends(OutcomeDelivered), "D60 D65"},
		{"ends returned", ends(OutcomeReturned), "R20"},
		{"ends lost", ends(OutcomeLost), "X60"},
		{"ends disposed", ends(OutcomeDisposed), "X70"},
		{"ends cancelled", ends(OutcomeCancelled), "X75"},
		{"opens a customs hold", opens(ExceptionCustomsHeld), "C15 C40 C90"},
		{"opens a customs hold and asks", opens(ExceptionCustomsHeld, ExceptionActionRequired), "C42 C44"},
		{"opens a carrier hold", opens(ExceptionCarrierHeld), "W90 X15"},
		{"opens a delay", opens(ExceptionDelayed), "F90 L90 X10"},
		{"opens a failed attempt", opens(ExceptionAttemptFailed), "D40 X30 X40"},
		{"opens an address problem and asks", opens(ExceptionAddressProblem, ExceptionActionRequired), "X20"},
		{"opens damage", opens(ExceptionDamaged), "D65 X50"},
		{"opens a loss", opens(ExceptionLostSuspected), "X60"},
		{"opens a return", opens(ExceptionReturning), "R10"},
		{"is critical", func(i CodeInfo) bool { return i.Critical }, "C90"},
		{"says documents missing", states(ReasonDocumentsMissing), "C42"},
		{"says duty unpaid", states(ReasonDutyUnpaid), "C44"},
		{"says refused", states(ReasonRefused), "X30"},
		{"says not collected", states(ReasonNotCollected), "X40"},
		{"opens and moves at once", func(i CodeInfo) bool { return i.Movement && i.Opens != nil }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, codeIDs(tt.keep)); diff != "" {
				t.Errorf("codes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCodeUnknown(t *testing.T) {
	tests := []struct {
		name  string
		code  Code
		valid bool
	}{
		{"unknown itself", CodeUnknown, true},
		{"zero value", "", false},
		{"a carrier's own code", "Z9", false},
		{"lower case", "delivered", false},
		{"an identifier", "D60", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.code.Valid(); got != tt.valid {
				t.Errorf("Valid() = %v, want %v", got, tt.valid)
			}
			want := CodeInfo{Code: CodeUnknown, Meaning: "a carrier code that nobody mapped yet"}
			if diff := cmp.Diff(want, tt.code.Info()); diff != "" {
				t.Errorf("Info() (-want +got):\n%s", diff)
			}
			if tt.code.Proves() != "" || tt.code.Stage() != "" || tt.code.IsMovement() {
				t.Error("an unknown code moves the shipment")
			}
		})
	}
}

func TestCodeByIDRefuses(t *testing.T) {
	for _, id := range []string{"", "w10", "W11", "W100", "DELIVERED", "UNKNOWN"} {
		if got, ok := CodeByID(id); got != CodeUnknown || ok {
			t.Errorf("CodeByID(%q) = %q, %v, want UNKNOWN, false", id, got, ok)
		}
	}
}

func TestCodeLookupAllocatesNothing(t *testing.T) {
	codes := append(Codes(), CodeUnknown, "Z9")
	var sink int
	allocs := testing.AllocsPerRun(100, func() {
		for _, c := range codes {
			sink += len(c.Info().ID) + c.Proves().Rank() + c.Stage().Rank()
			name, _ := c.In(VocabularyKarrio)
			sink += len(name)
		}
	})
	if allocs != 0 {
		t.Errorf("looking up every code allocates %v times, want 0 (sum %d)", allocs, sink)
	}
}

func TestRanksFollowTheOrder(t *testing.T) {
	for i, m := range Milestones() {
		if m.Rank() != i+1 || !m.Valid() {
			t.Errorf("%s: rank %d, valid %v, want %d, true", m, m.Rank(), m.Valid(), i+1)
		}
	}
	for i, s := range Stages() {
		if s.Rank() != i+1 || !s.Valid() {
			t.Errorf("%s: rank %d, valid %v, want %d, true", s, s.Rank(), s.Valid(), i+1)
		}
	}
	for i, s := range []Severity{SeverityInfo, SeverityWatch, SeverityAbnormal, SeverityCritical} {
		if s.Rank() != i+1 || !s.Valid() {
			t.Errorf("%s: rank %d, valid %v, want %d, true", s, s.Rank(), s.Valid(), i+1)
		}
	}
	if len(Milestones()) != 10 || len(Stages()) != 5 {
		t.Errorf("%d milestones and %d stages, want 10 and 5", len(Milestones()), len(Stages()))
	}
}

func TestValidRefusesOtherText(t *testing.T) {
	for _, s := range []string{"", "NONE", "delivered", "DELIVERED "} {
		valid := map[string]bool{
			"Milestone": Milestone(s).Valid(), "Stage": Stage(s).Valid(), "Outcome": Outcome(s).Valid(),
			"ExceptionKind": ExceptionKind(s).Valid(), "Severity": Severity(s).Valid(),
			"Reason": Reason(s).Valid(), "DeliveredTo": DeliveredTo(s).Valid(), "Vocabulary": Vocabulary(s).Valid(),
		}
		for kind, ok := range valid {
			if ok {
				t.Errorf("%s(%q) is valid", kind, s)
			}
		}
		if Milestone(s).Rank() != 0 || Stage(s).Rank() != 0 || Severity(s).Rank() != 0 {
			t.Errorf("%q has a rank", s)
		}
	}
}

func TestValidAcceptsEachName(t *testing.T) {
	for _, o := range []Outcome{OutcomeDelivered, OutcomeReturned, OutcomeLost, OutcomeDisposed, OutcomeCancelled} {
		if !o.Valid() {
			t.Errorf("outcome %s is not valid", o)
		}
	}
	for _, r := range []Reason{
		ReasonDocumentsMissing, ReasonDeclarationIncorrect, ReasonDutyUnpaid, ReasonInspection,
		ReasonProhibited, ReasonBrandRights, ReasonAddressIncorrect, ReasonRecipientAbsent,
		ReasonRecipientMoved, ReasonRecipientUnreachable, ReasonBusinessClosed, ReasonRefused,
		ReasonNotCollected, ReasonPaymentMissing, ReasonRescheduled, ReasonWeather, ReasonDisruption,
		ReasonCapacity, ReasonMissedConnection, ReasonMisrouted, ReasonLabelDamaged, ReasonPacking,
		ReasonMeasuresWrong, ReasonSecurity, ReasonHoliday, ReasonOutOfStock, ReasonOther,
	} {
		if !r.Valid() {
			t.Errorf("reason %s is not valid", r)
		}
	}
	for _, d := range []DeliveredTo{
		DeliveredToRecipient, DeliveredToNeighbour, DeliveredToSafePlace, DeliveredToReception,
		DeliveredToLocker, DeliveredToPickupPoint, DeliveredToPOBox, DeliveredToSender,
	} {
		if !d.Valid() {
			t.Errorf("receiver %s is not valid", d)
		}
	}
}

func TestDefaultSeverity(t *testing.T) {
	want := map[ExceptionKind]Severity{
		ExceptionCustomsHeld:    SeverityAbnormal,
		ExceptionCarrierHeld:    SeverityAbnormal,
		ExceptionDelayed:        SeverityWatch,
		ExceptionActionRequired: SeverityAbnormal,
		ExceptionAttemptFailed:  SeverityWatch,
		ExceptionAddressProblem: SeverityAbnormal,
		ExceptionDamaged:        SeverityCritical,
		ExceptionLostSuspected:  SeverityCritical,
		ExceptionReturning:      SeverityAbnormal,
		ExceptionNoFirstScan:    SeverityAbnormal,
		ExceptionStalled:        SeverityAbnormal,
		ExceptionSilent:         SeverityWatch,
		ExceptionPromiseAtRisk:  SeverityWatch,
		ExceptionPromiseMissed:  SeverityAbnormal,
	}
	got := map[ExceptionKind]Severity{}
	for _, k := range ExceptionKinds() {
		if !k.Valid() {
			t.Errorf("%s is not valid", k)
		}
		got[k] = k.DefaultSeverity()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("severities (-want +got):\n%s", diff)
	}
	if s := ExceptionKind("").DefaultSeverity(); s != SeverityInfo {
		t.Errorf("no exception has severity %s, want INFO", s)
	}
}
