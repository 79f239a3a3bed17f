// Command milepost is a GraphQL gateway for cross-border parcels: it asks many
// carriers, keeps every word they say, and stitches the pieces into one
// journey.
//
// This package wires the rooms of the house by hand and holds one thin
// function per verb of the command line. The rules live in the rooms.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	// Zones are linked in: containers often have no zone files.
	_ "time/tzdata"

	"github.com/alecthomas/kong"

	_ "github.com/milepost-gateway/milepost/carriers/all"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/internal/config"
	"github.com/milepost-gateway/milepost/internal/obs"
)

func main() {
	os.Exit(milepost(os.Args[1:]))
}

// gcPercent lets the heap grow to five times what is live before it is collected.
// What is live is small (some MB: the store is the memory), and an answer is
// garbage as soon as it is sent, so that Go's default collects after every few
// pages: pages are answered about half as fast again for some 35 MB more under
// load (docs/benchmarks.md). GOGC, if set, decides instead.
const gcPercent = 400

// milepost runs the program on the process's own streams and signals.
func milepost(args []string) int {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	// The first signal asks for an orderly end; after it the default holds
	// again, so that a second one ends a program that hangs.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return run(ctx, args, &console{in: os.Stdin, out: os.Stdout, err: os.Stderr, terminal: isTerminal(os.Stderr), wall: clock.Wall()})
}

// The exit codes of the program.
const (
	exitOK    = 0
	exitFault = 1 // something failed
	exitUsage = 2 // the command line was wrong
)

// console is where a verb reads and writes: words for people on out, logs,
// progress and errors on err.
type console struct {
	in       io.Reader
	out, err io.Writer
	// terminal tells whether a person watches err: only then is progress drawn.
	terminal bool
	wall     clock.Clock
}

func (c *console) printf(format string, args ...any) { fmt.Fprintf(c.out, format, args...) }
func (c *console) note(format string, args ...any)   { fmt.Fprintf(c.err, format+"\n", args...) }

// isTerminal tells whether f is a device that shows characters to somebody.
func isTerminal(f *os.File) bool {
	at, err := f.Stat()
	return err == nil && at.Mode()&os.ModeCharDevice != 0 && at.Name() != os.DevNull && os.Getenv("TERM") != "dumb"
}

// ended carries the exit code of a flag such as --help, which ends the program
// while flags are still being read.
type ended struct{ code int }

// run reads the command line and runs the verb it names.
func run(ctx context.Context, args []string, con *console) (code int) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case ended:
			code = r.code
		default:
			panic(r)
		}
	}()
	var cli commands
	parser, err := newParser(&cli, con)
	if err != nil {
		con.note("milepost: %v", err)
		return exitFault
	}
	switch {
	case len(args) == 0:
		// Somebody who types only the name wants to know what there is.
		args = []string{"--help"}
	case len(args) == 1 && args[0] == "--version":
		args = []string{"version"} // as everywhere else
	}
	chosen, err := parser.Parse(args)
	if err != nil {
		return con.fail(parser, err)
	}
	log, err := cli.logger(con.err)
	if err != nil {
		return con.fail(parser, err)
	}
	chosen.Bind(log, newCatalog(cli.CarriersDir, con.wall))
	chosen.BindTo(ctx, (*context.Context)(nil))
	if err := chosen.Run(con, parser); err != nil {
		return con.fail(parser, err)
	}
	return exitOK
}

func newParser(cli *commands, con *console) (*kong.Kong, error) {
	return kong.New(cli,
		kong.Name("milepost"),
		kong.Description("Milepost is a GraphQL gateway for cross-border parcels. Try: milepost demo"),
		kong.DefaultEnvars("MILEPOST"),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100, FlagsLast: true}),
		kong.Writers(con.out, con.err),
		kong.Exit(func(code int) { panic(ended{code}) }),
		kong.Bind(con),
		kong.BindTo(context.Background(), (*context.Context)(nil)),
		kong.Vars{"scopes": strings.Join(scopes(), ",")},
	)
}

// logger writes what the program does, to be read by machines or by people
// who look for a cause.
func (c *commands) logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return nil, fmt.Errorf("--log-level: %w", err)
	}
	return obs.NewLogger(w, c.LogFormat, level)
}

// usage marks an error of whoever typed the command.
type usage struct{ error }

func (u usage) Unwrap() error { return u.error }

// badUsage says what is wrong with a flag, and what would be right.
func badUsage(format string, args ...any) error { return usage{fmt.Errorf(format, args...)} }

// told is a failure that was reported in full already; only the exit code is
// left to give.
type told struct{ error }

// fail tells an error in one line, or in one line for each mistake in the
// configuration file, and gives the exit code.
func (c *console) fail(parser *kong.Kong, err error) int {
	var (
		done    told
		parse   *kong.ParseError
		mine    usage
		mistake *config.Problem
	)
	switch {
	case errors.As(err, &done):
		return exitFault
	case errors.As(err, &mistake):
		// One line each: a person mends the file once.
		for line := range strings.Lines(err.Error()) {
			c.note("milepost: %s", strings.TrimRight(line, "\n"))
		}
		return exitUsage
	case errors.As(err, &parse):
		at := "milepost"
		if parse.Context != nil {
			for _, p := range parse.Context.Path {
				if p.Command != nil {
					at += " " + p.Command.Name
				}
			}
		}
		// A number below zero reads like a short flag where it stands alone.
		text := strings.Replace(oneLine(err), " (short flag)", "", 1)
		c.note("milepost: %s; see %s --help", text, at)
		return exitUsage
	case errors.As(err, &mine):
		c.note("milepost: %s", oneLine(err))
		return exitUsage
	default:
		c.note("milepost: %s", oneLine(err))
		return exitFault
	}
}

// oneLine makes a joined error one line, without secrets.
func oneLine(err error) string {
	return obs.Redact(strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; "))
}
