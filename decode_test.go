package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDecodeSamples reads every sample of every adapter from the command line:
// its kind is found by its look, and as many observations are printed as the
// adapter's golden file holds. A sample without any says why on stderr.
func TestDecodeSamples(t *testing.T) {
	goldens, err := filepath.Glob("carriers/*/testdata/*.golden.jsonl")
	if err != nil || len(goldens) == 0 {
		t.Fatalf("%d golden files, %v", len(goldens), err)
	}
	for _, golden := range goldens {
		sample := strings.TrimSuffix(golden, ".golden.jsonl")
		carrier := filepath.Base(filepath.Dir(filepath.Dir(golden)))
		t.Run(carrier+"/"+filepath.Base(sample), func(t *testing.T) {
			data, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			want := bytes.Count(data, []byte(`{"observation":`))
			refused := want == 0 && bytes.Contains(data, []byte(`{"error":`))
			out, errs, code := said(t, "carriers", "decode", carrier, sample)
			got := 0
			for line := range strings.Lines(out) {
				var o struct{ Number, Code, Local, Certainty string }
				if err := json.Unmarshal([]byte(line), &o); err != nil || o.Number == "" || o.Code == "" || o.Certainty == "" {
					t.Errorf("%s: %v", line, err)
				}
				got++
			}
			if got != want {
				t.Errorf("%d observations, want %d: %s", got, want, errs)
			}
			if (code != exitOK) != refused || refused && !strings.Contains(errs, "error: ") {
				t.Errorf("exit code %d: %s", code, errs)
			}
		})
	}
}
