package declared_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/milepost-gateway/milepost/carriers/carriertest"
	"github.com/milepost-gateway/milepost/carriers/declared"
)

// TestSpecs has descriptions with what the examples lack sit the exam.
func TestSpecs(t *testing.T) {
	files, err := filepath.Glob("testdata/specs/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v: %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			c, err := declared.Load(file, nil)
			if err != nil {
				t.Fatal(err)
			}
			carriertest.RunSpec(t, c.Spec, strings.TrimSuffix(file, ".yaml"))
		})
	}
}
