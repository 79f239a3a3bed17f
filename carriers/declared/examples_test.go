package declared_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/milepost-gateway/milepost/carriers/carriertest"
	"github.com/milepost-gateway/milepost/carriers/declared"
)

const examples = "../../examples/carriers.d"

// TestExamples has every example sit the exam of every adapter.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob(examples + "/*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("%v: %v", files, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			c, err := declared.Load(file, nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.Spec.Name != name {
				t.Errorf("the file describes %s", c.Spec.Name)
			}
			folder := strings.TrimSuffix(file, ".yaml")
			if _, err := os.Stat(folder); err != nil {
				t.Fatal(err)
			}
			carriertest.RunSpec(t, c.Spec, folder)
		})
	}
}

func sample(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(examples, name))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}
