package carriers_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/parcel"
)

type emptyTable string

func (t emptyTable) Version() string                  { return string(t) }
func (emptyTable) Lookup(string) (carriers.Row, bool) { return carriers.Row{}, false }
func (emptyTable) Rows() []carriers.Row               { return nil }

// complete is a spec that Register takes.
func complete(name string) carriers.Spec {
	return carriers.Spec{
		Name: name, Title: "Test", API: "none", Stages: []parcel.Stage{parcel.StageLastMile},
		BaseURL: "https://carrier.example", Batch: 1,
		Kinds: []carriers.PayloadKind{{Name: "track", Source: parcel.SourcePoll, Doc: "answer"}},
		Codes: emptyTable("2026-11-22"),
		New:   func(carriers.Env) (carriers.Carrier, error) { return nil, errors.New("never bound") },
		Fake:  func(carriers.FakeEnv) carriers.Fake { return nil },
	}
}

// complaint registers a spec and gives what Register panics with.
func complaint(s carriers.Spec) (said string) {
	defer func() {
		if v := recover(); v != nil {
			said = fmt.Sprint(v)
		}
	}()
	carriers.Register(s)
	return ""
}

func TestRegisterRefusesWhatIsIncomplete(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*carriers.Spec)
		want   string
	}{
		{"no name", func(s *carriers.Spec) { s.Name = "" }, "name must match"},
		{"capitals", func(s *carriers.Spec) { s.Name = "Acme" }, "name must match"},
		{"two dashes", func(s *carriers.Spec) { s.Name = "a--b" }, "name must match"},
		{"path", func(s *carriers.Spec) { s.Name = "../x" }, "name must match"},
		{"no title", func(s *carriers.Spec) { s.Title = "" }, "title and API"},
		{"no API", func(s *carriers.Spec) { s.API = "" }, "title and API"},
		{"no stages", func(s *carriers.Spec) { s.Stages = nil }, "stages are needed"},
		{"stage that is none", func(s *carriers.Spec) { s.Stages = []parcel.Stage{"SEA"} }, `stage "SEA"`},
		{"no table", func(s *carriers.Spec) { s.Codes = nil }, "code table"},
		{"table without version", func(s *carriers.Spec) { s.Codes = emptyTable("") }, "code table"},
		{"no New", func(s *carriers.Spec) { s.New = nil }, "New and Fake"},
		{"no Fake", func(s *carriers.Spec) { s.Fake = nil }, "New and Fake"},
		{"no kinds", func(s *carriers.Spec) { s.Kinds = nil }, "payload kinds"},
		{"asked in batches of none", func(s *carriers.Spec) { s.Batch = 0 }, "batch"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := complete("test-incomplete")
			tt.change(&s)
			if said := complaint(s); !strings.Contains(said, tt.want) {
				t.Errorf("Register says %q, want %q", said, tt.want)
			}
		})
	}
	if _, err := carriers.Lookup("test-incomplete"); !errors.Is(err, parcel.ErrNotFound) {
		t.Errorf("an incomplete spec was entered: %v", err)
	}
}

func TestRegistry(t *testing.T) {
	for _, name := range []string{"test-b", "test-a", "17test"} {
		if said := complaint(complete(name)); said != "" {
			t.Fatal(said)
		}
	}
	if said := complaint(complete("test-a")); !strings.Contains(said, "already there") {
		t.Errorf("Register twice says %q", said)
	}
	s, err := carriers.Lookup("test-b")
	if err != nil || s.Name != "test-b" {
		t.Errorf("got %q, %v", s.Name, err)
	}
	_, err = carriers.Lookup("test-c")
	if !errors.Is(err, parcel.ErrNotFound) || !strings.Contains(err.Error(), "17test, test-a, test-b") {
		t.Errorf("got %v, want ErrNotFound that names those there are", err)
	}
	var names []string
	for _, s := range carriers.All() {
		names = append(names, s.Name)
	}
	if !slices.IsSorted(names) || !slices.Contains(names, "test-a") {
		t.Errorf("All gives %v", names)
	}
}

func TestNoAccountIsARefusal(t *testing.T) {
	if !errors.Is(carriers.ErrNoAccount, parcel.ErrDenied) {
		t.Error("ErrNoAccount is not of kind ErrDenied")
	}
}
