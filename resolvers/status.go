package resolvers

import (
	"context"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// statusLife is how old an answer about carriers' accounts may be: it costs two
// statements, and pages of carriers ask for it at once.
const statusLife = 2 * time.Second

// standing is the last answer about carriers' accounts.
type standing struct {
	mu       sync.Mutex
	at       time.Time
	accounts []parcel.AccountStatus
}

// statuses tells how it stands with all accounts; callers must not write to it.
func (r *Resolver) statuses(ctx context.Context) ([]parcel.AccountStatus, error) {
	r.standing.mu.Lock()
	defer r.standing.mu.Unlock()
	now := r.Wall.Now()
	if !r.standing.at.IsZero() && now.Sub(r.standing.at) < statusLife {
		return r.standing.accounts, nil
	}
	accounts, err := r.Ingest.Statuses(ctx)
	if err != nil {
		return nil, err
	}
	r.standing.at, r.standing.accounts = now, accounts
	return accounts, nil
}

// pageOf is how many a list gives.
func pageOf(first *int, otherwise int) int {
	if first == nil {
		return otherwise
	}
	return *first
}
