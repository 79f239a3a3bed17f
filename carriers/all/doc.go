// Package all links every adapter of this build: one file for each, which
// imports it for its registration alone.
package all
