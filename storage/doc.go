// Package storage is the memory: every payload as it was received, the log of
// events, the shipments folded from it, and the log of what changed, on SQLite
// or PostgreSQL with one face and one test suite.
//
// Three tables carry the weight. events is the truth and only grows. shipments
// holds one row a shipment, whose state column is everything a timeline needs
// in one read; it is a cache of the fold and may be made again at any time.
// changes is the log that every reader outside follows by position; positions
// are handed out in commit order, so that a reader never passes a hole.
//
// All writing goes through Update, in one transaction. Locks are taken in one
// order everywhere: numbers, then shipments, then the head of the log.
//
// Instants are kept to the microsecond in UTC; what is finer is cut off. Text
// that is not valid UTF-8 is kept with U+FFFD in place of each bad byte.
package storage
