package bench

import (
	"crypto/rand"
	"time"

	"github.com/oklog/ulid/v2"
)

func newID(now time.Time) string {
	return ulid.MustNew(ulid.Timestamp(now), rand.Reader).String()
}
