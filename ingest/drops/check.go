package drops

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/parcel"
)

// maxFaultsShown is how many bad lines of a file a report has.
const maxFaultsShown = 10

// Report is what a trial of a source found.
type Report struct {
	// Address of the folder.
	Address string `json:"address"`
	// Files that a look would read, oldest first, and those that it never reads.
	Files   []FileReport `json:"files"`
	Refused []FileReport `json:"refused,omitempty"`
	// Passed over are names that Match leaves out, folders, and files that
	// programs are still writing.
	PassedOver int `json:"passedOver"`
}

// FileReport is what was found of one file.
type FileReport struct {
	Name     string    `json:"name"`
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
	// State says in words what a look would do.
	State string `json:"state"`
	// Read is set where the file was read for the trial; what follows counts
	// what is in it.
	Read         bool `json:"read"`
	Payloads     int  `json:"payloads,omitempty"`
	Observations int  `json:"observations,omitempty"`
	Unmapped     int  `json:"unmapped,omitempty"`
	Bad          int  `json:"bad,omitempty"`
	// Faults are the first bad lines.
	Faults []string `json:"faults,omitempty"`
}

// Try looks at a source once and reads its newest complete files, at most read
// of them, to see whether they can be. It stores, moves and deletes nothing,
// and does not know what was read before.
func Try(ctx context.Context, s Source, o Options, read int) (Report, error) {
	if err := s.Check(); err != nil {
		return Report{}, err
	}
	w := newWatch(s, o, "")
	out := Report{Address: s.Place.Address(), Files: []FileReport{}}
	f, err := w.Place.open(ctx)
	if err != nil {
		return out, err
	}
	defer func() { _ = f.close() }()
	all, err := f.list(ctx)
	if err != nil {
		return out, err
	}
	files, semaphores, refused := w.sort(all)
	for _, r := range refused {
		out.Refused = append(out.Refused, FileReport{Name: r.name, State: r.why})
	}
	out.PassedOver = len(all) - len(files) - len(refused) - len(semaphores)
	trials := map[string]bool{}
	for i := len(files) - 1; i >= 0 && len(trials) < read; i-- {
		if w.Semaphore == "" || semaphores[w.semaphoreOf(files[i].name)] {
			trials[files[i].name] = true
		}
	}
	for _, e := range files {
		r := FileReport{Name: e.name, Size: e.size, Modified: e.modified, State: "complete when size and time are the same at two looks"}
		switch semaphore := w.semaphoreOf(e.name); {
		case w.Semaphore == "":
		case semaphores[semaphore]:
			r.State = "complete: " + semaphore + " is there"
		default:
			r.State = "waits for " + semaphore
		}
		if trials[e.name] {
			if err := w.try(ctx, f, e, &r); err != nil {
				return out, fmt.Errorf("%s: %w", e.name, err)
			}
		}
		out.Files = append(out.Files, r)
	}
	return out, nil
}

// try reads one file as take does, and keeps nothing.
func (w *watch) try(ctx context.Context, f folder, e entry, r *FileReport) error {
	spool, _, err := spoolFile(ctx, f, e, w.opts.Spool)
	if errors.Is(err, errNotComplete) {
		r.State = "is being written just now"
		return nil
	}
	if err != nil {
		return err
	}
	defer discard(spool)
	r.Read = true
	bad := func(err error) {
		if r.Bad++; r.Bad <= maxFaultsShown {
			r.Faults = append(r.Faults, err.Error())
		}
	}
	for p, err := range w.Carrier.(carriers.Splitter).Split(bufio.NewReader(spool), e.name) {
		if ctxErr := ctx.Err(); ctxErr != nil {
			return ctxErr
		}
		if err != nil {
			bad(err)
			continue
		}
		p.Carrier, p.Account, p.Source = w.Spec.Name, w.Account, parcel.SourceFile
		reading, err := w.Carrier.Decode(w.Carrier.Redact(p))
		if err != nil {
			bad(err)
		}
		r.Payloads++
		r.Observations += len(reading.Observations)
		for i := range reading.Observations {
			if reading.Observations[i].Code == parcel.CodeUnknown {
				r.Unmapped++
			}
		}
	}
	return nil
}
