package storagetest

import (
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
)

func testDropFiles(t *testing.T, s *storage.Store) {
	const source, mine, theirs = "dpd-sftp/main sftp://dpd@example:22/out", "token of one", "token of another"
	digest := strings.Repeat("ab", 32)
	file := parcel.DropFile{Source: source, Name: "SCANINFO_1", Size: 1200, Digest: digest, Reader: "dpd-sftp 1", ModifiedAt: Epoch}
	soon, later := Epoch.Add(time.Minute), Epoch.Add(time.Hour)

	_, _, err := s.ClaimDropFile(t.Context(), file, "", Epoch, soon)
	wantKind(t, err, parcel.ErrInvalid)
	wantKind(t, s.PutDropFile(t.Context(), file, mine, soon), parcel.ErrConflict)
	_, err = s.DropFileDone(t.Context(), source, file.Size, digest)
	wantKind(t, err, parcel.ErrNotFound)

	claim := func(f parcel.DropFile, token string, now time.Time, want bool) parcel.DropFile {
		t.Helper()
		held, ok, err := s.ClaimDropFile(t.Context(), f, token, now, now.Add(time.Minute))
		if err != nil || ok != want {
			t.Fatalf("claimed %v, %v; want %v", ok, err, want)
		}
		return held
	}
	got := claim(file, mine, Epoch, true)
	want := file
	want.UpdatedAt = Epoch
	if d := gocmp.Diff(want, got); d != "" {
		t.Errorf("a fresh claim (-want +got):\n%s", d)
	}
	claim(file, theirs, Epoch, false)
	claim(file, mine, Epoch, true) // renewed

	// Progress is kept, with the lease.
	got.Taken, got.Observations, got.Bad, got.UpdatedAt = 128, 300, 2, soon
	if err := s.PutDropFile(t.Context(), got, mine, soon); err != nil {
		t.Fatal(err)
	}
	wantKind(t, s.PutDropFile(t.Context(), got, theirs, soon), parcel.ErrConflict)

	// Whoever comes when the lease has run out goes on from there, and the
	// first has lost it.
	on := claim(file, theirs, later, true)
	if d := gocmp.Diff(got, on); d != "" {
		t.Errorf("taken over (-want +got):\n%s", d)
	}
	wantKind(t, s.PutDropFile(t.Context(), got, mine, later), parcel.ErrConflict)
	on.DoneAt, on.Taken = later, 400
	if err := s.PutDropFile(t.Context(), on, theirs, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if d := gocmp.Diff(on, claim(file, mine, later, true)); d != "" {
		t.Errorf("let go (-want +got):\n%s", d)
	}

	// Another version of the name, another source.
	other, elsewhere := file, file
	other.Size, other.Digest = 1300, strings.Repeat("cd", 32)
	elsewhere.Source = "dpd-sftp/other"
	claim(other, mine, later, true)
	claim(elsewhere, mine, later, true)
	all := must(s.DropFiles(t.Context(), source, []string{"SCANINFO_1", "SCANINFO_2"}))(t)
	slices.SortFunc(all, func(a, b parcel.DropFile) int { return int(a.Size - b.Size) })
	if len(all) != 2 || all[0].Digest != digest || all[1].Digest != other.Digest || !all[1].DoneAt.IsZero() {
		t.Errorf("by name: %+v", all)
	}
	if none := must(s.DropFiles(t.Context(), source, nil))(t); len(none) > 0 {
		t.Errorf("of no name: %+v", none)
	}
	if d := gocmp.Diff(on, must(s.DropFileDone(t.Context(), source, file.Size, digest))(t)); d != "" {
		t.Errorf("by digest (-want +got):\n%s", d)
	}
	_, err = s.DropFileDone(t.Context(), "dpd-sftp/other", file.Size, digest)
	wantKind(t, err, parcel.ErrNotFound)
}
