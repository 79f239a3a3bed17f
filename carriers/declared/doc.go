// Package declared makes adapters of descriptions: a carrier without
// peculiarities is a YAML file that says how it is asked, how its answers are
// read and what its codes mean. One file is one [carriers.Spec], whose adapter
// and whose fake both follow from the file, so that it sits the same exam as a
// carrier written in Go.
//
// A description can name paths, headers, bodies and signatures; it cannot name
// where they go. Scheme, host and port come from base-url or from the account
// alone. Secrets come from the account's settings and never stand in a file.
// What is read is bounded: the file, its nesting and its lists, answers, pages.
// Patterns are Go's regular expressions, whose time is linear.
//
// docs/declared-carriers.md is the reference of the keys.
package declared
