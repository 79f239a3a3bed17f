package main_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

// Where tests run there may be no container engine, so what would only show
// in a build is read off the files: versions that move, a root user, a stage
// or a service that is not there.

// instruction is one instruction of a Dockerfile, its lines joined.
type instruction struct {
	line int
	word string
	args string
}

func instructions(data []byte) (all []instruction) {
	var joined string
	lines := bufio.NewScanner(bytes.NewReader(data))
	for at, start := 1, 1; lines.Scan(); at++ {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "#") || line == "" {
			continue
		}
		if joined == "" {
			start = at
		}
		more := strings.HasSuffix(line, `\`)
		joined += strings.TrimSuffix(line, `\`)
		if more {
			continue
		}
		word, args, _ := strings.Cut(joined, " ")
		all = append(all, instruction{start, word, strings.TrimSpace(args)})
		joined = ""
	}
	return all
}

var (
	exactImage  = regexp.MustCompile(`^[a-z0-9./-]+:\d+\.\d+(\.\d+)?(-[a-z0-9.]+)?(@sha256:[0-9a-f]{64})?$`)
	plainUser   = regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`)
	goDirective = regexp.MustCompile(`(?m)^go (\d+\.\d+)`)
)

// checkDockerfile returns what is wrong with a Dockerfile, given the version
// of Go (1.26) that the module asks for.
func checkDockerfile(data []byte, goVersion string) (wrongs []string) {
	wrong := func(i instruction, format string, args ...any) {
		wrongs = append(wrongs, fmt.Sprintf("line %d: ", i.line)+fmt.Sprintf(format, args...))
	}
	known := strings.Fields("FROM ARG LABEL COPY RUN ENV USER WORKDIR VOLUME EXPOSE HEALTHCHECK ENTRYPOINT CMD STOPSIGNAL")
	var stages []string
	last := map[string]instruction{} // of the final stage
	for _, i := range instructions(data) {
		if !slices.Contains(known, i.word) {
			wrong(i, "%s is not an instruction used here", i.word)
		}
		switch i.word {
		case "FROM":
			f := strings.Fields(i.args)
			if f[0] != "scratch" && !slices.Contains(stages, f[0]) && !exactImage.MatchString(f[0]) {
				wrong(i, "%s is no exact version", f[0])
			}
			if tag, is := strings.CutPrefix(f[0], "golang:"); is && !strings.HasPrefix(tag, goVersion+".") {
				wrong(i, "%s builds with another Go than the module's %s", f[0], goVersion)
			}
			if len(f) == 3 && f[1] == "AS" {
				stages = append(stages, f[2])
			}
			clear(last)
		case "COPY":
			for _, f := range strings.Fields(i.args) {
				if from, is := strings.CutPrefix(f, "--from="); is && !slices.Contains(stages, from) && !exactImage.MatchString(from) {
					wrong(i, "there is no stage %s", from)
				}
			}
		case "RUN":
			if strings.Contains(i.args, "go build") && !strings.Contains(i.args, "CGO_ENABLED=0") {
				wrong(i, "the program must be built without cgo to run in an empty image")
			}
		}
		last[i.word] = i
	}
	if u := last["USER"]; !plainUser.MatchString(u.args) {
		wrong(u, "the final image must run as a numbered user other than root, not %q", u.args)
	}
	for _, word := range []string{"ENTRYPOINT", "CMD"} {
		// There is no shell in the image.
		if i := last[word]; !strings.HasPrefix(i.args, "[") {
			wrong(i, "%s must be a list", word)
		}
	}
	if i := last["HEALTHCHECK"]; !strings.Contains(i.args, "CMD [") {
		wrong(i, "HEALTHCHECK must be a list")
	}
	return wrongs
}

func TestDockerfile(t *testing.T) {
	data, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := goDirective.FindSubmatch(mod)
	if version == nil {
		t.Fatal("go.mod names no version of Go")
	}
	for _, wrong := range checkDockerfile(data, string(version[1])) {
		t.Error(wrong)
	}
}

func TestDockerfileCheckFinds(t *testing.T) {
	got := checkDockerfile([]byte(`
FROM golang:1.25.3 AS build
RUN go build \
    -o /milepost .
FROM debian:latest
ADD https://example.org/x /x
COPY --from=builder /milepost /
USER root
HEALTHCHECK CMD /milepost doctor
ENTRYPOINT /milepost
CMD ["serve"]
`), "1.26")
	want := []string{
		"line 2: golang:1.25.3 builds with another Go than the module's 1.26",
		"line 3: the program must be built without cgo to run in an empty image",
		"line 5: debian:latest is no exact version",
		"line 6: ADD is not an instruction used here",
		"line 7: there is no stage builder",
		`line 8: the final image must run as a numbered user other than root, not "root"`,
		"line 10: ENTRYPOINT must be a list",
		"line 9: HEALTHCHECK must be a list",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
}

// composeFile is what compose.yaml may hold; a key beyond it is a mistake.
type composeFile struct {
	Name     string                    `yaml:"name"`
	Gateway  composeService            `yaml:"x-gateway"`
	Services map[string]composeService `yaml:"services"`
	Volumes  map[string]any            `yaml:"volumes"`
}

type composeService struct {
	Build       map[string]string            `yaml:"build"`
	Image       string                       `yaml:"image"`
	Command     []string                     `yaml:"command"`
	Environment map[string]string            `yaml:"environment"`
	Ports       []string                     `yaml:"ports"`
	Volumes     []string                     `yaml:"volumes"`
	DependsOn   map[string]map[string]string `yaml:"depends_on"`
	Healthcheck map[string]any               `yaml:"healthcheck"`
	ReadOnly    bool                         `yaml:"read_only"`
	CapDrop     []string                     `yaml:"cap_drop"`
	SecurityOpt []string                     `yaml:"security_opt"`
	Tmpfs       []string                     `yaml:"tmpfs"`
	Restart     string                       `yaml:"restart"`
	Grace       string                       `yaml:"stop_grace_period"`
	ShmSize     string                       `yaml:"shm_size"`
}

func TestCompose(t *testing.T) {
	data, err := os.ReadFile("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var c composeFile
	if err := yaml.UnmarshalWithOptions(data, &c, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if len(c.Services) == 0 {
		t.Fatal("no services")
	}
	for name, s := range c.Services {
		if s.Build == nil && !exactImage.MatchString(s.Image) {
			t.Errorf("%s: image %q is no exact version", name, s.Image)
		}
		for other := range s.DependsOn {
			if _, there := c.Services[other]; !there {
				t.Errorf("%s depends on %s, which is no service", name, other)
			}
		}
		for _, v := range s.Volumes {
			volume, _, _ := strings.Cut(v, ":")
			if _, there := c.Volumes[volume]; !there && !strings.HasPrefix(volume, ".") && !strings.HasPrefix(volume, "/") {
				t.Errorf("%s mounts %s, which is no volume", name, volume)
			}
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s publishes %s beyond this machine", name, p)
			}
		}
		for key, value := range s.Environment {
			if strings.HasSuffix(key, "PASSWORD") && !strings.HasPrefix(value, "${") {
				t.Errorf("%s: %s stands in the file", name, key)
			}
		}
	}
	for _, name := range []string{"gateway", "migrate"} {
		if s := c.Services[name]; !s.ReadOnly || !slices.Contains(s.CapDrop, "ALL") || s.Environment["MILEPOST_STORE"] == "" {
			t.Errorf("%s does not share x-gateway: %+v", name, s)
		}
	}
}
