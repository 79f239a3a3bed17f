package resolvers

import (
	"context"
	"slices"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/graph/view"
	"github.com/milepost-gateway/milepost/parcel"
)

// place is where a reader of the change log begins: behind the cursor, or at a
// start of its own without one. A cursor older than the log is CursorExpired.
func (r *Resolver) place(ctx context.Context, after *string, begin func(oldest, head int64) int64) (position int64, err error) {
	oldest, head, err := r.Store.LogBounds(ctx)
	if err != nil {
		return 0, err
	}
	if after == nil {
		return begin(oldest, head), nil
	}
	position, err = r.cursors.OpenPosition(*after)
	if err != nil {
		return 0, underPath(err, "after")
	}
	if position < oldest-1 {
		return 0, &graph.CursorExpired{Oldest: r.cursors.SealPosition(oldest - 1)}
	}
	return position, nil
}

func fromOldest(oldest, _ int64) int64 { return oldest - 1 }
func fromHead(_, head int64) int64     { return head }

// changes reads a page of the change log.
func (r *Resolver) changes(ctx context.Context, lens *view.Lens, f ChangeFilter, nothing bool, first *int, length int, after *string) (*view.ChangeConnection, error) {
	n, _, err := view.PageArgs{First: first}.Bound(length)
	if err != nil {
		return nil, err
	}
	position, err := r.place(ctx, after, fromOldest)
	if err != nil {
		return nil, err
	}
	// The head is taken before the rows, what is kept after them: a page that is
	// short has seen all up to the head, and no row was removed unnoticed.
	_, head, err := r.Store.LogBounds(ctx)
	if err != nil {
		return nil, err
	}
	var rows []parcel.Change
	if n > 0 && !nothing {
		// One row more tells whether there is a next page.
		if rows, err = r.Store.Changes(ctx, lens.Viewer.MerchantID, position, n+1, f); err != nil {
			return nil, err
		}
	}
	oldest, err := r.kept(ctx, position, after == nil)
	if err != nil {
		return nil, err
	}
	c := &view.ChangeConnection{HeadPosition: head, OldestPosition: oldest - 1, Previous: position >= oldest, Lens: lens}
	c.More = len(rows) > n
	c.Rows, err = r.rows(ctx, lens, rows[:min(n, len(rows))])
	return c, err
}

// rows shows rows of the log with their shipments as they stand now. A row
// whose shipment is gone tells nothing to anyone.
func (r *Resolver) rows(ctx context.Context, lens *view.Lens, rows []parcel.Change) ([]view.Change, error) {
	shipments, err := r.shipmentsOf(ctx, lens, rows)
	if err != nil {
		return nil, err
	}
	out := make([]view.Change, 0, len(rows))
	for i := range rows {
		if s := shipments[rows[i].ShipmentID]; s != nil {
			out = append(out, view.ChangeOf(&rows[i], s))
		}
	}
	return out, nil
}

func (r *Resolver) shipmentsOf(ctx context.Context, lens *view.Lens, rows []parcel.Change) (map[string]*view.Shipment, error) {
	var ids []string
	for i := range rows {
		if !slices.Contains(ids, rows[i].ShipmentID) {
			ids = append(ids, rows[i].ShipmentID)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	loaded, err := r.Store.Shipments(ctx, lens.Viewer.MerchantID, ids)
	if err != nil {
		return nil, err
	}
	out := make(map[string]*view.Shipment, len(ids))
	for _, l := range loaded {
		if l != nil {
			out[l.Shipment.ID] = lens.Shipment(view.Look{Shipment: l.Shipment, Trackings: l.Trackings})
		}
	}
	return out, nil
}

// streamPage is how many rows a subscription reads at once.
const streamPage = 100

// kept tells where the log begins, once rows behind a position were read. It
// returns CursorExpired if some of them may have been removed meanwhile, unless
// the reader named no place.
func (r *Resolver) kept(ctx context.Context, position int64, anywhere bool) (oldest int64, err error) {
	oldest, _, err = r.Store.LogBounds(ctx)
	if err == nil && position < oldest-1 && !anywhere {
		err = &graph.CursorExpired{Oldest: r.cursors.SealPosition(oldest - 1)}
	}
	return oldest, err
}

// milestones is a stream of the rows that a shopper or partner must hear. What
// ends it, other than its reader, is told as its last answer.
func (r *Resolver) milestones(ctx context.Context, f ChangeFilter, nothing bool, after *string) (<-chan *view.MilestoneChange, error) {
	position, err := r.place(ctx, after, fromHead)
	if err != nil {
		return nil, err
	}
	told := view.ToldAsMilestones()
	if f.Kinds != nil {
		told = slices.DeleteFunc(told, func(k parcel.ChangeKind) bool { return !slices.Contains(f.Kinds, k) })
	}
	f.Kinds = told
	nothing = nothing || len(told) == 0
	to := make(chan *view.MilestoneChange)
	// The goroutine is the stream's: it ends with ctx, and the channel's closing
	// tells so.
	go func() {
		defer close(to)
		if nothing {
			<-ctx.Done()
			return
		}
		if err := r.follow(ctx, position, f, to); ctx.Err() == nil {
			endOf(ctx).fail(err)
		}
	}()
	return to, nil
}

// follow sends the rows behind a position, and then those that come, until ctx
// ends. It reads the log and nothing else: the bell only says when to look.
func (r *Resolver) follow(ctx context.Context, position int64, f ChangeFilter, to chan<- *view.MilestoneChange) error {
	bell := r.Bell.Subscribe()
	defer bell.Close()
	for {
		next, err := r.catchUp(ctx, position, f, to)
		if err != nil {
			return err
		}
		position = next
		select {
		case <-bell.C():
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// catchUp sends all there is behind a position, and returns the place reached.
func (r *Resolver) catchUp(ctx context.Context, position int64, f ChangeFilter, to chan<- *view.MilestoneChange) (int64, error) {
	for {
		// The head is read before the rows: what lies below it was committed, so
		// a short page has seen everything up to it.
		oldest, head, err := r.Store.LogBounds(ctx)
		if err != nil {
			return position, err
		}
		if position < oldest-1 {
			return position, &graph.CursorExpired{Oldest: r.cursors.SealPosition(oldest - 1)}
		}
		if head <= position {
			return position, nil
		}
		lens := r.lens(ctx)
		rows, err := r.Store.Changes(ctx, lens.Viewer.MerchantID, position, streamPage, f)
		if err != nil {
			return position, err
		}
		// Retention may have come between.
		if _, err := r.kept(ctx, position, false); err != nil {
			return position, err
		}
		if err := r.send(ctx, lens, rows, to); err != nil {
			return position, err
		}
		if len(rows) < streamPage {
			position = max(position, head)
			if n := len(rows); n > 0 {
				position = max(position, rows[n-1].Position)
			}
			return position, nil
		}
		position = rows[len(rows)-1].Position
	}
}

func (r *Resolver) send(ctx context.Context, lens *view.Lens, rows []parcel.Change, to chan<- *view.MilestoneChange) error {
	shipments, err := r.shipmentsOf(ctx, lens, rows)
	if err != nil {
		return err
	}
	for i := range rows {
		s := shipments[rows[i].ShipmentID]
		if s == nil {
			continue
		}
		change := view.MilestoneChangeOf(&rows[i], s)
		select {
		case to <- &change:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
