package config

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Source is embedded in the root of the command line: it adds --config, and
// lets the file it names answer for flags that neither the command line nor
// the environment sets. Every command's Run may then ask for a *[File]; it
// is empty where no file was named.
type Source struct {
	Config Flag `help:"Read flags and carrier accounts from this YAML file." placeholder:"FILE" env:"MILEPOST_CONFIG" default:""`
}

// Flag is the path of the configuration file, loaded while flags are read.
type Flag string

// BeforeResolve loads the file, binds it and adds it as a source of flags.
// kong calls it, also when the path came from the environment.
func (Flag) BeforeResolve(ctx *kong.Context, trace *kong.Path) error {
	path, _ := ctx.FlagValue(trace.Flag).(Flag)
	file, err := Load(string(path), nil, nil)
	if err != nil {
		return err
	}
	ctx.Bind(file)
	ctx.AddResolver(file.Resolver())
	return nil
}

// Resolver returns the file as a source of flags' values. It answers only
// for flags that the environment does not set, which kong would otherwise
// let it override. A key in the section of a command goes before the same
// key further out; log_format and log-format are the same key. A value that
// its flag does not take, and a key that is no flag, are [Problem] errors.
func (f *File) Resolver() kong.Resolver { return resolver{f} }

type resolver struct{ file *File }

// Resolve implements [kong.Resolver].
func (r resolver) Resolve(ctx *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if setByEnvironment(flag) {
		return nil, nil
	}
	var found *entry
	node, level := ctx.Model.Node, r.file.entries
	look := func() {
		if e := find(level, func(e entry) bool { return names(flag, e.key) && !isCommand(node, e) }); e != nil {
			found = e
		}
	}
	look()
	for _, name := range commands(ctx) {
		inner := find(level, func(e entry) bool { return key(e.key) == name && isCommand(node, e) })
		if inner == nil {
			break
		}
		node, level = command(node, name), inner.value.entries
		look()
	}
	if found == nil || found.value.kind == nothing {
		return nil, nil
	}
	v, err := flagValue(flag, found.value)
	if err == nil {
		err = try(flag, v)
	}
	if err != nil {
		return nil, &Problem{Path: r.file.Path, Line: found.line, Text: err.Error()}
	}
	return v, nil
}

// Validate implements [kong.Resolver]: every key must be a flag or a command
// that has the flags of its section.
func (r resolver) Validate(app *kong.Application) error {
	found := &problems{path: r.file.Path}
	check(app.Node, nil, r.file.entries, found)
	return found.err()
}

func check(node *kong.Node, outer []*kong.Flag, entries []entry, found *problems) {
	outer = append(slices.Clip(outer), node.Flags...)
	flags := append(slices.Clip(outer), below(node)...)
	seen := map[string]int{}
	for _, e := range entries {
		name := key(e.key)
		if line, twice := seen[name]; twice {
			found.add(e.line, "%s is set already, at line %d", e.key, line)
		}
		seen[name] = e.line
		if isCommand(node, e) {
			check(command(node, name), outer, e.value.entries, found)
			continue
		}
		if slices.ContainsFunc(flags, func(f *kong.Flag) bool { return names(f, e.key) }) {
			continue
		}
		switch {
		case command(node, name) != nil:
			if e.value.kind != nothing {
				found.add(e.line, "%s is a command: give its flags below it", e.key)
			}
		case name == "config" || name == "help":
			found.add(e.line, "%s cannot be set in a file", e.key)
		default:
			found.add(e.line, "unknown key %q%s", e.key, suggest(e.key, known(node, flags)))
		}
	}
}

// known lists what may stand where a key was not understood.
func known(node *kong.Node, flags []*kong.Flag) []string {
	var all []string
	if node.Type == kong.ApplicationNode {
		all = append(all, "accounts", "drops")
	}
	for _, f := range flags {
		if settable(f) {
			all = append(all, f.Name)
		}
	}
	for _, c := range node.Children {
		all = append(all, c.Name)
	}
	return all
}

// below returns the flags of all commands under node.
func below(node *kong.Node) []*kong.Flag {
	var flags []*kong.Flag
	for _, c := range node.Children {
		flags = append(flags, c.Flags...)
		flags = append(flags, below(c)...)
	}
	return flags
}

// commands returns the names of the commands on the way to the chosen one.
func commands(ctx *kong.Context) []string {
	var names []string
	for _, p := range ctx.Path {
		if p.Command != nil {
			names = append(names, p.Command.Name)
		}
	}
	return names
}

func command(node *kong.Node, name string) *kong.Node {
	for _, c := range node.Children {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// isCommand reports whether e is the section of a command under node, rather
// than the value of a flag with keys of its own.
func isCommand(node *kong.Node, e entry) bool {
	return e.value.kind == section && command(node, key(e.key)) != nil
}

func find(entries []entry, is func(entry) bool) *entry {
	if i := slices.IndexFunc(entries, is); i >= 0 {
		return &entries[i]
	}
	return nil
}

func key(written string) string { return strings.ReplaceAll(written, "_", "-") }

func names(f *kong.Flag, written string) bool {
	return settable(f) && (f.Name == key(written) || slices.Contains(f.Aliases, key(written)))
}

func settable(f *kong.Flag) bool {
	return f.Name != "help" && f.Target.Type() != reflect.TypeFor[Flag]()
}

func setByEnvironment(flag *kong.Flag) bool {
	for _, name := range flag.Envs {
		// kong takes a variable that is set to nothing, too.
		if _, set := os.LookupEnv(name); set {
			return true
		}
	}
	return false
}

// flagValue gives v the form in which kong would find it on the command line.
func flagValue(flag *kong.Flag, v value) (any, error) {
	switch v.kind {
	case list:
		parts := make([]string, len(v.items))
		for i, item := range v.items {
			if item.kind != text {
				return nil, fmt.Errorf("%s takes a list of single values", flag.Name)
			}
			parts[i] = item.text
		}
		if !flag.IsSlice() {
			return nil, fmt.Errorf("%s takes a single value, not a list", flag.Name)
		}
		if flag.Tag.Sep == -1 {
			whole := make([]any, len(parts))
			for i := range parts {
				whole[i] = parts[i]
			}
			return whole, nil
		}
		return kong.JoinEscaped(parts, flag.Tag.Sep), nil
	case section:
		if !flag.IsMap() {
			return nil, fmt.Errorf("%s takes a single value, not keys and values", flag.Name)
		}
		var parts []string
		for _, e := range v.entries {
			if e.value.kind != text {
				return nil, fmt.Errorf("%s takes keys with single values", flag.Name)
			}
			parts = append(parts, e.key+"="+e.value.text)
		}
		return kong.JoinEscaped(parts, flag.Tag.MapSep), nil
	}
	return v.text, nil
}

// try reads v as the flag would, into nowhere, so that a mistake is told
// with the line it stands on.
func try(flag *kong.Flag, v any) error {
	scratch := *flag.Value
	to := reflect.New(flag.Target.Type()).Elem()
	if err := scratch.Parse(kong.Scan().PushTyped(v, kong.FlagValueToken), to); err != nil {
		return err
	}
	if got := fmt.Sprint(to.Interface()); flag.Enum != "" && to.Kind() != reflect.Slice && to.Kind() != reflect.Pointer &&
		!slices.Contains(flag.EnumSlice(), got) {
		return fmt.Errorf("%s must be one of %s but is %q", flag.Name, strings.Join(flag.EnumSlice(), ", "), got)
	}
	return nil
}
