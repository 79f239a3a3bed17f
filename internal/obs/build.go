package obs

import (
	"fmt"
	"log/slog"
	"runtime/debug"
)

// Version is the release this source is of. The revision, where Go knows it,
// says exactly which source.
const Version = "0.1.0"

// Build says what is running.
type Build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // commit, empty if not built from a repository
	Time     string `json:"time,omitempty"`     // of the commit, RFC 3339
	Modified bool   `json:"modified,omitempty"` // the source differed from the commit
	Go       string `json:"go"`                 // version of the Go toolchain
}

// ReadBuild returns what is known of the running program.
func ReadBuild() Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Build{Version: Version}
	}
	return buildOf(info)
}

func buildOf(info *debug.BuildInfo) Build {
	b := Build{Version: Version, Go: info.GoVersion}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// String is the version in one line, as for a --version flag.
func (b Build) String() string {
	s := "milepost " + b.Version
	if b.Revision != "" {
		s += " (" + b.Revision[:min(12, len(b.Revision))]
		if b.Modified {
			s += ", modified"
		}
		s += ")"
	}
	if b.Go != "" {
		s += fmt.Sprintf(" built with %s", b.Go)
	}
	return s
}

// LogValue implements [slog.LogValuer].
func (b Build) LogValue() slog.Value {
	return slog.GroupValue(slog.String("version", b.Version), slog.String("revision", b.Revision), slog.String("go", b.Go))
}
