package drops

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails where something goes on after its owner has ended.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
