package main

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress draws how far a long verb is, where a person watches; otherwise it
// is silent.
type progress struct{ bar *progressbar.ProgressBar }

// newProgress makes a bar for total steps; bytes tells that a step is a byte.
func (c *console) newProgress(what string, total int64, bytes bool) progress {
	if !c.terminal {
		return progress{}
	}
	return progress{progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(c.err),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowBytes(bytes),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetWidth(30),
		progressbar.OptionClearOnFinish(),
	)}
}

func (p progress) set(n int64) {
	if p.bar != nil {
		_ = p.bar.Set64(n)
	}
}

// clear takes the bar away, so that a line can be written where it stood.
func (p progress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}

func (p progress) finish() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}

// counted is a reader that knows how much it gave.
type counted struct {
	io.Reader
	n int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n += int64(n)
	return n, err
}

// rate tells how many things were done in a second.
func rate(n int, took time.Duration) string {
	if took <= 0 {
		return "at once"
	}
	return fmt.Sprintf("in %s, %.0f a second", took.Round(time.Millisecond), float64(n)/took.Seconds())
}
