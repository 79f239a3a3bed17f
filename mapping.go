package main

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/milepost-gateway/milepost/ingest/importer"
	"github.com/milepost-gateway/milepost/internal/config"
	"github.com/milepost-gateway/milepost/parcel"
)

// readMapping reads a mapping file. The error names file, line and key.
func readMapping(path string) (importer.Mapping, error) {
	data, err := config.ReadFile(path)
	if err != nil {
		return importer.Mapping{}, fmt.Errorf("--map: %w", err)
	}
	m, err := parseMapping(data)
	if err != nil {
		return m, fmt.Errorf("--map: %s: %w", path, err)
	}
	return m, nil
}

func parseMapping(data []byte) (m importer.Mapping, err error) {
	err = yaml.UnmarshalWithOptions(data, &m, yaml.DisallowUnknownField())
	switch {
	case err == nil && len(m.Fields) == 0:
		return m, fmt.Errorf("the mapping has no fields: say which columns hold reference and destination (docs/import.md): %w", parcel.ErrInvalid)
	case err != nil:
		// The first line holds place and cause; the rest draws the file.
		text, _, _ := strings.Cut(yaml.FormatError(err, false, false), "\n")
		return m, fmt.Errorf("%s: %w", text, parcel.ErrInvalid)
	}
	return m, nil
}
